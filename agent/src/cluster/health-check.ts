/**
 * Active health checks: each host is asked at intervals and taken out after so many failures, back in after so many
 * successes (Envoy's thresholds and intervals). Each worker asks for itself.
 * Invariant: a host has at most one check under way, and none once it has left the cluster.
 */
import { http2HostOf } from '../http2/host-of.ts';
import type { HealthCheckSpec } from '../model/health-check.ts';
import type { AddressSpec } from '../model/listener.ts';
import type { Stream, StreamHandler } from '../net/stream.ts';
import { clusterStat } from '../stats/layout.ts';
import type { TimerHandle, WorkerRuntime } from '../worker/runtime.ts';
import { type FailureType, type HealthEvent, healthEventLine } from './health-events.ts';
import { HealthProbe, type Probe, type ProbeTarget, type ProbeVerdict, type TellVerdict } from './health-probe.ts';
import type { ClusterHost } from './host.ts';
import { Http2Probe } from './http2-probe.ts';

const { at } = clusterStat;

export interface CheckedCluster {
  readonly name: string;
  hosts(): readonly ClusterHost[];
  /** Whether checks of the host go over TLS. */
  isSecure(host: ClusterHost): boolean;
  dial(host: ClusterHost, address: AddressSpec, connectTimeoutMs: number, handler: StreamHandler): Stream;
  /** A host went out or came back: lists must be made anew. */
  onHealthChanged(): void;
  /** A check of this host has passed. */
  onPassed(host: ClusterHost): void;
}

interface Session {
  timer: TimerHandle | null;
  probe: Probe | null;
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
    const checked = new Set(hosts.filter(({ endpoint }) => endpoint.check?.disabled !== true));
    for (const [host, session] of this.#sessions) if (!checked.has(host)) this.#release(host, session);
    for (const host of checked) if (!this.#sessions.has(host)) this.#begin(host);
    this.#showHealthy();
  }

  /** No more checks; every host counts as healthy again. */
  close(): void {
    for (const [host, session] of this.#sessions) this.#release(host, session);
  }

  #release(host: ClusterHost, session: Session): void {
    this.#stop(host, session);
    host.failedActiveCheck = false;
    host.checkTimedOut = false;
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
    const { timeoutMs } = this.#spec;
    this.#count(at['health_check.attempt']);
    const probe = this.#newProbe(host, (verdict, status) => this.#decided(host, session, verdict, status, false));
    session.probe = probe;
    session.timer = this.#runtime.timers.after(timeoutMs, () => {
      probe.cancel();
      this.#decided(host, session, 'network', 0, true);
    });
    const address = checkedAddress(host);
    probe.start((handler) => this.#owner.dial(host, address, timeoutMs, handler));
  }

  #newProbe(host: ClusterHost, tell: TellVerdict): Probe {
    const { probe: spec, timeoutMs } = this.#spec;
    const own = host.endpoint.check?.hostname ?? '';
    const target = (name: string): ProbeTarget => ({
      host: own === '' ? name : own,
      secure: this.#owner.isSecure(host),
      timeoutMs,
    });
    if (spec.kind === 'grpc') return new Http2Probe(spec, target(spec.authority), http2HostOf(this.#runtime), tell);
    if (spec.kind === 'http' && spec.codec === 'http2') {
      return new Http2Probe(spec, target(spec.host), http2HostOf(this.#runtime), tell);
    }
    return new HealthProbe(spec, target(spec.kind === 'http' ? spec.host : ''), this.#runtime.readBuffer, tell);
  }

  #decided(host: ClusterHost, session: Session, verdict: ProbeVerdict, status: number, timedOut: boolean): void {
    session.timer?.cancel();
    session.probe = null;
    const before = host.failedActiveCheck;
    if (verdict === 'passed') this.#passed(host, session);
    else this.#failed(host, session, verdict, timedOut);
    if (this.#spec.events !== undefined) this.#tell(host, session, verdict, status, before);
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

  /** As in Envoy: a failure that changes something, or is the first check, is told; any other where all are wanted. */
  #tell(host: ClusterHost, { first }: Session, verdict: ProbeVerdict, status: number, wasOut: boolean): void {
    const { events } = this.#spec;
    if (events === undefined) return;
    const isOut = host.failedActiveCheck;
    if (verdict === 'passed') {
      if (wasOut && !isOut) this.#log(host, { kind: 'added', first });
      else if (events.allSuccesses) this.#log(host, { kind: 'passed' });
      return;
    }
    const failure: FailureType = verdict !== 'network' ? 'ACTIVE' : host.checkTimedOut ? 'NETWORK_TIMEOUT' : 'NETWORK';
    if (isOut && !wasOut) this.#log(host, { kind: 'ejected', failure, status });
    if (first || events.allFailures) this.#log(host, { kind: 'failed', failure, status, first });
  }

  #log(host: ClusterHost, event: HealthEvent): void {
    const { wallMs } = this.#runtime.clock;
    const line = healthEventLine(this.#owner.name, host, this.#spec.probe.kind, event, wallMs);
    for (const path of this.#spec.events?.paths ?? []) this.#runtime.logEvent(path, line);
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

/** Where a host is asked: at its own address, unless its endpoint names another, or another port. */
function checkedAddress({ address, endpoint }: ClusterHost): AddressSpec {
  const check = endpoint.check;
  if (check === undefined) return address;
  const at = check.address ?? address;
  return check.port === 0 ? at : { ip: at.ip, port: check.port };
}
