/** What every cluster is, whatever its hosts come from: identity, circuit breakers, and the account of outcomes. */
import type { ClusterSpec, EndpointsSpec } from '../model/cluster.ts';
import type { ClusterHosts } from '../model/update.ts';
import { clusterStat } from '../stats/layout.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { Admission } from './admission.ts';
import { CircuitBreakers, defaultCircuit } from './circuit-breakers.ts';
import type { Cluster, Host, Outcome, Pick, PickContext, RoutingPriority } from './cluster.ts';
import { HighPriority } from './high-priority.ts';
import { type ClusterHost, hostState, usesSecret } from './host.ts';

export abstract class BaseCluster extends Admission implements Cluster {
  #spec: ClusterSpec;
  #high: HighPriority | null = null;
  protected readonly runtime: WorkerRuntime;

  constructor(spec: ClusterSpec, runtime: WorkerRuntime) {
    super(new CircuitBreakers(spec.circuit, runtime.slots, spec.stats, 'default'));
    this.#spec = spec;
    this.runtime = runtime;
  }

  get priority(): RoutingPriority {
    return 'default';
  }

  get high(): Cluster {
    this.#high ??= new HighPriority(this, this.runtime.slots);
    return this.#high;
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
    this.circuit.update(spec.circuit);
    this.#high?.circuit.update(spec.highCircuit ?? defaultCircuit);
  }

  onSecretChanged(name: string): void {
    for (const host of this.hosts()) if (usesSecret(host.tls, name)) host.drainPools();
  }

  snapshot(): ClusterHosts {
    const hosts = this.hosts().map(hostState);
    return { cluster: this.name, addedViaApi: this.#spec.type === 'eds' || this.#spec.type === 'original_dst', hosts };
  }

  protected count(slot: number, by = 1): void {
    const { slots } = this.runtime;
    slots[this.stats + slot] = (slots[this.stats + slot] ?? 0) + by;
  }

  protected show(slot: number, value: number): void {
    this.runtime.slots[this.stats + slot] = value;
  }

  /** The membership numbers, after every change of hosts or health. */
  protected showMembership(total: number, healthy: number): void {
    this.runtime.slots[this.stats + clusterStat.at.membership_total] = total;
    this.runtime.slots[this.stats + clusterStat.at.membership_healthy] = healthy;
  }
}
