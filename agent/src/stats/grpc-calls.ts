/** gRPC calls by method as statistics, with Envoy's names: the main thread's sums of what the workers tell. */
import type { GrpcCallCount } from '../model/update.ts';
import type { Label } from './blocks.ts';
import { histogramBuckets } from './layout.ts';
import type { MainHistogram, MainStat } from './registry.ts';

const keyOf = ({ cluster, service, method }: GrpcCallCount): string => `${cluster}\n${service}\n${method}`;

function add(a: GrpcCallCount, b: GrpcCallCount): GrpcCallCount {
  return {
    ...a,
    requestMessages: a.requestMessages + b.requestMessages,
    responseMessages: a.responseMessages + b.responseMessages,
    statuses: joined(a.statuses, b.statuses),
    times: joined(a.times, b.times),
    timesMs: a.timesMs + b.timesMs,
  };
}

type Tally = GrpcCallCount['statuses'];

function joined(a: Tally, b: Tally): Tally {
  const sums = new Map(a);
  for (const [key, calls] of b) sums.set(key, (sums.get(key) ?? 0) + calls);
  return [...sums];
}

function addTo(sums: Map<string, GrpcCallCount>, counts: Iterable<GrpcCallCount>): void {
  for (const c of counts) {
    const known = sums.get(keyOf(c));
    sums.set(keyOf(c), known === undefined ? c : add(known, c));
  }
}

/** Of one worker, and of those that were there before it: what was counted stays counted. */
export class GrpcCallSums {
  readonly #now = new Map<string, GrpcCallCount>();
  readonly #past = new Map<string, GrpcCallCount>();

  /** Totals of the worker that runs. */
  take(calls: readonly GrpcCallCount[]): void {
    for (const c of calls) this.#now.set(keyOf(c), c);
  }

  workerEnded(): void {
    addTo(this.#past, this.#now.values());
    this.#now.clear();
  }

  addTo(sums: Map<string, GrpcCallCount>): void {
    addTo(sums, this.#past.values());
    addTo(sums, this.#now.values());
  }
}

function sumsOf(workers: readonly GrpcCallSums[]): Iterable<GrpcCallCount> {
  const sums = new Map<string, GrpcCallCount>();
  for (const w of workers) w.addTo(sums);
  return sums.values();
}

function namesOf({ cluster, service, method }: GrpcCallCount): {
  readonly prefix: string;
  readonly labels: readonly Label[];
} {
  const isMethod = service !== '';
  return {
    prefix: `cluster.${cluster}.grpc.${isMethod ? `${service}.${method}.` : ''}`,
    labels: [
      ...(isMethod ? [{ name: 'envoy_grpc_bridge_method', value: method }] : []),
      ...(isMethod ? [{ name: 'envoy_grpc_bridge_service', value: service }] : []),
      { name: 'envoy_cluster_name', value: cluster },
    ],
  };
}

/** `cluster.C.grpc.SERVICE.METHOD.success` and its neighbours (grpc_stats_filter.rst). */
export function* grpcStats(workers: readonly GrpcCallSums[]): Iterable<MainStat> {
  for (const count of sumsOf(workers)) {
    const { requestMessages, responseMessages, statuses } = count;
    const total = statuses.reduce((sum, [, calls]) => sum + calls, 0);
    const success = statuses.find(([status]) => status === 0)?.[1] ?? 0;
    const numbers: readonly (readonly [name: string, value: number])[] = [
      ...statuses.map(([status, calls]) => [String(status), calls] as const),
      ['success', success],
      ['failure', total - success],
      ['total', total],
      ['request_message_count', requestMessages],
      ['response_message_count', responseMessages],
    ];
    const { prefix, labels } = namesOf(count);
    for (const [name, value] of numbers) {
      yield { name: prefix + name, kind: 'counter', value, family: `cluster_grpc_${name}`, labels };
    }
  }
}

/** `upstream_rq_time` of those that tell times. */
export function* grpcTimes(workers: readonly GrpcCallSums[]): Iterable<MainHistogram> {
  for (const count of sumsOf(workers)) {
    if (count.times.length === 0) continue;
    const { prefix, labels } = namesOf(count);
    const buckets = new Float64Array(histogramBuckets);
    for (const [bucket, calls] of count.times) buckets[bucket] = calls;
    const name = 'upstream_rq_time';
    yield { name: prefix + name, family: `cluster_grpc_${name}`, labels, sum: count.timesMs, buckets };
  }
}
