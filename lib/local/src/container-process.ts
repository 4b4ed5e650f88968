/**
 * One run of a container: the chain setpriv -> nsenter -> unshare -> sh (pid 1) -> command. Invariant: when any part
 * of the chain or the supervisor dies, the kernel kills everything that ran in the container's pid namespace.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { messageOf } from '@chainmail/runtime';
import { identityArguments, type Launch, launchScript, readyMarker } from './launch-script.ts';

export interface Exit {
  /** As a shell has it: 128 + n for a process that signal n ended. */
  readonly code: number;
}

const signals: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 };

/** Ends with the supervisor: the kernel sends the signal when the thread that started it is gone. */
export const dieWithParent = ['setpriv', '--pdeathsig', 'KILL', '--'] as const;

const toolPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

function childrenOf(pid: number): number[] {
  try {
    const text = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

export class ContainerProcess {
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #launch: Launch;
  readonly #env: Readonly<Record<string, string>>;
  #running = true;

  /** Starts at once; output goes to the open log file, without a detour through this process. */
  constructor(launch: Launch, env: Readonly<Record<string, string>>, netns: string, logFd: number) {
    this.#launch = launch;
    this.#env = env;
    const rest = [
      ...dieWithParent.slice(1),
      'nsenter',
      `--net=${netns}`,
      '--',
      'unshare',
      ...['--mount', '--propagation', 'private', '--uts', '--ipc', '--pid', '--fork', '--kill-child=KILL'],
      '--',
      '/bin/sh',
      '-c',
      launchScript(launch),
    ];
    this.#child = spawn(dieWithParent[0], rest, {
      detached: true,
      stdio: ['ignore', logFd, logFd],
      env: { PATH: toolPath, ...env },
    });
    this.exited = new Promise((done) => {
      const end = (code: number): void => {
        this.#running = false;
        done({ code });
      };
      this.#child.on('error', (error) => {
        fs.writeSync(logFd, `cannot start: ${messageOf(error)}\n`);
        end(128);
      });
      this.#child.on('exit', (code, signal) => end(code ?? 128 + (signals[signal ?? ''] ?? 0)));
    });
  }

  get running(): boolean {
    return this.#running;
  }

  /** SIGTERM to the command itself; whoever has not got as far as the command ends at once. */
  terminate(): void {
    if (!this.#running) return;
    const shell = this.#shellPid();
    const command = shell === undefined ? [] : childrenOf(shell);
    if (command.length === 0) this.kill();
    for (const pid of command) this.#signal(pid, 'SIGTERM');
  }

  /** SIGKILL to the whole pid namespace. */
  kill(): void {
    const shell = this.#shellPid();
    if (shell !== undefined) this.#signal(shell, 'SIGKILL');
    this.#child.kill('SIGKILL');
  }

  /**
   * Arguments and environment with which a further command runs inside, as the container's own user; undefined while
   * the container's root is not complete.
   */
  execInside(
    command: readonly string[],
  ): { readonly argv: readonly string[]; readonly env: Record<string, string> } | undefined {
    const pid = this.#shellPid();
    if (!this.#running || pid === undefined || !fs.existsSync(`/proc/${pid}/root${readyMarker}`)) return undefined;
    const enter = ['nsenter', `--target=${pid}`, '--mount', '--pid', '--net', '--uts', '--ipc'];
    const where = ['--', '/bin/sh', '-c', 'cd "$0" && exec "$@"', this.#launch.workingDir];
    return {
      argv: [...dieWithParent, ...enter, ...where, ...identityArguments(this.#launch), ...command],
      env: { PATH: toolPath, ...this.#env },
    };
  }

  #shellPid(): number | undefined {
    return this.#child.pid === undefined ? undefined : childrenOf(this.#child.pid)[0];
  }

  #signal(pid: number, signal: NodeJS.Signals): void {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended by itself in the meantime.
    }
  }
}
