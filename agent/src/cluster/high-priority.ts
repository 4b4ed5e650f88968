/**
 * A cluster as requests of HIGH routing priority see it: the same hosts and the same account of outcomes, with circuit
 * breakers of their own, so that what is important is not held up by what is not.
 */
import type { ClusterSpec, EndpointsSpec } from '../model/cluster.ts';
import type { ClusterHosts } from '../model/update.ts';
import { Admission } from './admission.ts';
import { CircuitBreakers, defaultCircuit } from './circuit-breakers.ts';
import type { Cluster, Host, Outcome, Pick, PickContext, RoutingPriority } from './cluster.ts';

export class HighPriority extends Admission implements Cluster {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster, slots: Float64Array) {
    const { spec } = cluster;
    super(new CircuitBreakers(spec.highCircuit ?? defaultCircuit, slots, spec.stats, 'high'));
    this.#cluster = cluster;
  }

  get spec(): ClusterSpec {
    return this.#cluster.spec;
  }
  get priority(): RoutingPriority {
    return 'high';
  }
  get high(): Cluster {
    return this;
  }
  get name(): string {
    return this.#cluster.name;
  }
  get stats(): number {
    return this.#cluster.stats;
  }
  pick(context: PickContext): Pick {
    return this.#cluster.pick(context);
  }
  record(host: Host, outcome: Outcome): void {
    this.#cluster.record(host, outcome);
  }
  update(spec: ClusterSpec): void {
    this.#cluster.update(spec);
  }
  setEndpoints(endpoints: EndpointsSpec): void {
    this.#cluster.setEndpoints(endpoints);
  }
  onSecretChanged(name: string): void {
    this.#cluster.onSecretChanged(name);
  }
  snapshot(): ClusterHosts {
    return this.#cluster.snapshot();
  }
  close(): void {
    this.#cluster.close();
  }
}
