/**
 * Active health checks: each host is asked at intervals and taken out after so many failures, back in after so many
 * successes (Envoy's thresholds and intervals). Each worker asks for itself.
 * Invariant: a host has at most one check under way, and none once it has left the cluster.
 */
import type { HealthCheckSpec } from '../model/cluster.ts';
import type { Stream, StreamHandler } from '../net/stream.ts';
import { clusterStat } from '../stats/layout.ts';
import type { TimerHandle, WorkerRuntime } from '../worker/runtime.ts';
import { HealthProbe, type ProbeVerdict } from './health-probe.ts';
import type { ClusterHost } from './host.ts';

const { at } = clusterStat;

export interface CheckedCluster {
  hosts(): readonly ClusterHost[];
  dial(host: ClusterHost, connectTimeoutMs: number, handler: StreamHandler): Stream;
  /** A host went out or came back: lists must be made anew. */
  onHealthChanged(): void;
  /** A check of this host has passed. */
  onPassed(host: ClusterHost): void;
}

interface Session {
  timer: TimerHandle | null;
  probe: HealthProbe | null;
  failures: number;
  successes: number;
  first: boolean;
}

export class HealthChecker {
  readonly #spec: HealthCheckSpec;
  readonly #owner: CheckedCluster;
  readonly #runtime: WorkerRuntime;
  readonly #base: number;
  readonly #sessions = new Map<ClusterHost, Session>();

  constructor(spec: HealthCheckSpec, owner: CheckedCluster, runtime: WorkerRuntime, base: number) {
    this.#spec = spec;
    this.#owner = owner;
    this.#runtime = runtime;
    this.#base = base;
  }

  /** Hosts have come or gone. A new one is out until its first check has passed. */
  follow(hosts: readonly ClusterHost[]): void {
    const present = new Set(hosts);
    for (const [host, session] of this.#sessions) if (!present.has(host)) this.#stop(host, session);
    for (const host of hosts) if (!this.#sessions.has(host)) this.#begin(host);
    this.#showHealthy();
  }

  /** No more checks; every host counts as healthy again. */
  close(): void {
    for (const [host, session] of this.#sessions) {
      this.#stop(host, session);
      host.failedActiveCheck = false;
      host.checkTimedOut = false;
    }
  }

  #begin(host: ClusterHost): void {
    const session: Session = { timer: null, probe: null, failures: 0, successes: 0, first: true };
    this.#sessions.set(host, session);
    host.failedActiveCheck = true;
    this.#later(host, session, this.#runtime.random() * this.#spec.initialJitterMs);
  }

  #stop(host: ClusterHost, session: Session): void {
    session.timer?.cancel();
    session.probe?.cancel();
    this.#sessions.delete(host);
  }

  #later(host: ClusterHost, session: Session, delayMs: number): void {
    session.timer = this.#runtime.timers.after(delayMs, () => this.#check(host, session));
  }

  #check(host: ClusterHost, session: Session): void {
    const { timeoutMs, probe: spec } = this.#spec;
    this.#count(at['health_check.attempt']);
    const probe = new HealthProbe(spec, this.#runtime.readBuffer, (verdict) =>
      this.#decided(host, session, verdict, false),
    );
    session.probe = probe;
    session.timer = this.#runtime.timers.after(timeoutMs, () => {
      probe.cancel();
      this.#decided(host, session, 'network', true);
    });
    probe.start((handler) => this.#owner.dial(host, timeoutMs, handler));
  }

  #decided(host: ClusterHost, session: Session, verdict: ProbeVerdict, timedOut: boolean): void {
    session.timer?.cancel();
    session.probe = null;
    const before = host.failedActiveCheck;
    if (verdict === 'passed') this.#passed(host, session);
    else this.#failed(host, session, verdict, timedOut);
    session.first = false;
    if (host.failedActiveCheck !== before) {
      this.#owner.onHealthChanged();
      this.#showHealthy();
    }
    this.#later(host, session, this.#delayMs(host, session));
  }

  #passed(host: ClusterHost, session: Session): void {
    this.#count(at['health_check.success']);
    session.failures = 0;
    session.successes++;
    host.checkTimedOut = false;
    // The first check decides alone, so that a start does not take so many rounds.
    if (session.first || session.successes >= this.#spec.healthyThreshold) {
      if (host.failedActiveCheck) host.freshSinceMs = this.#runtime.clock.nowMs;
      host.failedActiveCheck = false;
    }
    this.#owner.onPassed(host);
  }

  /** An answer that says no counts at once; silence and broken connections count up to the threshold. */
  #failed(host: ClusterHost, session: Session, verdict: ProbeVerdict, timedOut: boolean): void {
    this.#count(at['health_check.failure']);
    if (verdict === 'network') this.#count(at['health_check.network_failure']);
    session.successes = 0;
    session.failures++;
    host.checkTimedOut = timedOut;
    if (verdict === 'refused' || session.first || session.failures >= this.#spec.unhealthyThreshold) {
      host.failedActiveCheck = true;
    }
  }

  /** A cluster that was never used is asked less often; a host about to change sides may be asked more often. */
  #delayMs(host: ClusterHost, session: Session): number {
    const spec = this.#spec;
    const used = (this.#runtime.slots[this.#base + at.upstream_cx_total] ?? 0) > 0;
    const healthy = !host.failedActiveCheck;
    const pending = healthy ? session.failures > 0 : session.successes > 0;
    const base = !used
      ? healthy
        ? spec.noTrafficHealthyIntervalMs
        : spec.noTrafficIntervalMs
      : healthy
        ? pending
          ? spec.healthyEdgeIntervalMs
          : spec.intervalMs
        : pending
          ? spec.unhealthyEdgeIntervalMs
          : spec.unhealthyIntervalMs;
    const jitter = this.#runtime.random() * ((base * spec.intervalJitterPercent) / 100 + spec.intervalJitterMs);
    return base + jitter;
  }

  #showHealthy(): void {
    const healthy = this.#owner.hosts().filter((host) => !host.failedActiveCheck).length;
    this.#runtime.slots[this.#base + at['health_check.healthy']] = healthy;
  }

  #count(slot: number): void {
    const { slots } = this.#runtime;
    slots[this.#base + slot] = (slots[this.#base + slot] ?? 0) + 1;
  }
}
