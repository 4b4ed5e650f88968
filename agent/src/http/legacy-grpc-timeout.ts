/**
 * A route's max_grpc_timeout: the caller's grpc-timeout is the timeout of the route, up to that, and the upstream is
 * told what became of it. Envoy's older way; the newer one is max_stream_duration (stream-duration.ts).
 */
import type { Head } from '../http1/head.ts';
import type { RouteActionSpec } from '../model/http.ts';
import { type CompiledRoute, expectedTimeoutOf } from './compiled-route.ts';
import { grpcTimeoutMs } from './stream-duration.ts';

/** The route as it is for this call; null without such a timeout. Only for calls of gRPC. */
export function asGrpcCall(
  head: Head,
  route: CompiledRoute,
  action: RouteActionSpec,
): { readonly route: CompiledRoute; readonly action: RouteActionSpec } | null {
  const { grpcTimeout } = action;
  if (grpcTimeout === undefined) return null;
  const timeoutMs = timeoutOf(grpcTimeoutMs(head.get('grpc-timeout')) ?? 0, grpcTimeout);
  const timed = { ...action, timeoutMs };
  return { action: timed, route: { ...route, expectedTimeout: expectedTimeoutOf(timed, route.retry) } };
}

/** 0 is without end, for the caller as for the route. */
function timeoutOf(askedMs: number, { maxMs, offsetMs }: NonNullable<RouteActionSpec['grpcTimeout']>): number {
  const leftMs = offsetMs < askedMs ? askedMs - offsetMs : askedMs;
  return maxMs > 0 && (leftMs === 0 || leftMs > maxMs) ? maxMs : leftMs;
}
