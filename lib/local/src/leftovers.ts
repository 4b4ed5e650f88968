/**
 * Removes what a local cluster leaves when its supervisor was killed: the node's namespace with every process in
 * it, and the run directory. All else (pods' namespaces, mounts, processes) the kernel has removed by itself.
 */
import fs from 'node:fs';
import path from 'node:path';
import { tryRun } from './command.ts';
import { type RunPaths, runRoot } from './run-paths.ts';

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

/** The run directory, and the folder of all run directories when this was the last. */
export function removeRunDir(paths: RunPaths): void {
  fs.rmSync(paths.dir, { recursive: true, force: true });
  const parent = path.dirname(paths.dir);
  if (parent !== runRoot) return; // a folder somebody else made
  try {
    fs.rmdirSync(parent);
  } catch {
    // Others are running, or it was never there.
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
  removeRunDir(paths);
  return hadNetns || hadDir;
}
