/**
 * Repeats a probe and turns results into a verdict by thresholds. Until the first verdict it asks at least twice a
 * second, so that a cluster comes up quickly; afterwards at the probe's own period.
 */
import type { Clock, Timer } from '@chainmail/runtime';
import type { Probe } from './pod.ts';
import type { ProbeResult } from './probe.ts';

export interface Thresholds {
  readonly success: number;
  readonly failure: number;
}

export interface Tally {
  readonly verdict: 'unknown' | 'success' | 'failure';
  readonly run: number;
  readonly last: boolean | undefined;
}

export const freshTally: Tally = { verdict: 'unknown', run: 0, last: undefined };

/** The next tally; the verdict changes only after a full run of equal results. Pure. */
export function count(tally: Tally, ok: boolean, t: Thresholds): Tally {
  const run = tally.last === ok ? tally.run + 1 : 1;
  const reached = run >= (ok ? t.success : t.failure);
  return { verdict: reached ? (ok ? 'success' : 'failure') : tally.verdict, run, last: ok };
}

const eagerPeriodMs = 500;

export class ProbeLoop {
  readonly #probe: Probe;
  readonly #run: (timeoutMs: number) => Promise<ProbeResult>;
  readonly #onVerdict: (verdict: 'success' | 'failure', reason: string) => void;
  readonly #clock: Clock;
  readonly #eager: boolean;
  #tally = freshTally;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: {
    readonly probe: Probe;
    readonly run: (timeoutMs: number) => Promise<ProbeResult>;
    /** Called for every full run of equal results. */
    readonly onVerdict: (verdict: 'success' | 'failure', reason: string) => void;
    readonly clock: Clock;
    /** A readiness probe asks more often until it first succeeds; one that counts failures against a life may not. */
    readonly eager: boolean;
  }) {
    this.#probe = options.probe;
    this.#run = options.run;
    this.#onVerdict = options.onVerdict;
    this.#clock = options.clock;
    this.#eager = options.eager;
    this.#schedule((options.probe.initialDelaySeconds ?? 0) * 1000);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #schedule(delayMs: number): void {
    if (!this.#stopped) this.#timer = this.#clock.after(delayMs, () => void this.#once());
  }

  async #once(): Promise<void> {
    const result = await this.#run((this.#probe.timeoutSeconds ?? 1) * 1000);
    if (this.#stopped) return;
    const { successThreshold: success = 1, failureThreshold: failure = 3 } = this.#probe;
    this.#tally = count(this.#tally, result.ok, { success, failure });
    const full = this.#tally.run >= (result.ok ? success : failure);
    if (full) this.#onVerdict(result.ok ? 'success' : 'failure', result.ok ? '' : result.reason);
    const periodMs = (this.#probe.periodSeconds ?? 10) * 1000;
    const hurry = this.#eager && this.#tally.verdict !== 'success';
    this.#schedule(hurry ? Math.min(eagerPeriodMs, periodMs) : periodMs);
  }
}
