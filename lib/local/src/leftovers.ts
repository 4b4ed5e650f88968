/**
 * Removes what a local cluster leaves when its supervisor was killed: the node's namespace with every process in
 * it, and the run directory. All else (pods' namespaces, mounts, processes) the kernel has removed by itself.
 */
import fs from 'node:fs';
import { tryRun } from './command.ts';
import type { RunPaths } from './run-paths.ts';

const netnsFile = (paths: RunPaths): string => `/run/netns/${paths.nodeNetns}`;

async function processesIn(paths: RunPaths): Promise<number[]> {
  const { code, stdout } = await tryRun('ip', ['netns', 'pids', paths.nodeNetns]);
  return code === 0 ? stdout.split('\n').filter(Boolean).map(Number) : [];
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended in the meantime.
  }
}

/** True when there was anything to remove. */
export async function removeLeftovers(paths: RunPaths): Promise<boolean> {
  const hadNetns = fs.existsSync(netnsFile(paths));
  const hadDir = fs.existsSync(paths.dir);
  for (let round = 0; hadNetns && round < 50; round++) {
    const pids = (await processesIn(paths)).filter((pid) => pid !== process.pid);
    if (pids.length === 0) break;
    for (const pid of pids) kill(pid);
    await new Promise((done) => setTimeout(done, 50));
  }
  if (hadNetns) await tryRun('ip', ['netns', 'del', paths.nodeNetns]);
  fs.rmSync(paths.dir, { recursive: true, force: true });
  return hadNetns || hadDir;
}
