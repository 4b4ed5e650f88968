/**
 * Envoy's circuit breakers of one routing priority, in one worker: a resource is admitted below its limit, an overflow
 * is counted, and the `open` number says that the limit is reached.
 */
import type { CircuitSpec } from '../model/cluster.ts';
import { clusterStat } from '../stats/layout.ts';
import type { RoutingPriority } from './cluster.ts';

interface Resource {
  active: number;
  max: number;
  /** Slots of the counter of overflows and of the open gauge. */
  readonly overflow: number;
  readonly open: number;
}

const { at } = clusterStat;

/** Envoy's limits of a priority that has none configured. */
export const defaultCircuit: CircuitSpec = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
  retryBudget: null,
};

export class CircuitBreakers {
  readonly #slots: Float64Array;
  readonly connections: Resource;
  readonly pending: Resource;
  readonly requests: Resource;
  readonly retries: Resource;
  #spec: CircuitSpec;

  constructor(spec: CircuitSpec, slots: Float64Array, base: number, priority: RoutingPriority = 'default') {
    const resource = (overflow: number, open: number): Resource => ({
      active: 0,
      max: 0,
      overflow: base + overflow,
      open,
    });
    this.#slots = slots;
    this.#spec = spec;
    const open = (of: 'cx' | 'rq' | 'rq_pending' | 'rq_retry'): number =>
      base + at[`circuit_breakers.${priority}.${of}_open`];
    this.connections = resource(at.upstream_cx_overflow, open('cx'));
    this.pending = resource(at.upstream_rq_pending_overflow, open('rq_pending'));
    this.requests = resource(at.upstream_rq_pending_overflow, open('rq'));
    this.retries = resource(at.upstream_rq_retry_overflow, open('rq_retry'));
    this.update(spec);
  }

  /** New limits; what is admitted stays admitted. */
  update(spec: CircuitSpec): void {
    this.#spec = spec;
    this.connections.max = spec.maxConnections;
    this.pending.max = spec.maxPendingRequests;
    this.requests.max = spec.maxRequests;
    this.retries.max = spec.maxRetries;
    for (const resource of [this.connections, this.pending, this.requests, this.retries]) this.#show(resource);
  }

  admit(resource: Resource): boolean {
    if (resource.active >= resource.max) {
      this.#slots[resource.overflow] = (this.#slots[resource.overflow] ?? 0) + 1;
      return false;
    }
    resource.active++;
    if (resource.active === resource.max) this.#show(resource);
    return true;
  }

  release(resource: Resource): void {
    if (resource.active === 0) throw new Error('circuit breaker: released more than was admitted');
    resource.active--;
    if (resource.active === resource.max - 1) this.#show(resource);
  }

  /** With a budget the limit follows the load: a share of what is in flight, but at least a few. */
  admitRetry(): boolean {
    const budget = this.#spec.retryBudget ?? null;
    if (budget !== null) {
      const inFlight = this.requests.active + this.pending.active;
      this.retries.max = Math.max(budget.minRetries, Math.floor((budget.percent / 100) * inFlight));
    }
    return this.admit(this.retries);
  }

  #show(resource: Resource): void {
    this.#slots[resource.open] = resource.active >= resource.max ? 1 : 0;
  }
}
