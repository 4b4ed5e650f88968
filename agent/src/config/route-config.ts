/** RouteConfiguration with its virtual hosts and routes. */
import type { RouteConfiguration } from '@chainmail/xds/proto/envoy/config/route/v3/route';
import type { Route, VirtualHost } from '@chainmail/xds/proto/envoy/config/route/v3/route_components';
import type {
  DirectResponseSpec,
  RedirectSpec,
  RouteActionSpec,
  RouteConfigSpec,
  RouteSpec,
  VirtualHostSpec,
} from '../model/http.ts';
import type { CompileContext } from './compile-context.ts';
import { readHeaderMutations } from './header-mutations.ts';
import type { MessageReader } from './message-reader.ts';
import { readRetryPolicy } from './retry.ts';
import { readDirectResponse, readRedirect, readRouteAction } from './route-action.ts';
import { readRouteMatch } from './route-match.ts';

const tlsRequirements = { NONE: 'none', EXTERNAL_ONLY: 'external', ALL: 'all' } as const;

export interface RouteConfigOptions {
  /** Replaces the name in the message. */
  readonly name?: string;
  /** Whether clusters are checked when the message does not say: Envoy does for inline ones, and not for RDS. */
  readonly checkClusters: boolean;
}

export function readRouteConfig(
  r: MessageReader<RouteConfiguration>,
  options: RouteConfigOptions,
  context: CompileContext,
): RouteConfigSpec {
  const ownName = r.take('name');
  const checkClusters = r.take('validateClusters') ?? options.checkClusters;
  r.only('mostSpecificHeaderMutationsWins', false);
  r.only('ignorePathParametersInPathMatching', false);
  const virtualHosts = r.each('virtualHosts', (v) => readVirtualHost(v, checkClusters, context));
  refuseDoubleDomains(r, virtualHosts);
  return {
    name: options.name ?? ownName,
    virtualHosts,
    headers: readHeaderMutations(r),
    ignorePortInHost: r.take('ignorePortInHostMatching'),
  };
}

function refuseDoubleDomains(r: MessageReader<RouteConfiguration>, hosts: readonly VirtualHostSpec[]): void {
  const seen = new Set<string>();
  hosts.forEach((host, i) => {
    for (const domain of host.domains) {
      if (seen.has(domain)) {
        throw r.invalid(
          '',
          `Only unique values for domains are permitted. Duplicate entry of domain ${domain} in virtual_hosts[${i}]`,
        );
      }
      seen.add(domain);
    }
  });
}

function readVirtualHost(
  r: MessageReader<VirtualHost>,
  checkClusters: boolean,
  context: CompileContext,
): VirtualHostSpec {
  return {
    name: r.take('name'),
    domains: r.take('domains').map((d) => d.toLowerCase()),
    routes: r.each('routes', (route) => readRoute(route, checkClusters, context)),
    headers: readHeaderMutations(r),
    retry: r.inside('retryPolicy', readRetryPolicy) ?? null,
    requireTls: r.oneOf('requireTls', tlsRequirements),
  };
}

function readRoute(r: MessageReader<Route>, checkClusters: boolean, context: CompileContext): RouteSpec {
  return {
    name: r.take('name'),
    match: r.required('match', readRouteMatch),
    action: readAction(r, checkClusters, context),
    headers: readHeaderMutations(r),
  };
}

function readAction(
  r: MessageReader<Route>,
  checkClusters: boolean,
  context: CompileContext,
): RouteActionSpec | RedirectSpec | DirectResponseSpec {
  const action = r.take('action');
  switch (action.case) {
    case 'route':
      return r.within('route', action.value, (a) => readRouteAction(a, checkClusters, context));
    case 'redirect':
      return r.within('redirect', action.value, readRedirect);
    case 'directResponse':
      return r.within('directResponse', action.value, (a) => readDirectResponse(a, context));
    case 'filterAction':
    case 'nonForwardingAction':
      throw r.unsupported(action.case);
    case undefined:
      throw r.invalid('action', 'is required');
  }
}
