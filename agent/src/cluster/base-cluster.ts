/** What every cluster is, whatever its hosts come from: identity, circuit breakers, and the account of outcomes. */
import type { ClusterSpec, EndpointsSpec } from '../model/cluster.ts';
import type { ClusterHosts } from '../model/update.ts';
import { clusterStat } from '../stats/layout.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { CircuitBreakers } from './circuit-breakers.ts';
import type { Cluster, Host, Outcome, Pick, PickContext } from './cluster.ts';
import { type ClusterHost, hostState, usesSecret } from './host.ts';

export abstract class BaseCluster implements Cluster {
  #spec: ClusterSpec;
  readonly #circuit: CircuitBreakers;
  protected readonly runtime: WorkerRuntime;

  constructor(spec: ClusterSpec, runtime: WorkerRuntime) {
    this.#spec = spec;
    this.runtime = runtime;
    this.#circuit = new CircuitBreakers(spec.circuit, runtime.slots, spec.stats);
  }

  get spec(): ClusterSpec {
    return this.#spec;
  }

  get name(): string {
    return this.#spec.name;
  }

  get stats(): number {
    return this.#spec.stats;
  }

  protected abstract hosts(): readonly ClusterHost[];
  abstract pick(context: PickContext): Pick;
  abstract setEndpoints(endpoints: EndpointsSpec): void;
  abstract close(): void;

  record(host: Host, outcome: Outcome): void {
    if (outcome.kind === 'response' && outcome.status < 500) host.rqSuccess++;
    else host.rqError++;
    if (outcome.kind === 'local' && outcome.cause === 'timeout') host.rqTimeout++;
  }

  update(spec: ClusterSpec): void {
    this.#spec = spec;
    this.#circuit.update(spec.circuit);
  }

  onSecretChanged(name: string): void {
    for (const host of this.hosts()) if (usesSecret(host.tls, name)) host.pool?.drain();
  }

  snapshot(): ClusterHosts {
    const hosts = this.hosts().map(hostState);
    return { cluster: this.name, addedViaApi: this.#spec.type === 'eds' || this.#spec.type === 'original_dst', hosts };
  }

  admitRequest(): boolean {
    return this.#circuit.admit(this.#circuit.requests);
  }
  releaseRequest(): void {
    this.#circuit.release(this.#circuit.requests);
  }
  admitConnection(): boolean {
    return this.#circuit.admit(this.#circuit.connections);
  }
  releaseConnection(): void {
    this.#circuit.release(this.#circuit.connections);
  }
  admitPending(): boolean {
    return this.#circuit.admit(this.#circuit.pending);
  }
  releasePending(): void {
    this.#circuit.release(this.#circuit.pending);
  }
  admitRetry(): boolean {
    return this.#circuit.admitRetry();
  }
  releaseRetry(): void {
    this.#circuit.release(this.#circuit.retries);
  }

  protected count(slot: number): void {
    const { slots } = this.runtime;
    slots[this.stats + slot] = (slots[this.stats + slot] ?? 0) + 1;
  }

  /** The membership numbers, after every change of hosts or health. */
  protected showMembership(total: number, healthy: number): void {
    this.runtime.slots[this.stats + clusterStat.at.membership_total] = total;
    this.runtime.slots[this.stats + clusterStat.at.membership_healthy] = healthy;
  }
}
