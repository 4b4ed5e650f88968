/** Route configurations as values, with everything that a test does not care about filled in. */
import type {
  DirectResponseSpec,
  PathMatchSpec,
  RedirectSpec,
  RouteActionSpec,
  RouteConfigSpec,
  RouteMatchSpec,
  RouteSpec,
  VirtualHostSpec,
} from '../../model/http.ts';
import { noMutations, redirect, routeTo } from '../../model/testing/specs.ts';
import type { MatchedRoute } from '../route-table.ts';

export { noMutations, redirect };

export const toCluster = (of: Partial<RouteActionSpec> = {}): RouteActionSpec => routeTo('c', of);

export function path(kind: PathMatchSpec['kind'], value: string, ignoreCase = false): PathMatchSpec {
  return kind === 'regex' ? { kind, value } : { kind, value, ignoreCase };
}

export function route(
  name: string,
  match: Partial<RouteMatchSpec> = {},
  action: RouteActionSpec | RedirectSpec | DirectResponseSpec = toCluster(),
): RouteSpec {
  const whole: RouteMatchSpec = {
    path: path('prefix', '/'),
    headers: [],
    query: [],
    fraction: null,
    grpc: false,
    ...match,
  };
  return { name, match: whole, action, headers: noMutations };
}

export function virtualHost(
  name: string,
  domains: readonly string[],
  routes: readonly RouteSpec[] = [route(name)],
  of: Partial<VirtualHostSpec> = {},
): VirtualHostSpec {
  return { name, domains, routes, headers: noMutations, retry: null, requireTls: 'none', ...of };
}

export function routeConfig(
  virtualHosts: readonly VirtualHostSpec[],
  of: Partial<RouteConfigSpec> = {},
): RouteConfigSpec {
  return { name: 'rc', virtualHosts, headers: noMutations, ignorePortInHost: false, ...of };
}

/** A route as the table hands it out, for the functions that take one. */
export function matched(spec: RouteSpec): MatchedRoute {
  const host = virtualHost('vh', ['*'], [spec]);
  return {
    spec,
    virtualHost: host,
    config: routeConfig([host]),
    action: spec.action,
    mutations: [],
    virtualCluster: null,
  };
}
