// init holds namespaces open and reaps what is orphaned in them. Without arguments it is the pause container of a
// pod. As `init WORK CGROUP` it is PID 1 of the whole test bed: when its standard input ends, because whoever holds
// the other end closed it or died in whatever way, it kills every process, removes the cgroup CGROUP from every
// hierarchy and the folder WORK, and exits, which drops all mounts. So nothing outlives the run that made it.
package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	ended := make(chan struct{})
	isBed := len(os.Args) == 3
	if isBed {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			close(ended)
		}()
	}
	for {
		reap()
		select {
		case s := <-signals:
			if s != syscall.SIGCHLD && !isBed {
				return
			}
		case <-ended:
			if err := tearDown(os.Args[1], os.Args[2]); err != nil {
				fmt.Fprintln(os.Stderr, "init:", err)
				os.Exit(1)
			}
			return
		}
	}
}

// reap collects whatever is dead by now; false when there are no children.
func reap() bool {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.ECHILD {
			return false
		}
		if err != syscall.EINTR && pid <= 0 {
			return true
		}
	}
}

const patience = 20 * time.Second

func tearDown(work, cgroup string) error {
	deadline := time.Now().Add(patience)
	for {
		syscall.Kill(-1, syscall.SIGKILL) // all but this process
		alive := reap()
		left := removeCgroups(cgroup)
		if !alive && len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("still there after %s: children %v, cgroups %v", patience, alive, left)
		}
		time.Sleep(10 * time.Millisecond)
	}
	detachBelow(work, "/run", "/var/lib", "/var/log")
	return os.RemoveAll(work)
}

// removeCgroups removes the cgroup with its descendants; returns the roots that are still busy.
func removeCgroups(name string) []string {
	roots, _ := filepath.Glob("/sys/fs/cgroup/*/" + name)
	roots = append(roots, "/sys/fs/cgroup/"+name)
	var left []string
	for _, root := range roots {
		var dirs []string
		filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for i := len(dirs) - 1; i >= 0; i-- {
			syscall.Rmdir(dirs[i])
		}
		if _, err := os.Stat(root); err == nil {
			left = append(left, root)
		}
	}
	return left
}

// detachBelow unmounts everything at or below the folders, in this mount namespace.
func detachBelow(folders ...string) {
	text, _ := os.ReadFile("/proc/self/mounts")
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		fields := strings.Fields(lines[i])
		for _, folder := range folders {
			if len(fields) > 1 && (fields[1] == folder || strings.HasPrefix(fields[1], folder+"/")) {
				syscall.Unmount(fields[1], syscall.MNT_DETACH)
				break
			}
		}
	}
}
