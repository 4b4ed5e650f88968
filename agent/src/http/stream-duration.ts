/** How long a request may take with its answer: the listener's limit, the route's, or what a gRPC caller asks for. */
import type { Head } from '../http1/head.ts';
import type { StreamDurationSpec } from '../model/http.ts';
import type { Request } from './request.ts';

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000_001 };

/** Milliseconds of a grpc-timeout header: up to 8 digits and a unit; null for anything else. */
export function grpcTimeoutMs(text: string | null): number | null {
  const match = /^([0-9]{1,8})([HMSmun])$/.exec(text ?? '');
  return match === null ? null : Math.ceil(Number(match[1]) * (unitMs[match[2] ?? ''] ?? 0));
}

/** Eight digits and a unit, as gRPC has it. */
const mostDigits = 99_999_999;
const units = [
  ['m', 1],
  ['S', 1_000],
  ['M', 60_000],
  ['H', 3_600_000],
] as const;

/** Says how long a call may take. */
export function tellGrpcTimeout(head: Head, ms: number): void {
  const [unit, length] = units.find(([, u]) => ms / u <= mostDigits) ?? ['H', 3_600_000];
  head.set('grpc-timeout', `${Math.floor(ms / length)}${unit}`);
}

/**
 * The limit of one request in milliseconds, 0 for none. A gRPC caller's own timeout counts only where the route says
 * so, never above the route's cap; the upstream of a gRPC call is told what became of it, and nothing where the route
 * lifts every limit.
 */
export function streamDurationMs({ head, isGrpc }: Request, spec: StreamDurationSpec, listenerMs: number): number {
  const asked = spec.grpcMaxMs === null ? null : grpcTimeoutMs(head.get('grpc-timeout'));
  const ms = asked === null ? (spec.maxMs ?? listenerMs) : withinCap(asked, spec);
  if (isGrpc && (ms > 0 || asked !== null)) tellGrpcTimeout(head, ms);
  else if (isGrpc && spec.maxMs === 0) head.removeName('grpc-timeout');
  return asked === null ? ms : Math.max(1, ms);
}

function withinCap(askedMs: number, { grpcMaxMs, grpcOffsetMs }: StreamDurationSpec): number {
  const capped = grpcMaxMs !== null && grpcMaxMs > 0 ? Math.min(askedMs, grpcMaxMs) : askedMs;
  return capped > grpcOffsetMs ? capped - grpcOffsetMs : capped;
}
