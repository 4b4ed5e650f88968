/** The agent as a process of its own, from its sources, with one worker. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const main = path.resolve(import.meta.dirname, '../../agent/src/main.ts');

export interface RunningAgent {
  readonly pid: number;
  stop(): Promise<void>;
}

/** Resolves when it serves. @throws Error with what it said, when it ends instead */
export async function startAgent(config: string): Promise<RunningAgent> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'agent-soak-'));
  const file = path.join(dir, 'envoy.yaml');
  fs.writeFileSync(file, config);
  const child = spawn(process.execPath, ['--no-warnings', main, '-c', file, '--concurrency', '1']);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await started(child);
  return {
    pid: child.pid ?? 0,
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}

function started(child: ChildProcess): Promise<void> {
  let said = '';
  return new Promise((resolve, reject) => {
    child.stderr?.on('data', (chunk) => {
      said = (said + String(chunk)).slice(-65_536);
      if (said.includes('"msg":"started"')) resolve();
    });
    child.once('exit', () => reject(new Error(`the agent ended: ${said}`)));
  });
}
