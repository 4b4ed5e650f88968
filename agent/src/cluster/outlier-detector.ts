/**
 * Passive health: hosts that fail several times in a row, or stand out at the end of an interval, are left out for a
 * while (Envoy's outlier detection; the consecutive checks run inline). Invariant: the last available host is never ejected, whatever it answers.
 */
import type { OutlierSpec } from '../model/cluster.ts';
import { clusterStat } from '../stats/layout.ts';
import type { TimerHandle, WorkerRuntime } from '../worker/runtime.ts';
import type { Outcome } from './cluster.ts';
import type { ClusterHost } from './host.ts';
import { belowTheOthers, failingTooOften, type RateCount } from './success-rates.ts';

const { at } = clusterStat;

type Check =
  | 'consecutive_5xx'
  | 'consecutive_gateway_failure'
  | 'consecutive_local_origin_failure'
  | 'success_rate'
  | 'failure_percentage'
  | 'local_origin_success_rate'
  | 'local_origin_failure_percentage';

export interface OutlierHost {
  /** All hosts of the cluster. */
  hosts(): readonly ClusterHost[];
  /** A host was ejected or came back: lists must be made anew. */
  onEjectionsChanged(): void;
}

export class OutlierDetector {
  #spec: OutlierSpec;
  #sweep: TimerHandle | null = null;
  readonly #owner: OutlierHost;
  readonly #runtime: Pick<WorkerRuntime, 'clock' | 'timers' | 'random' | 'slots'>;
  readonly #base: number;

  constructor(spec: OutlierSpec, owner: OutlierHost, runtime: WorkerRuntime, base: number) {
    this.#spec = spec;
    this.#owner = owner;
    this.#runtime = runtime;
    this.#base = base;
  }

  update(spec: OutlierSpec): void {
    this.#spec = spec;
  }

  record(host: ClusterHost, outcome: Outcome): void {
    if (this.#ratesCount()) this.#countRates(host, outcome);
    if (outcome.kind === 'response') this.#recordStatus(host, outcome.status);
    else if (this.#spec.splitExternalLocalOriginErrors) this.#recordLocal(host);
    else this.#recordStatus(host, outcome.cause === 'timeout' || outcome.cause === 'connect-timeout' ? 504 : 503);
  }

  #ratesCount(): boolean {
    return Boolean(this.#spec.successRate) || Boolean(this.#spec.failurePercentage);
  }

  #countRates(host: ClusterHost, outcome: Outcome): void {
    const { external, local } = host.outlier;
    const answered = outcome.kind === 'response';
    if (answered || !this.#spec.splitExternalLocalOriginErrors) {
      external.total++;
      if (answered && outcome.status < 500) external.successes++;
    }
    local.total++;
    if (answered) local.successes++;
    this.#sweepLater();
  }

  /** An active health check says that the host is well: it comes back at once, where that is configured. */
  passedCheck(host: ClusterHost): void {
    if (!host.ejected || this.#spec.ignoreHealthChecks === true) return;
    this.#readmit(host);
    this.#showActive();
    this.#owner.onEjectionsChanged();
  }

  /** A host has left the cluster. */
  forget(host: ClusterHost): void {
    if (!host.ejected) return;
    host.ejected = false;
    this.#showActive();
  }

  /** Everybody comes back: detection was switched off, or the cluster goes. */
  close(): void {
    this.#sweep?.cancel();
    this.#sweep = null;
    for (const host of this.#owner.hosts()) {
      host.ejected = false;
      host.outlier.multiplier = 0;
    }
    this.#showActive();
  }

  #recordStatus(host: ClusterHost, status: number): void {
    const state = host.outlier;
    if (status < 500 || status > 599) {
      state.consecutive5xx = 0;
      state.consecutiveGateway = 0;
      state.consecutiveLocal = 0;
      return;
    }
    const spec = this.#spec;
    state.consecutiveGateway = status >= 502 && status <= 504 ? state.consecutiveGateway + 1 : 0;
    state.consecutive5xx++;
    state.consecutiveLocal = 0;
    if (reached(state.consecutiveGateway, spec.consecutiveGatewayFailure)) {
      state.consecutiveGateway = 0;
      this.#detected(host, 'consecutive_gateway_failure', spec.enforcingConsecutiveGatewayFailure);
    }
    if (reached(state.consecutive5xx, spec.consecutive5xx)) {
      state.consecutive5xx = 0;
      this.#detected(host, 'consecutive_5xx', spec.enforcingConsecutive5xx);
    }
  }

  #recordLocal(host: ClusterHost): void {
    const state = host.outlier;
    state.consecutiveLocal++;
    if (!reached(state.consecutiveLocal, this.#spec.consecutiveLocalOriginFailure)) return;
    state.consecutiveLocal = 0;
    const enforcing = this.#spec.enforcingConsecutiveLocalOriginFailure;
    this.#detected(host, 'consecutive_local_origin_failure', enforcing);
  }

  #detected(host: ClusterHost, check: Check, enforcingPercent: number): void {
    if (host.ejected || host.removed) return;
    this.#count(at[`outlier_detection.ejections_detected_${check}`]);
    if (this.#runtime.random() * 100 >= enforcingPercent) return;
    if (!this.#mayEject(host)) {
      this.#count(at['outlier_detection.ejections_overflow']);
      return;
    }
    this.#count(at['outlier_detection.ejections_enforced_total']);
    this.#count(at[`outlier_detection.ejections_enforced_${check}`]);
    this.#eject(host);
  }

  /** One host may always go, more only up to the percentage; never the last that is available. */
  #mayEject(host: ClusterHost): boolean {
    const hosts = this.#owner.hosts();
    if (!hosts.some((other) => other !== host && other.available)) return false;
    const ejected = hosts.filter((other) => other.ejected).length;
    return ejected === 0 || (100 * (ejected + 1)) / hosts.length <= this.#spec.maxEjectionPercent;
  }

  #eject(host: ClusterHost): void {
    const state = host.outlier;
    const { baseEjectionTimeMs } = this.#spec;
    host.ejected = true;
    state.ejectedAtMs = this.#runtime.clock.nowMs;
    state.ejections++;
    if (state.multiplier === 0 || state.multiplier * baseEjectionTimeMs < this.#longestMs()) state.multiplier++;
    this.#showActive();
    this.#owner.onEjectionsChanged();
    this.#sweepLater();
  }

  #longestMs(): number {
    return Math.max(this.#spec.maxEjectionTimeMs, this.#spec.baseEjectionTimeMs);
  }

  /** The sweep runs only while somebody is ejected or still carries a multiplier: an idle cluster wakes nobody. */
  #sweepLater(): void {
    this.#sweep ??= this.#runtime.timers.after(this.#spec.intervalMs, () => {
      this.#sweep = null;
      this.#sweepNow();
    });
  }

  #sweepNow(): void {
    let changed = false;
    let again = false;
    if (this.#ratesCount()) this.#checkRates();
    for (const host of this.#owner.hosts()) {
      if (!host.ejected) host.outlier.multiplier = Math.max(0, host.outlier.multiplier - 1);
      else if (this.#served(host)) changed = this.#readmit(host);
      again ||= host.ejected || host.outlier.multiplier > 0;
    }
    if (changed) {
      this.#showActive();
      this.#owner.onEjectionsChanged();
    }
    if (again) this.#sweepLater();
  }

  /** Compares the hosts over the interval that ends, and begins a new one. */
  #checkRates(): void {
    const hosts = this.#owner.hosts();
    const present = hosts.filter((host) => !host.ejected);
    this.#judgeRates(
      present.map((host) => [host, { ...host.outlier.external }] as const),
      false,
    );
    if (this.#spec.splitExternalLocalOriginErrors) {
      this.#judgeRates(
        present.map((host) => [host, { ...host.outlier.local }] as const),
        true,
      );
    }
    for (const { outlier } of hosts) {
      for (const count of [outlier.external, outlier.local]) {
        count.successes = 0;
        count.total = 0;
      }
    }
  }

  #judgeRates(counts: readonly (readonly [ClusterHost, RateCount])[], local: boolean): void {
    const { successRate, failurePercentage } = this.#spec;
    if (successRate) {
      const check = local ? 'local_origin_success_rate' : 'success_rate';
      const enforcing = local ? successRate.enforcingLocal : successRate.enforcing;
      const found = belowTheOthers(counts, successRate, successRate.stdevFactor);
      for (const host of found) this.#detected(host, check, enforcing);
    }
    if (failurePercentage) {
      const check = local ? 'local_origin_failure_percentage' : 'failure_percentage';
      const enforcing = local ? failurePercentage.enforcingLocal : failurePercentage.enforcing;
      const found = failingTooOften(counts, failurePercentage, failurePercentage.threshold);
      for (const host of found) this.#detected(host, check, enforcing);
    }
  }

  #served(host: ClusterHost): boolean {
    const lastsMs = Math.min(this.#spec.baseEjectionTimeMs * host.outlier.multiplier, this.#longestMs());
    return this.#runtime.clock.nowMs - host.outlier.ejectedAtMs >= lastsMs;
  }

  #readmit(host: ClusterHost): true {
    host.ejected = false;
    host.outlier.consecutive5xx = 0;
    host.outlier.consecutiveGateway = 0;
    host.outlier.consecutiveLocal = 0;
    return true;
  }

  #showActive(): void {
    const active = this.#owner.hosts().filter((host) => host.ejected).length;
    this.#runtime.slots[this.#base + at['outlier_detection.ejections_active']] = active;
  }

  #count(slot: number): void {
    const { slots } = this.#runtime;
    slots[this.#base + slot] = (slots[this.#base + slot] ?? 0) + 1;
  }
}

/** A threshold of 0 is never reached. */
function reached(count: number, threshold: number): boolean {
  return threshold > 0 && count >= threshold;
}
