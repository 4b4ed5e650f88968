/**
 * One network, mount and pid namespace that holds a whole cluster, and its end. Invariant: whatever is made in it goes
 * when the pipe to its PID 1 closes, which the kernel does when the process that holds it dies in whatever way.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export interface BedNamespace {
  /** Everything the bed writes lies below; short, since unix sockets below it may have 107 bytes. */
  readonly work: string;
  /** Name of its group in every cgroup hierarchy. */
  readonly cgroup: string;
  /** Of PID 1, as seen from here. */
  readonly pid: number;
  /** Ends everything inside and resolves once nothing is left. @throws Error with what init could not remove */
  readonly close: () => Promise<void>;
}

const folders = ['bin', 'pki', 'log', 'etc', 'cni', 'etcd', 'run/containerd', 'varlog', 'images'];
const stateFolders = ['lib/kubelet', 'lib/containerd', 'lib/cni'];

export async function createNamespace(init: string): Promise<BedNamespace> {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'cm-'));
  const cgroup = path.basename(work);
  for (const dir of [...folders, ...stateFolders]) fs.mkdirSync(path.join(work, dir), { recursive: true });
  const unshare = ['--net', '--mount', '--pid', '--fork', '--mount-proc', '--propagation', 'private'];
  const log = fs.openSync(path.join(work, 'log/init.log'), 'w');
  const child = spawn('unshare', [...unshare, '--', init, work, cgroup], {
    stdio: ['pipe', log, 'pipe'],
    detached: true,
  });
  fs.closeSync(log);
  const ended = end(child);
  const pid = await Promise.race([
    firstProcess(child, init),
    ended.then(() => Promise.reject(new Error('unshare ended'))),
  ]);
  const close = (): Promise<void> => {
    child.stdin?.end();
    return ended;
  };
  return { work, cgroup, pid, close };
}

/** Rejects with what was written to standard error when the exit code is not 0. */
function end(child: ChildProcess): Promise<void> {
  let text = '';
  child.stderr?.on('data', (chunk) => {
    text += chunk;
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => (code === 0 ? resolve() : reject(new Error(`bed: ${text || signal || code}`))));
  });
  ended.catch(() => {}); // told to whoever awaits close()
  return ended;
}

/** The only child of `unshare`, once it runs init. */
async function firstProcess(unshare: ChildProcess, init: string): Promise<number> {
  const children = `/proc/${unshare.pid}/task/${unshare.pid}/children`;
  for (;;) {
    const pid = Number(readText(children).trim());
    if (pid > 0 && linkOf(`/proc/${pid}/exe`) === fs.realpathSync(init)) return pid;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function readText(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function linkOf(file: string): string {
  try {
    return fs.readlinkSync(file);
  } catch {
    return '';
  }
}
