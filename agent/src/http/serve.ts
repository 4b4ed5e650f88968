/**
 * The way of a request, top to bottom: settle its headers, path and host; refuse upgrades nobody asked for; filters;
 * route; then a redirect, a direct response or the router. Returns when the request is answered or on its way.
 */
import { method } from '../http1/known-headers.ts';
import { rejected } from '../http1/rejection.ts';
import type { StreamDurationSpec } from '../model/http.ts';
import { deniedDetails } from '../policy/rbac.ts';
import { httpsLocation, redirectLocation } from '../route/redirect.ts';
import type { RouteResult } from '../route/route-table.ts';
import type { Framing } from './body-framing.ts';
import type { CompiledRoute } from './compiled-route.ts';
import type { Exchange } from './exchange.ts';
import { overridden } from './filter-overrides.ts';
import { applyEdits } from './header-mutations.ts';
import type { Manager, RbacFilter } from './manager.ts';
import { settleRequest } from './request-headers.ts';
import { streamDurationMs } from './stream-duration.ts';
import { isConnectTarget } from './upgrade-of.ts';

/** The request's body so far: [start, end) of the read buffer, and whether that is all of it. */
export interface FirstBody {
  readonly framing: Framing;
  readonly start: number;
  readonly end: number;
  readonly last: boolean;
}

const noRoute: RouteResult = { kind: 'none' };

/** Serves a request whose head was parsed. upgrade is the lower-case protocol it asks for, or ''. */
export function serve(x: Exchange, body: FirstBody, upgrade: string): void {
  const { manager } = x;
  // Whatever comes of it: where there is no tunnel, what a client sends into it must not be read as a request.
  if (upgrade !== '') x.closeAfter();
  const isConnect = x.requestHead.method === method.CONNECT;
  if (isConnect && !isConnectTarget(x.requestHead)) {
    x.reject(x.requestHead.transferEncodings > 0 ? rejected.transferEncoding : rejected.malformed);
    return;
  }
  const settled = settleRequest(x.view, manager, upgrade !== '' && !isConnect, x);
  if (settled.kind === 'rejected') {
    x.reject(settled.code);
    return;
  }
  if (settled.kind === 'redirect') {
    // No gRPC client follows a redirect.
    if (x.view.isGrpc) {
      x.reject(rejected.badPath);
      return;
    }
    manager.count(manager.at.downstream_rq_redirected_with_normalized_path);
    x.reply({ status: 307, body: '', headers: [['location', settled.path]] }, '', 'path_normalization_redirect');
    return;
  }
  if (settled.kind === 'undetected') {
    manager.count(manager.at.downstream_rq_rejected_via_ip_detection);
    x.reply({ status: settled.status, body: '' }, '', 'rejecting_because_detection_failed');
    return;
  }
  const early = upgrade === '' ? null : isConnect ? findConnectRoute(x) : findRoute(x);
  if (early !== null && !mayUpgrade(x, early, upgrade, body)) return;
  const result = early ?? findRoute(x);
  if (passesFilters(x, result)) act(x, result, body);
}

/** Serves a request again, as an internal redirect has changed it; who the client is has been settled before. */
export function serveRedirected(x: Exchange, result: RouteResult, body: FirstBody): void {
  x.hostRewritten = false;
  x.rewrittenFrom = '';
  x.setCookies.length = 0;
  if (passesFilters(x, result)) act(x, result, body);
}

/** False when a filter has answered. */
function passesFilters(x: Exchange, result: RouteResult): boolean {
  const { manager } = x;
  const overrides =
    manager.filters.length > 0 && result.kind === 'matched' ? manager.routes.of(result.route).overrides : null;
  for (let i = 0; i < manager.filters.length; i++) {
    const filter = manager.filters[i] as RbacFilter;
    if (!admits(overrides === null ? filter : overridden(filter, overrides), x)) return false;
  }
  return true;
}

function findRoute(x: Exchange): RouteResult {
  return x.manager.runtime.routes(x.manager.spec.routeConfig)?.match(x.view) ?? noRoute;
}

function findConnectRoute(x: Exchange): RouteResult {
  return x.manager.runtime.routes(x.manager.spec.routeConfig)?.matchConnect(x.view) ?? noRoute;
}

function mayUpgrade(x: Exchange, result: RouteResult, upgrade: string, body: FirstBody): boolean {
  if (x.requestHead.method === method.CONNECT && result.kind === 'none') return true;
  if (!isUpgradeEnabled(x.manager, result, upgrade)) {
    x.reply({ status: 403, body: '' }, '', 'upgrade_failed');
    return false;
  }
  // A body behind an Upgrade could be read as the first bytes of the tunnel by one side and not by the other.
  if (body.framing === 'none' || (body.framing === 'length' && body.last && body.end === body.start)) {
    x.router.wantsUpgrade = true;
    return true;
  }
  x.reject(rejected.malformed);
  return false;
}

function isUpgradeEnabled(manager: Manager, result: RouteResult, upgrade: string): boolean {
  if (result.kind === 'matched' && result.route.action.kind === 'route') {
    const own = result.route.action.upgrades[upgrade];
    if (own !== undefined) return own;
  }
  return manager.upgrades.has(upgrade);
}

function admits(filter: RbacFilter, x: Exchange): boolean {
  const { manager } = x;
  if (filter.shadowRules !== null) {
    manager.countRbac(filter, filter.shadowRules.check(x.view).allowed ? 'shadow_allowed' : 'shadow_denied');
  }
  if (filter.rules === null) return true;
  const verdict = filter.rules.check(x.view);
  manager.countRbac(filter, verdict.allowed ? 'allowed' : 'denied');
  if (verdict.allowed) return true;
  x.reply({ status: 403, body: 'RBAC: access denied' }, '', deniedDetails(verdict.policy));
  return false;
}

function act(x: Exchange, result: RouteResult, body: FirstBody): void {
  const { manager } = x;
  manager.count(manager.at.rq_total);
  switch (result.kind) {
    case 'none':
      manager.count(manager.at.no_route);
      x.reply({ status: 404, body: '' }, 'NR', 'route_not_found');
      return;
    case 'tls-required':
      x.virtualHost = result.virtualHost.name;
      redirect(x, 301, httpsLocation(x.view), null);
      return;
    case 'matched':
      break;
  }
  const route = manager.routes.of(result.route);
  const { action, spec, virtualHost } = result.route;
  x.routeName = spec.name;
  x.virtualHost = virtualHost.name;
  switch (action.kind) {
    case 'redirect':
      redirect(x, action.status, redirectLocation(result.route, x.view), route);
      return;
    case 'direct_response':
      respondDirectly(x, action.status, action.body, route);
      return;
    case 'route':
      if (action.idleTimeoutMs !== null) x.deadlines.setIdle(action.idleTimeoutMs);
      if (action.streamDuration) limitDuration(x, action.streamDuration);
      x.router.start(route, action, body);
      return;
  }
}

function limitDuration(x: Exchange, spec: StreamDurationSpec): void {
  x.deadlines.setLife(streamDurationMs(x.view, spec, x.manager.spec.maxStreamDurationMs ?? 0));
}

function redirect(x: Exchange, status: number, location: string, route: CompiledRoute | null): void {
  x.manager.count(x.manager.at.rq_direct_response);
  x.reply({ status, body: '', headers: [['location', location]] }, '', 'direct_response', editor(x, route));
}

function respondDirectly(x: Exchange, status: number, body: string, route: CompiledRoute): void {
  x.manager.count(x.manager.at.rq_direct_response);
  const headers: [string, string][] = [];
  if (status === 201 || (status >= 300 && status < 400)) {
    headers.push(['location', `${x.view.scheme}://${x.view.authority}${x.view.path}`]);
  }
  x.reply({ status, body, headers }, '', 'direct_response', editor(x, route));
}

/** The route's own response headers belong on the answers that it gives itself. */
function editor(x: Exchange, route: CompiledRoute | null): (() => void) | null {
  const edits = route?.responseEdits ?? null;
  return edits === null ? null : () => applyEdits(edits, x.responseHead, x);
}
