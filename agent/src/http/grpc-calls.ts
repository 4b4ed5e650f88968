/**
 * What envoy.filters.http.grpc_stats counts: calls by cluster, service and method, and the messages in them. A caller
 * chooses the path of its call: the number of methods is bounded, and what is above it counts under the cluster alone, as Envoy counts everything when methods are not told apart.
 */
import type { GrpcStatsSpec } from '../model/http.ts';
import type { GrpcCallCount } from '../model/update.ts';
import { bucketOf } from '../stats/layout.ts';

const maxMethods = 1000;
/** No request has it. */
const noPath = '\n';
const maxNameLength = 256;
const methodPath = /^\/([^/]+)\/([^/]+)$/;

export class GrpcCallCounts {
  readonly cluster: string;
  /** '' for both where methods are not told apart. */
  readonly service: string;
  readonly method: string;
  requestMessages = 0;
  responseMessages = 0;
  /** Calls by grpc-status. */
  readonly statuses = new Map<number, number>();
  /** By bucket; null where times are not told. */
  readonly times: Map<number, number> | null;
  timesMs = 0;
  changed = false;

  constructor(cluster: string, service: string, method: string, times: boolean) {
    this.times = times ? new Map() : null;
    this.cluster = cluster;
    this.service = service;
    this.method = method;
  }

  /** How long the upstream took from the end of the request to the end of its answer. */
  took(ms: number): void {
    const { times } = this;
    if (times === null) return;
    const bucket = bucketOf(ms);
    times.set(bucket, (times.get(bucket) ?? 0) + 1);
    this.timesMs += ms;
    this.changed = true;
  }

  ended(status: number): void {
    this.changed = true;
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
  }
}

export class GrpcCallTable {
  readonly #clusters = new Map<string, Map<string, GrpcCallCounts>>();
  #methods = 0;

  /** Null for what is no path of a method. @param path without query */
  of(spec: GrpcStatsSpec, cluster: string, path: string): GrpcCallCounts | null {
    let calls = this.#clusters.get(cluster);
    if (calls === undefined) {
      calls = new Map();
      this.#clusters.set(cluster, calls);
    }
    const isTold = spec.methods === 'all' || spec.methods.includes(path);
    const known = isTold ? calls.get(path) : undefined;
    return known ?? this.#find(calls, spec, cluster, path, isTold);
  }

  #find(
    calls: Map<string, GrpcCallCounts>,
    spec: GrpcStatsSpec,
    cluster: string,
    path: string,
    isTold: boolean,
  ): GrpcCallCounts | null {
    const names = methodPath.exec(path);
    if (names === null) return null;
    const hasName = isTold && path.length <= maxNameLength && this.#methods < maxMethods;
    const key = hasName ? path : noPath;
    const known = calls.get(key);
    if (known !== undefined) return known;
    const [, service = '', method = ''] = hasName ? names : [];
    // Names of a list are told as they are listed, as in Envoy.
    const shown = spec.replaceDots && spec.methods === 'all' ? service.replaceAll('.', '_') : service;
    const made = new GrpcCallCounts(cluster, shown, method, spec.times);
    if (hasName) this.#methods++;
    calls.set(key, made);
    return made;
  }

  /** The totals of those that have changed since the last call. */
  takeChanges(): readonly GrpcCallCount[] {
    const changes: GrpcCallCount[] = [];
    for (const calls of this.#clusters.values()) {
      for (const counts of calls.values()) {
        if (!counts.changed) continue;
        counts.changed = false;
        const { cluster, service, method, requestMessages, responseMessages, statuses, times, timesMs } = counts;
        const lists = { statuses: [...statuses], times: times === null ? [] : [...times] };
        changes.push({ cluster, service, method, requestMessages, responseMessages, ...lists, timesMs });
      }
    }
    return changes;
  }
}

/** Counts the length-prefixed messages that begin in a stream of bytes. */
export class MessageCounter {
  /** Bytes of the prefix that have come, and of the message that have not. */
  #prefix = 0;
  #left = 0;

  reset(): void {
    this.#prefix = 0;
    this.#left = 0;
  }

  /** How many messages begin in [start, end). */
  count(bytes: Uint8Array, start: number, end: number): number {
    let begun = 0;
    let at = start;
    while (at < end) {
      if (this.#prefix === prefixBytes && this.#left > 0) {
        const n = Math.min(this.#left, end - at);
        this.#left -= n;
        at += n;
        if (this.#left === 0) this.#prefix = 0;
        continue;
      }
      if (this.#prefix === 0) {
        begun++;
        this.#left = 0;
      } else this.#left = this.#left * 256 + (bytes[at] as number);
      at++;
      if (++this.#prefix === prefixBytes && this.#left === 0) this.#prefix = 0;
    }
    return begun;
  }
}

const prefixBytes = 5;
