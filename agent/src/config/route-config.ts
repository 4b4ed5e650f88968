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
import { readFilterOverrides } from './filter-overrides.ts';
import { readHeaderMutations } from './header-mutations.ts';
import type { MessageReader } from './message-reader.ts';
import { readMirrors } from './mirrors.ts';
import { readRetryPolicy } from './retry.ts';
import {
  defaultDirectBodyBytes,
  nonForwarding,
  readDirectResponse,
  readRedirect,
  readRouteAction,
} from './route-action.ts';
import { readRouteMatch } from './route-match.ts';
import { readHeaderMatch } from './string-match.ts';

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
  r.only('ignorePathParametersInPathMatching', false);
  const level: Level = {
    checkClusters,
    maxBodyBytes: r.take('maxDirectResponseBodySizeBytes') ?? defaultDirectBodyBytes,
    context,
  };
  const virtualHosts = r.each('virtualHosts', (v) => readVirtualHost(v, level));
  refuseDoubleDomains(r, virtualHosts);
  return {
    name: options.name ?? ownName,
    virtualHosts,
    headers: readHeaderMutations(r),
    ignorePortInHost: r.take('ignorePortInHostMatching'),
    mostSpecificWins: r.take('mostSpecificHeaderMutationsWins'),
    ...readMirrors(r, checkClusters, context),
    filters: readFilterOverrides(r),
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

/** What of the whole configuration its routes need. */
interface Level {
  readonly checkClusters: boolean;
  readonly maxBodyBytes: number;
  readonly context: CompileContext;
}

function readVirtualHost(r: MessageReader<VirtualHost>, level: Level): VirtualHostSpec {
  const name = r.take('name');
  return {
    name,
    domains: r.take('domains').map((d) => d.toLowerCase()),
    routes: r.each('routes', (route) => readRoute(route, name, level)),
    ...virtualClusters(r, name, level.context),
    headers: readHeaderMutations(r),
    retry: r.inside('retryPolicy', readRetryPolicy) ?? null,
    requireTls: r.oneOf('requireTls', tlsRequirements),
    attemptCount: {
      request: r.take('includeRequestAttemptCount'),
      response: r.take('includeAttemptCountInResponse'),
    },
    filters: readFilterOverrides(r),
    ...bufferLimit(r.take('perRequestBufferLimitBytes')),
    ...readMirrors(r, level.checkClusters, level.context),
  };
}

/** What none of them takes counts as `other`, as in Envoy. */
function virtualClusters(
  r: MessageReader<VirtualHost>,
  virtualHost: string,
  { env }: CompileContext,
): Pick<VirtualHostSpec, 'virtualClusters'> {
  const named = r.each('virtualClusters', (v) => ({
    headers: v.each('headers', readHeaderMatch),
    name: v.take('name'),
  }));
  if (named.length === 0) return {};
  const all = [...named, { headers: [], name: 'other' }];
  return {
    virtualClusters: all.map((c) => ({ ...c, stats: env.stats.virtualHost(virtualHost, 'vcluster', c.name) })),
  };
}

function bufferLimit(bytes: number | undefined): { readonly bufferLimitBytes?: number } {
  return bytes === undefined ? {} : { bufferLimitBytes: bytes };
}

function readRoute(r: MessageReader<Route>, virtualHost: string, level: Level): RouteSpec {
  const prefix = r.take('statPrefix');
  const { stats } = level.context.env;
  return {
    name: r.take('name'),
    match: r.required('match', readRouteMatch),
    action: readAction(r, level),
    headers: readHeaderMutations(r),
    filters: readFilterOverrides(r),
    ...bufferLimit(r.take('perRequestBufferLimitBytes')),
    ...(prefix === '' ? {} : { stats: stats.virtualHost(virtualHost, 'route', prefix) }),
  };
}

function readAction(
  r: MessageReader<Route>,
  { checkClusters, maxBodyBytes, context }: Level,
): RouteActionSpec | RedirectSpec | DirectResponseSpec {
  const action = r.take('action');
  switch (action.case) {
    case 'route':
      return r.within('route', action.value, (a) => readRouteAction(a, checkClusters, context));
    case 'redirect':
      return r.within('redirect', action.value, readRedirect);
    case 'directResponse':
      return r.within('directResponse', action.value, (a) => readDirectResponse(a, maxBodyBytes, context));
    case 'nonForwardingAction':
      return nonForwarding;
    case 'filterAction':
      throw r.unsupported(action.case);
    case undefined:
      throw r.invalid('action', 'is required');
  }
}
