#!/bin/sh
# prepare.sh WORK NODE_NETWORK GATEWAY CGROUP, inside the bed's namespaces: mounts, network and cgroups before anything starts.
set -eu
work=$1 network=$2 gateway=$3 cgroup=$4

# Mounts of other tests below /run must not be pinned by our copy of the mount table.
awk '$2 ~ "^/(run|var/lib|var/log)/" {print $2}' /proc/self/mounts | sort -r | while read -r at; do umount -l "$at"; done
mount --make-rshared /
# Kubelet, the shims of containerd and the CNI plugins have paths in these three that no flag moves.
mount --bind "$work/run" /run
mount --bind "$work/varlog" /var/log
mount --bind "$work/lib" /var/lib

# A machine without cgroups mounted: version 1, for us alone.
if ! [ -d /sys/fs/cgroup/memory ] && ! [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
  for c in $(awk '!/^#/ && $4==1 {print $1}' /proc/cgroups); do
    mkdir -p "/sys/fs/cgroup/$c"
    mount -t cgroup -o "$c" cgroup "/sys/fs/cgroup/$c" 2>/dev/null || rmdir "/sys/fs/cgroup/$c"
  done
  mkdir -p /sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd || true
fi
# Kubelet wants its root in every hierarchy; version 1's cpuset gives a new group no processors by itself.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir -p "/sys/fs/cgroup/$cgroup"
else
  for d in /sys/fs/cgroup/*/; do
    [ "$d" = /sys/fs/cgroup/unified/ ] && continue
    mkdir -p "$d$cgroup"
    [ -e "${d}cpuset.cpus" ] || continue
    cat "${d}cpuset.cpus" > "$d$cgroup/cpuset.cpus"
    cat "${d}cpuset.mems" > "$d$cgroup/cpuset.mems"
  done
fi

# Kubelet sets these for the whole machine unless they read as it wants: show it files that do, and leave the machine be.
for kv in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  setting=${kv%=*} want=${kv#*=}
  [ "$(cat "/proc/sys/$setting")" = "$want" ] && continue
  file=$work/etc/sysctl.$(echo "$setting" | tr / .)
  echo "$want" > "$file"
  mount --bind "$file" "/proc/sys/$setting"
done

# The node's own interface is a bridge without ports: kubelet and the API server refuse loopback as an address.
ip link set lo up
ip link add node0 type bridge
ip addr add "$network" dev node0
ip link set node0 up
ip route add default via "$gateway" dev node0
sysctl -qw net.ipv4.ip_forward=1
# Without it a pod that reaches a pod of the same bridge by ClusterIP gets an answer that nobody translated back.
sysctl -qw net.bridge.bridge-nf-call-iptables=1
