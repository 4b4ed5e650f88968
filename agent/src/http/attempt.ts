/**
 * What one attempt at a host takes - a place among the cluster's requests, a count on the host, a connection - and gives
 * back, and how its end is told to statistics, outlier detection and the edge table. Invariant: `end` gives back exactly
 * what was taken, however often it is called.
 */
import type { Cluster, Host, Outcome } from '../cluster/cluster.ts';
import type { Edge } from '../net/edge.ts';
import type { MatchedRoute } from '../route/route-table.ts';
import {
  clusterCodes,
  clusterHistogram,
  clusterStat,
  codeSlots,
  observe,
  virtualHostCodes,
  virtualHostHistogram,
  virtualHostStat,
} from '../stats/layout.ts';
import type { LoopClock } from '../worker/runtime.ts';
import type { RequestView } from './request-view.ts';
import type { RequestPool, UpstreamRequest } from './upstream-request.ts';

const { at } = clusterStat;
const partAt = virtualHostStat.at;

const responses: readonly Outcome[] = Array.from({ length: 1000 }, (_, status) => ({ kind: 'response', status }));

export class Attempt {
  readonly #slots: Float64Array;
  readonly #clock: LoopClock;
  #cluster: Cluster | null = null;
  #admitted = false;
  #counted = false;
  #startedMs = 0;
  /** Statistics of the virtual cluster and of the route; 0 for none. */
  #virtualCluster = 0;
  #route = 0;
  /** The host of this attempt, or of the last one. */
  host: Host | null = null;
  #edge: Edge | null = null;
  /** Where a connection was asked for, and the connection once it is there. */
  pool: RequestPool | null = null;
  upstream: UpstreamRequest | null = null;

  constructor(slots: Float64Array, clock: LoopClock) {
    this.#slots = slots;
    this.#clock = clock;
  }

  reset(): void {
    this.#cluster = null;
    this.host = null;
    this.#edge = null;
    this.pool = null;
    this.upstream = null;
    this.#virtualCluster = 0;
    this.#route = 0;
  }

  /** Counts in the request's virtual cluster and in its route too, where they have statistics. Gives the former's name. */
  countPartsOf({ virtualCluster, spec }: MatchedRoute, request: RequestView): string {
    if (spec.stats !== undefined) this.#route = spec.stats;
    if (virtualCluster === null) return '';
    const found = virtualCluster(request);
    this.#virtualCluster = found.stats;
    return found.name;
  }

  /** False when the cluster has too many requests. */
  begin(cluster: Cluster): boolean {
    this.#cluster = cluster;
    this.#startedMs = this.#clock.nowMs;
    this.#edge = null;
    this.#admitted = cluster.admitRequest();
    return this.#admitted;
  }

  take(host: Host): void {
    this.host = host;
    this.#counted = true;
    host.activeRequests++;
    host.rqTotal++;
    this.count(at.upstream_rq_total);
    this.count(at.upstream_rq_active);
  }

  /** The connection is there. */
  connected(upstream: UpstreamRequest): void {
    this.upstream = upstream;
    this.#edge = upstream.edge;
  }

  get elapsedMs(): number {
    return Math.max(0, Math.floor(this.#clock.nowMs - this.#startedMs));
  }

  /** Gives everything back but the connection: that is the caller's, to release or to cancel. */
  end(): UpstreamRequest | null {
    const { upstream } = this;
    if (this.#admitted) this.#cluster?.releaseRequest();
    if (this.#counted && this.host !== null) {
      this.host.activeRequests--;
      this.count(at.upstream_rq_active, -1);
    }
    this.#admitted = false;
    this.#counted = false;
    this.pool = null;
    this.upstream = null;
    return upstream;
  }

  /** A complete answer, for the histogram too. */
  recordAnswer(status: number): void {
    const base = this.#cluster?.stats ?? 0;
    if (this.#cluster !== null) observe(this.#slots, base + clusterHistogram.upstream_rq_time, this.elapsedMs);
    const time = virtualHostHistogram.upstream_rq_time;
    if (this.#virtualCluster !== 0) observe(this.#slots, this.#virtualCluster + time, this.elapsedMs);
    if (this.#route !== 0) observe(this.#slots, this.#route + time, this.elapsedMs);
    this.recordStatus(status);
  }

  recordStatus(status: number): void {
    this.record(responses[status] as Outcome);
  }

  record(outcome: Outcome): void {
    if (this.host !== null) this.#cluster?.record(this.host, outcome);
    const edge = this.#edge;
    if (edge === null) return;
    edge.requests++;
    if (outcome.kind === 'local' || outcome.status >= 500) edge.failures++;
  }

  /** Counts an answer's head by code and class. */
  countStatus(status: number): void {
    this.count(at.upstream_rq_completed);
    if (status < 100 + codeSlots) this.count(clusterCodes + status - 100);
    if (status >= 500) this.count(at.upstream_rq_5xx);
    else if (status >= 400) this.count(at.upstream_rq_4xx);
    else if (status >= 300) this.count(at.upstream_rq_3xx);
    else if (status >= 200) this.count(at.upstream_rq_2xx);
    else this.count(at.upstream_rq_1xx);
    if (this.#virtualCluster !== 0 || this.#route !== 0) this.#countPartStatus(status);
  }

  #countPartStatus(status: number): void {
    this.countPart('upstream_rq_completed');
    if (status < 100 + codeSlots) this.#countPartSlot(virtualHostCodes + status - 100);
    const group = Math.min(5, Math.max(1, Math.floor(status / 100)));
    this.#countPartSlot(partAt.upstream_rq_1xx + group - 1);
  }

  /** Adds to a number of the virtual cluster and of the route, where they have any. */
  countPart(name: keyof typeof partAt): void {
    if (this.#virtualCluster !== 0 || this.#route !== 0) this.#countPartSlot(partAt[name]);
  }

  /** Adds to a number that the cluster has as well as the virtual cluster and the route. */
  countEverywhere(name: keyof typeof partAt & keyof typeof at): void {
    this.count(at[name]);
    this.countPart(name);
  }

  #countPartSlot(slot: number): void {
    const slots = this.#slots;
    const one = this.#virtualCluster + slot;
    const other = this.#route + slot;
    if (this.#virtualCluster !== 0) slots[one] = (slots[one] as number) + 1;
    if (this.#route !== 0) slots[other] = (slots[other] as number) + 1;
  }

  /** Adds to a number of the cluster. */
  count(slot: number, by = 1): void {
    if (this.#cluster === null) return;
    const i = this.#cluster.stats + slot;
    this.#slots[i] = (this.#slots[i] as number) + by;
  }
}
