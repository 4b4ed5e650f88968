/** The request head as the upstream gets it: expected timeout, rewrites and configured headers, in Envoy's order. */
import { method, token } from '../http1/known-headers.ts';
import type { RouteActionSpec } from '../model/http.ts';
import { rewriteHost, rewritePath } from '../route/rewrite.ts';
import { type CompiledRoute, expectedTimeoutMs } from './compiled-route.ts';
import type { Exchange } from './exchange.ts';
import { applyEdits } from './header-mutations.ts';
import { tellGrpcTimeout } from './stream-duration.ts';

/**
 * Once for each request; what depends on the attempt is set again by the two functions below. Configured headers come
 * before the rewrites, so that they tell of the request as the client has made it.
 */
export function prepareUpstreamHead(x: Exchange, route: CompiledRoute, action: RouteActionSpec): void {
  const { requestHead: head, view, manager } = x;
  const envoyHeaders = !manager.spec.suppressEnvoyHeaders;
  if (x.redirects !== null) renewExpectedTimeout(x, route);
  else if (envoyHeaders && route.expectedTimeout !== null) head.addStatic(route.expectedTimeout);
  if (action.grpcTimeout !== undefined && view.isGrpc) {
    const ms = expectedTimeoutMs(action.timeoutMs, route.retry);
    if (ms > 0) tellGrpcTimeout(head, ms);
  }
  if (countsAttempts(route)) head.set('x-envoy-attempt-count', '1');
  if (route.requestEdits !== null) {
    applyEdits(route.requestEdits, head, x);
    view.forget();
  }
  if (route.clusterHost !== null) {
    head.set('host', route.clusterHost);
    view.forget();
  }
  if (route.rewritesHost && !action.autoHostRewrite) setUpstreamHost(x, route, action, '');
  if (route.rewritesPath && head.method !== method.CONNECT) setUpstreamPath(x, route, envoyHeaders);
  if (head.method === method.CONNECT) head.setTarget(view.authority);
}

function setUpstreamPath(x: Exchange, route: CompiledRoute, envoyHeaders: boolean): void {
  const { requestHead: head, view } = x;
  const before = view.path;
  const after = rewritePath(route.matched, view);
  x.rewrittenFrom = before;
  if (after !== before) {
    head.setTarget(after);
    view.forget();
  }
  if (envoyHeaders) head.set('x-envoy-original-path', before);
}

/** The request has been sent before, by another route. */
function renewExpectedTimeout({ requestHead, manager }: Exchange, { expectedTimeout }: CompiledRoute): void {
  if (expectedTimeout === null) requestHead.remove(token['x-envoy-expected-rq-timeout-ms']);
  else if (!manager.spec.suppressEnvoyHeaders) requestHead.setLine(expectedTimeout);
}

function countsAttempts(route: CompiledRoute): boolean {
  return route.matched.virtualHost.attemptCount?.request === true;
}

/** Host as the route rewrites it; hostname is the endpoint's own name. What the client asked for is told once. */
export function setUpstreamHost(x: Exchange, route: CompiledRoute, action: RouteActionSpec, hostname: string): void {
  const { requestHead: head, view } = x;
  const before = view.authority;
  const host = rewriteHost(route.matched, view, hostname);
  if (host === null || host === before) return;
  if (!x.hostRewritten) {
    x.hostRewritten = true;
    if (!x.manager.spec.suppressEnvoyHeaders) head.set('x-envoy-original-host', before);
    if (action.appendXForwardedHost) {
      const forwarded = head.getAll('x-forwarded-host').join(',');
      head.set('x-forwarded-host', forwarded === '' ? before : `${forwarded},${before}`);
    }
  }
  head.set('host', host);
  view.forget();
  if (head.method === method.CONNECT) head.setTarget(host);
}

/** A retry tells the upstream how much time is left, and where asked for the how manyth attempt it is. */
export function renewAttemptHeaders(x: Exchange, route: CompiledRoute): void {
  const head = x.requestHead;
  if (countsAttempts(route)) head.set('x-envoy-attempt-count', String(x.router.attempts + 1));
  if (route.expectedTimeout === null) return;
  const left = expectedTimeoutMs(Math.ceil(x.deadlines.responseLeftMs), route.retry);
  if (left <= 0) return;
  if (head.has(token['x-envoy-expected-rq-timeout-ms'])) {
    head.set('x-envoy-expected-rq-timeout-ms', String(left));
  }
  const { action } = route.matched;
  if (action.kind === 'route' && action.grpcTimeout !== undefined && x.view.isGrpc) tellGrpcTimeout(head, left);
}

/** Host without port, for SNI. */
export function hostOf(authority: string): string {
  return authority.replace(/:[0-9]*$/, '');
}
