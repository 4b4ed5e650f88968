/** What one agent's Prometheus page says about the requests that came to its pod. */
import { addBuckets, type Buckets, subtractBuckets } from './histogram.ts';
import { parsePrometheus, type Sample } from './prometheus.ts';

export interface AgentReading {
  readonly atMs: number;
  /** Responses by class: index 2 is 2xx. */
  readonly responses: readonly number[];
  /** gRPC calls that failed with an HTTP status of success. */
  readonly grpcFailures: number;
  readonly latency: Buckets;
  readonly activeConnections: number;
}

const inboundPrefix = /^inbound/;
const isInbound = (s: Sample): boolean => inboundPrefix.test(s.labels['envoy_http_conn_manager_prefix'] ?? '');

function responsesByClass(samples: readonly Sample[]): number[] {
  const classes = [0, 0, 0, 0, 0, 0];
  for (const s of samples) {
    const cls = Number(s.labels['envoy_response_code_class'] ?? 0);
    if (s.name === 'envoy_http_downstream_rq_xx' && isInbound(s)) classes[cls] = (classes[cls] ?? 0) + s.value;
  }
  return classes;
}

/** 0 where there is none: an Envoy has no such number of gRPC. */
function sumOf(samples: readonly Sample[], name: string): number {
  return samples.filter((s) => s.name === name && isInbound(s)).reduce((sum, s) => sum + s.value, 0);
}

/** Parses a page of /stats/prometheus, of our agent or of an Envoy. */
export function readAgent(page: string, atMs: number): AgentReading {
  const samples = parsePrometheus(page);
  const byPrefix = new Map<string, { le: number; count: number }[]>();
  for (const s of samples) {
    if (s.name !== 'envoy_http_downstream_rq_time_bucket' || !isInbound(s)) continue;
    const prefix = s.labels['envoy_http_conn_manager_prefix'] ?? '';
    const le = s.labels['le'] === '+Inf' ? Number.POSITIVE_INFINITY : Number(s.labels['le']);
    byPrefix.set(prefix, [...(byPrefix.get(prefix) ?? []), { le, count: s.value }]);
  }
  return {
    atMs,
    responses: responsesByClass(samples),
    grpcFailures: sumOf(samples, 'envoy_http_downstream_rq_grpc_failure'),
    latency: addBuckets([...byPrefix.values()]),
    activeConnections: sumOf(samples, 'envoy_http_downstream_cx_active'),
  };
}

/** The traffic between two readings of the same agent; a restart in between counts from zero. */
export interface AgentWindow {
  readonly seconds: number;
  readonly requests: number;
  readonly successes: number;
  readonly latency: Buckets;
  readonly activeConnections: number;
}

export function windowBetween(before: AgentReading, now: AgentReading): AgentWindow {
  const restarted = now.responses.some((n, i) => n < (before.responses[i] ?? 0));
  const delta = now.responses.map((n, i) => (restarted ? n : n - (before.responses[i] ?? 0)));
  const requests = delta.reduce((a, b) => a + b, 0);
  const grpcFailures = restarted ? now.grpcFailures : now.grpcFailures - before.grpcFailures;
  return {
    seconds: Math.max(0.001, (now.atMs - before.atMs) / 1000),
    requests,
    successes: requests - (delta[5] ?? 0) - grpcFailures,
    latency: subtractBuckets(now.latency, before.latency),
    activeConnections: now.activeConnections,
  };
}
