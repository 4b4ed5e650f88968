/** How long a request may take with its answer: the listener's limit, the route's, or what a gRPC caller asks for. */
import type { Head } from '../http1/head.ts';
import type { StreamDurationSpec } from '../model/http.ts';

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000_001 };

/** Milliseconds of a grpc-timeout header: up to 8 digits and a unit; null for anything else. */
export function grpcTimeoutMs(text: string | null): number | null {
  const match = /^([0-9]{1,8})([HMSmun])$/.exec(text ?? '');
  return match === null ? null : Math.ceil(Number(match[1]) * (unitMs[match[2] ?? ''] ?? 0));
}

/**
 * The limit of one request in milliseconds, 0 for none. A gRPC caller's own timeout counts only where the route says
 * so, never above the route's cap, and the upstream is told what became of it.
 */
export function streamDurationMs(head: Head, spec: StreamDurationSpec, listenerMs: number): number {
  const asked = spec.grpcMaxMs === null ? null : grpcTimeoutMs(head.get('grpc-timeout'));
  if (asked === null) return spec.maxMs ?? listenerMs;
  const capped = spec.grpcMaxMs !== null && spec.grpcMaxMs > 0 ? Math.min(asked, spec.grpcMaxMs) : asked;
  const ms = capped > spec.grpcOffsetMs ? capped - spec.grpcOffsetMs : capped;
  head.set('grpc-timeout', `${Math.min(ms, 99_999_999)}m`);
  return Math.max(1, ms);
}
