/**
 * The life of one container: start, probes, restart with back-off, stop. Invariant: at most one run exists at a
 * time, and after stop() none does.
 */
import { Backoff, type Clock, messageOf, type Timer, UserError } from '@chainmail/runtime';
import type { ContainerProcess } from './container-process.ts';
import type { Container, ContainerState, ContainerStatus, Handler, Probe } from './pod.ts';
import type { ProbeResult } from './probe.ts';
import { ProbeLoop } from './probe-loop.ts';

export interface ContainerHost {
  readonly clock: Clock;
  /** Starts a run; throws UserError when the container cannot be set up at all. */
  readonly start: () => ContainerProcess;
  readonly probe: (handler: Handler, timeoutMs: number) => Promise<ProbeResult>;
  readonly onChange: () => void;
  /** A line about the container for its own log, such as why it is being restarted. */
  readonly note: (text: string) => void;
}

export type RestartRule = 'always' | 'on-failure' | 'never';

/** A run this long counts as healthy: the next failure starts the back-off afresh. */
const healthyMs = 30_000;
const backoffMs = { baseMs: 1000, maxMs: 30_000 } as const;

export class ContainerRunner {
  readonly container: Container;
  readonly #host: ContainerHost;
  readonly #rule: RestartRule;
  readonly #backoff = new Backoff(backoffMs);
  #process: ContainerProcess | undefined;
  #state: ContainerState = { waiting: { reason: 'PodInitializing' } };
  #lastState: ContainerState = {};
  #restarts = 0;
  #started = false;
  #ready = false;
  #stopping = false;
  #loops: ProbeLoop[] = [];
  #timer: Timer | undefined;

  constructor(container: Container, rule: RestartRule, host: ContainerHost) {
    this.container = container;
    this.#rule = rule;
    this.#host = host;
  }

  get process(): ContainerProcess | undefined {
    return this.#process;
  }

  /** Startup probe passed, or running where there is none. */
  get started(): boolean {
    return this.#started;
  }

  get ready(): boolean {
    return this.#ready && !this.#stopping;
  }

  /** The exit code of a container that will not run again. */
  get finished(): number | undefined {
    const ended = this.#state.terminated;
    if (ended === undefined || this.#timer !== undefined) return undefined;
    return this.#process === undefined ? ended.exitCode : undefined;
  }

  status(): ContainerStatus {
    return {
      name: this.container.name,
      image: this.container.image ?? '',
      ready: this.ready,
      started: this.#started,
      restartCount: this.#restarts,
      state: this.#state,
      lastState: this.#lastState,
    };
  }

  start(): void {
    this.#timer = undefined;
    if (this.#stopping) return;
    let run: ContainerProcess;
    try {
      run = this.#host.start();
    } catch (error) {
      this.#retryStart(error);
      return;
    }
    this.#process = run;
    const startedAtMs = this.#host.clock.now();
    this.#state = { running: { startedAt: new Date(startedAtMs).toISOString() } };
    this.#beginProbes(run);
    this.#host.onChange();
    void run.exited.then(({ code }) => this.#ended(code, startedAtMs));
  }

  /** Waits for the end of the current run; SIGTERM now, SIGKILL after graceMs. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#endProbes();
    const run = this.#process;
    if (run === undefined) return;
    run.terminate();
    const deadline = this.#host.clock.after(graceMs, () => run.kill());
    await run.exited;
    deadline.cancel();
  }

  #retryStart(error: unknown): void {
    const hint = error instanceof UserError && error.hint !== undefined ? `; ${error.hint}` : '';
    const message = `${messageOf(error)}${hint}`;
    this.#state = { waiting: { reason: 'CreateContainerConfigError', message } };
    this.#timer = this.#host.clock.after(backoffMs.baseMs, () => this.start());
    this.#host.onChange();
  }

  #ended(exitCode: number, startedAtMs: number): void {
    this.#endProbes();
    this.#process = undefined;
    this.#started = false;
    this.#ready = false;
    const now = this.#host.clock.now();
    this.#state = {
      terminated: {
        exitCode,
        reason: exitCode === 0 ? 'Completed' : 'Error',
        startedAt: new Date(startedAtMs).toISOString(),
        finishedAt: new Date(now).toISOString(),
      },
    };
    if (now - startedAtMs >= healthyMs) this.#backoff.reset();
    const again = this.#rule === 'always' || (this.#rule === 'on-failure' && exitCode !== 0);
    if (again && !this.#stopping) this.#restartLater(exitCode);
    this.#host.onChange();
  }

  #restartLater(exitCode: number): void {
    const delayMs = this.#backoff.next();
    this.#lastState = this.#state;
    this.#restarts++;
    const message = `exit code ${exitCode}, next start in ${(delayMs / 1000).toFixed(1)} s`;
    this.#state = { waiting: { reason: 'CrashLoopBackOff', message } };
    this.#host.note(message);
    this.#timer = this.#host.clock.after(delayMs, () => this.start());
  }

  #beginProbes(run: ContainerProcess): void {
    const { startupProbe, postStart } = { ...this.container, postStart: this.container.lifecycle?.postStart };
    if (postStart !== undefined) void this.#postStart(postStart, run);
    if (startupProbe === undefined) {
      this.#afterStartup(run);
      return;
    }
    this.#loop(startupProbe, false, (verdict, reason) => {
      if (verdict === 'failure') this.#restartBecause(run, `startup probe: ${reason}`);
      else if (!this.#started) {
        this.#endProbes();
        this.#afterStartup(run);
        this.#host.onChange();
      }
    });
  }

  #afterStartup(run: ContainerProcess): void {
    this.#started = true;
    const { readinessProbe, livenessProbe } = this.container;
    this.#ready = readinessProbe === undefined;
    if (readinessProbe !== undefined) {
      this.#loop(readinessProbe, true, (verdict) => {
        const ready = verdict === 'success';
        if (ready === this.#ready) return;
        this.#ready = ready;
        this.#host.onChange();
      });
    }
    if (livenessProbe !== undefined) {
      this.#loop(livenessProbe, false, (verdict, reason) => {
        if (verdict === 'failure') this.#restartBecause(run, `liveness probe: ${reason}`);
      });
    }
  }

  async #postStart(handler: Handler, run: ContainerProcess): Promise<void> {
    const result = await this.#host.probe(handler, 30_000);
    if (!result.ok && run.running) this.#restartBecause(run, `postStart: ${result.reason}`);
  }

  #restartBecause(run: ContainerProcess, reason: string): void {
    if (this.#stopping || !run.running) return;
    this.#endProbes();
    this.#host.note(`${reason}; restarting`);
    run.terminate();
    const deadline = this.#host.clock.after(10_000, () => run.kill());
    void run.exited.then(() => deadline.cancel());
  }

  #loop(probe: Probe, eager: boolean, onVerdict: (v: 'success' | 'failure', reason: string) => void): void {
    const run = (timeoutMs: number): Promise<ProbeResult> => this.#host.probe(probe, timeoutMs);
    this.#loops.push(new ProbeLoop({ probe, run, onVerdict, clock: this.#host.clock, eager }));
  }

  #endProbes(): void {
    for (const loop of this.#loops) loop.stop();
    this.#loops = [];
  }
}
