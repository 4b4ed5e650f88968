/** From a route configuration to a RouteTable: matchers are made here, once; a request only runs them in order. */
import { ByteRange, type RequestView } from '../http/request-view.ts';
import { headerName } from '../http1/known-headers.ts';
import type {
  HeaderMutationsSpec,
  RouteConfigSpec,
  RouteMatchSpec,
  RouteSpec,
  VirtualClusterSpec,
  VirtualHostSpec,
} from '../model/http.ts';
import { compileHeaderMatch } from '../policy/header-match.ts';
import { compileHostMatch } from './host-match.ts';
import { compilePathMatch } from './path-match.ts';
import { compileQueryMatch } from './query-match.ts';
import { RememberedHosts } from './remembered-hosts.ts';
import { prepareRewrite } from './rewrite.ts';
import type { MatchedRoute, RouteResult, RouteTable } from './route-table.ts';

type RequestMatch = (view: RequestView) => boolean;

interface CompiledRoute {
  readonly matches: RequestMatch;
  readonly result: RouteResult;
}

interface CompiledHost {
  readonly requireTls: VirtualHostSpec['requireTls'];
  readonly tlsRequired: RouteResult;
  readonly routes: readonly CompiledRoute[];
  readonly connectRoutes: readonly CompiledRoute[];
}

const noRoute: RouteResult = { kind: 'none' };
const authorityName = headerName(':authority');

/**
 * Compiles a route configuration. random gives [0, 1) for routes with a fraction.
 * @throws UserError ROUTE_DUPLICATE_DOMAIN, REGEX_INVALID, REGEX_TOO_LARGE
 */
export function compileRouteTable(spec: RouteConfigSpec, random: () => number = Math.random): RouteTable {
  const nameOf = compileHostMatch(spec);
  const hosts = new Map(spec.virtualHosts.map((host) => [host, compileHost(spec, host, random)]));
  const remembered = new RememberedHosts((authority) => {
    const found = nameOf(authority);
    return found === null ? null : (hosts.get(found) ?? null);
  });
  const authority = new ByteRange();
  const hostOf = (request: RequestView): CompiledHost | null => {
    if (!request.locate(authorityName, authority)) authority.end = authority.start;
    return remembered.of(authority);
  };
  return {
    spec,
    match(request) {
      const host = hostOf(request);
      return host === null ? noRoute : (tlsFirst(host, request) ?? firstMatch(host.routes, request));
    },
    matchConnect(request) {
      const host = hostOf(request);
      return host === null ? noRoute : (tlsFirst(host, request) ?? firstMatch(host.connectRoutes, request));
    },
  };
}

function tlsFirst(host: CompiledHost, request: RequestView): RouteResult | null {
  return host.requireTls !== 'none' && needsTls(host.requireTls, request) ? host.tlsRequired : null;
}

function firstMatch(routes: readonly CompiledRoute[], request: RequestView): RouteResult {
  for (let i = 0; i < routes.length; i++) {
    const route = routes[i] as CompiledRoute; // an iterator would be garbage of every request
    if (route.matches(request)) return route.result;
  }
  return noRoute;
}

/** The scheme is what x-forwarded-proto says once the connection manager has settled it. */
export function schemeOf(request: RequestView): string {
  return request.header('x-forwarded-proto') ?? request.scheme;
}

function needsTls(required: 'external' | 'all', request: RequestView): boolean {
  if (schemeOf(request) === 'https') return false;
  return required === 'all' || request.header('x-envoy-internal') !== 'true';
}

function compileHost(config: RouteConfigSpec, host: VirtualHostSpec, random: () => number): CompiledHost {
  const virtualCluster = compileVirtualClusters(host.virtualClusters ?? []);
  const compile = (route: RouteSpec): CompiledRoute => ({
    matches: compileMatch(route.match, random),
    result: { kind: 'matched', route: matchedRoute(config, host, route, virtualCluster) },
  });
  const isConnect = (route: RouteSpec): boolean => route.match.path.kind === 'connect';
  return {
    requireTls: host.requireTls,
    tlsRequired: { kind: 'tls-required', virtualHost: host },
    routes: host.routes.filter((route) => !isConnect(route)).map(compile),
    connectRoutes: host.routes.filter(isConnect).map(compile),
  };
}

/** The last one takes what no other does. */
function compileVirtualClusters(specs: readonly VirtualClusterSpec[]): MatchedRoute['virtualCluster'] {
  const last = specs.at(-1);
  if (last === undefined) return null;
  const compiled = specs
    .slice(0, -1)
    .map((spec) => ({ spec, matches: spec.headers.map((h) => compileHeaderMatch(h)) }));
  return (view) => {
    for (let i = 0; i < compiled.length; i++) {
      const { spec, matches } = compiled[i] as (typeof compiled)[number];
      if (matches.every((m) => m(view))) return spec;
    }
    return last;
  };
}

function matchedRoute(
  config: RouteConfigSpec,
  virtualHost: VirtualHostSpec,
  spec: RouteSpec,
  virtualCluster: MatchedRoute['virtualCluster'],
): MatchedRoute {
  prepareRewrite(spec);
  const levels = [spec.headers, virtualHost.headers, config.headers];
  if (config.mostSpecificWins === true) levels.reverse();
  return { spec, virtualHost, config, action: spec.action, mutations: levels.filter(hasMutations), virtualCluster };
}

function hasMutations(level: HeaderMutationsSpec): boolean {
  const { requestAdd, requestRemove, responseAdd, responseRemove } = level;
  return requestAdd.length + requestRemove.length + responseAdd.length + responseRemove.length > 0;
}

/** Cheapest question first; the fraction last, so that it counts only requests that match otherwise. */
function compileMatch(spec: RouteMatchSpec, random: () => number): RequestMatch {
  const byPath = compilePathMatch(spec.path);
  const others: RequestMatch[] = [];
  if (spec.grpc) others.push((view) => view.isGrpc);
  for (const header of spec.headers) others.push(compileHeaderMatch(header, header.invert ? 'every' : 'any'));
  for (const parameter of spec.query) {
    const matches = compileQueryMatch(parameter);
    others.push((view) => matches(view.path));
  }
  const { fraction } = spec;
  if (fraction !== null && fraction < 1) others.push(() => random() < fraction);
  if (others.length === 0) return byPath;
  return (view) => byPath(view) && others.every((matches) => matches(view));
}
