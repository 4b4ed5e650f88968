/** A control-plane process on the node: kept running with back-off, killed and restarted on request. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { Backoff, type Clock, type Timer } from '@chainmail/runtime';
import { dieWithParent } from './container-process.ts';
import type { LogFile } from './log-file.ts';

export interface ComponentStatus {
  readonly name: string;
  readonly state: 'running' | 'waiting' | 'stopped';
  readonly pid?: number;
  readonly restarts: number;
  readonly startedAt?: string;
  readonly message?: string;
}

const stopGraceMs = 3000;

export class Component {
  readonly name: string;
  readonly #argv: readonly string[];
  readonly #log: LogFile;
  readonly #clock: Clock;
  readonly #backoff = new Backoff({ baseMs: 500, maxMs: 10_000 });
  #child: ChildProcess | undefined;
  #timer: Timer | undefined;
  #wanted = false;
  #restarts = 0;
  #startedAtMs = 0;
  #message: string | undefined;
  #nextDelayMs: number | undefined;

  constructor(name: string, argv: readonly string[], log: LogFile, clock: Clock) {
    this.name = name;
    this.#argv = argv;
    this.#log = log;
    this.#clock = clock;
  }

  status(): ComponentStatus {
    const pid = this.#child?.pid;
    return {
      name: this.name,
      state: pid !== undefined ? 'running' : this.#wanted ? 'waiting' : 'stopped',
      ...(pid === undefined ? {} : { pid, startedAt: new Date(this.#startedAtMs).toISOString() }),
      restarts: this.#restarts,
      ...(this.#message === undefined ? {} : { message: this.#message }),
    };
  }

  start(): void {
    this.#wanted = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#child !== undefined) return;
    const child = spawn(dieWithParent[0], [...dieWithParent.slice(1), ...this.#argv], {
      stdio: ['ignore', this.#log.fd, this.#log.fd],
      detached: true,
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root' },
    });
    this.#child = child;
    this.#startedAtMs = this.#clock.now();
    let over = false;
    const end = (message: string): void => {
      if (over) return;
      over = true;
      this.#ended(message);
    };
    child.on('error', (error) => end(error.message));
    child.on('exit', (code, signal) => end(signal === null ? `exit code ${code}` : `ended by ${signal}`));
  }

  /** SIGTERM, then SIGKILL; stays down until start(). */
  async stop(): Promise<void> {
    this.#wanted = false;
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#end('SIGTERM');
  }

  /** SIGTERM and start again at once. */
  async restart(): Promise<void> {
    await this.stop();
    this.#restarts++;
    this.start();
  }

  /** SIGKILL, as a crash would be; started again after downMs, or the usual back-off. */
  async kill(downMs?: number): Promise<void> {
    this.#nextDelayMs = downMs;
    await this.#end('SIGKILL');
  }

  trimLog(): void {
    this.#log.trim();
  }

  logPath(): string {
    return this.#log.path;
  }

  #ended(message: string): void {
    this.#child = undefined;
    this.#message = message;
    if (!this.#wanted) return;
    if (this.#clock.now() - this.#startedAtMs > 30_000) this.#backoff.reset();
    const delayMs = this.#nextDelayMs ?? this.#backoff.next();
    this.#nextDelayMs = undefined;
    this.#log.note(`${message}; next start in ${(delayMs / 1000).toFixed(1)} s`);
    this.#timer = this.#clock.after(delayMs, () => {
      this.#restarts++;
      this.start();
    });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined) return;
    const gone = new Promise<void>((done) => child.once('exit', () => done()));
    child.kill(signal);
    const deadline = this.#clock.after(stopGraceMs, () => child.kill('SIGKILL'));
    await gone;
    deadline.cancel();
  }
}

/** Writes a file so that a reader sees the old or the new content, with the mode from the start. */
export function writeAtomically(file: string, content: string, mode: number): void {
  const temporary = `${file}.tmp`;
  fs.rmSync(temporary, { force: true });
  fs.writeFileSync(temporary, content, { mode });
  fs.renameSync(temporary, file);
}
