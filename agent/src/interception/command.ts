/** Running a program without a shell: arguments as a list, input by stdin, the outcome as a value. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';

export interface CommandResult {
  /** -1 when the program could not be started. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Never rejects. */
export type RunCommand = (command: string, args: readonly string[], stdin?: string) => Promise<CommandResult>;

const deadlineMs = 60_000;

export const runCommand: RunCommand = (command, args, stdin = '') =>
  new Promise((resolve) => {
    const child = spawn(command, [...args], { stdio: 'pipe', timeout: deadlineMs, env: environment() });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString('utf8');
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin.on('error', () => {}); // a program that ends without reading its input says why by its exit code
    child.on('error', (error) => resolve({ code: -1, stdout: '', stderr: error.message }));
    child.on('close', (code) => resolve({ code: code ?? -1, stdout: text(out), stderr: text(err) }));
    child.stdin.end(stdin);
  });

/** A container's PATH may lack sbin; messages are read by us in English. */
function environment(): NodeJS.ProcessEnv {
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`;
  return { ...process.env, ...lockFile(), LC_ALL: 'C', PATH: path };
}

/** Legacy iptables insists on a lock file below /run, which a read-only root file system refuses. */
function lockFile(): NodeJS.ProcessEnv {
  try {
    fs.accessSync('/run', fs.constants.W_OK);
    return {};
  } catch {
    return { XTABLES_LOCKFILE: '/dev/shm/xtables.lock' };
  }
}
