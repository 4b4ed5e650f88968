/** The path and host that the upstream gets. */
import type { RequestView } from '../http/request-view.ts';
import type { PathMatchSpec, RewriteSpec, RouteActionSpec, RouteSpec } from '../model/http.ts';
import { compileRegex } from '../policy/regex.ts';
import type { MatchedRoute } from './route-table.ts';

/** The matched part of the path exchanged: the prefix, the exact path, or, for a regex, all of it. */
export function replaceMatchedPath(match: PathMatchSpec, replacement: string, path: string): string {
  const whole = match.kind === 'regex' || match.kind === 'connect';
  return whole ? replacement : replacement + path.slice(match.value.length);
}

type PathRewrite = (pathOnly: string) => string;

/** Compiled rewrites by route; filled by prepareRewrite when the route table is compiled. */
const compiled = new WeakMap<RouteSpec, PathRewrite>();
const hostRewrites = new WeakMap<RouteSpec, PathRewrite>();

/**
 * Compiles the path rewrite of a route, if it has one.
 * @throws UserError REGEX_INVALID, REGEX_TOO_LARGE
 */
export function prepareRewrite(route: RouteSpec): void {
  const { action } = route;
  if (action.kind === 'route' && action.hostRewritePathRegex) {
    hostRewrites.set(route, compileReplacement(action.hostRewritePathRegex));
  }
  if (action.kind === 'redirect' && action.regexRewrite) compiled.set(route, compileReplacement(action.regexRewrite));
  if (action.kind === 'route' && (action.prefixRewrite !== null || action.regexRewrite !== null)) {
    compiled.set(route, compileRewrite(action, route.match.path));
  }
}

/** Path with query for the upstream; the same string object when the route rewrites nothing. */
export function rewritePath(route: MatchedRoute, view: RequestView): string {
  const rewrite = compiled.get(route.spec);
  if (rewrite === undefined) return view.path;
  return rewrite(view.pathOnly) + view.path.slice(view.pathOnly.length);
}

function compileRewrite(action: RouteActionSpec, match: PathMatchSpec): PathRewrite {
  const { prefixRewrite, regexRewrite } = action;
  if (prefixRewrite !== null) return (path) => replaceMatchedPath(match, prefixRewrite, path);
  if (regexRewrite === null) return (path) => path;
  return compileReplacement(regexRewrite);
}

function compileReplacement({ pattern, substitution }: RewriteSpec): PathRewrite {
  const regex = compileRegex(pattern);
  return (path) => regex.replaceAll(path, substitution);
}

/** The path of a redirect with regex_rewrite, or null for one without. */
export function redirectPath(route: MatchedRoute, view: RequestView): string | null {
  return compiled.get(route.spec)?.(view.pathOnly) ?? null;
}

/**
 * The Host that the upstream gets, or null to leave it. upstreamHostname is the endpoint's own name, for
 * auto_host_rewrite.
 */
export function rewriteHost(route: MatchedRoute, view: RequestView, upstreamHostname: string): string | null {
  const action = route.action;
  if (action.kind !== 'route') return null;
  if (action.hostRewrite !== null) return action.hostRewrite;
  const byPath = hostRewrites.get(route.spec);
  if (byPath !== undefined) return byPath(view.pathOnly);
  if (action.hostRewriteHeader !== null) return view.header(action.hostRewriteHeader) || null;
  return action.autoHostRewrite && upstreamHostname !== '' ? upstreamHostname : null;
}
