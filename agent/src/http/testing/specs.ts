/** Compiled configuration for tests, with Envoy's defaults; a test names only what it is about. */
import type { ClusterSpec, EndpointSpec } from '../../model/cluster.ts';
import type {
  HeaderMutationsSpec,
  HttpConnectionManagerSpec,
  RetrySpec,
  RouteActionSpec,
  RouteConfigSpec,
  RouteSpec,
} from '../../model/http.ts';
import { defaultCluster, defaultEndpoint, noMutations, routeTo } from '../../model/testing/specs.ts';
import { clusterBlockSlots, httpBlockSlots } from '../../stats/layout.ts';

export { noMutations };

/** Where the blocks of the test's statistics start. */
export const testStats = {
  http: 1000,
  rbac: 900,
  cluster: 1000 + httpBlockSlots,
  slots: 1000 + httpBlockSlots + 4 * clusterBlockSlots,
};

export function managerSpec(over: Partial<HttpConnectionManagerSpec> = {}): HttpConnectionManagerSpec {
  return {
    kind: 'http_connection_manager',
    statPrefix: 'test',
    stats: testStats.http,
    routeConfig: 'routes',
    filters: [{ kind: 'router' }],
    accessLog: [{ path: '/dev/stdout', format: { kind: 'text', format: '' } }],
    codec: 'auto',
    serverName: 'envoy',
    serverHeader: 'overwrite',
    useRemoteAddress: false,
    xffNumTrustedHops: 0,
    skipXffAppend: false,
    generateRequestId: true,
    preserveExternalRequestId: false,
    alwaysSetRequestIdInResponse: false,
    normalizePath: false,
    mergeSlashes: false,
    escapedSlashes: 'keep',
    stripPort: 'none',
    forwardClientCert: 'sanitize',
    clientCertDetails: [],
    upgrades: [],
    maxRequestHeadersBytes: 61_440,
    maxHeadersCount: 100,
    idleTimeoutMs: 3_600_000,
    streamIdleTimeoutMs: 300_000,
    requestTimeoutMs: 0,
    requestHeadersTimeoutMs: 0,
    maxConnectionDurationMs: 0,
    maxRequestsPerConnection: 0,
    drainTimeoutMs: 5000,
    delayedCloseTimeoutMs: 1000,
    acceptHttp10: false,
    defaultHostForHttp10: '',
    enableTrailers: false,
    rejectUnderscoreHeaders: 'allow',
    suppressEnvoyHeaders: false,
    ...over,
  };
}

export function retrySpec(over: Partial<RetrySpec> = {}): RetrySpec {
  return {
    on: ['5xx'],
    retriableStatusCodes: [],
    numRetries: 1,
    perTryTimeoutMs: 0,
    backoffBaseMs: 25,
    backoffMaxMs: 250,
    retriableMethods: [],
    ...over,
  };
}

export const routeAction = (over: Partial<RouteActionSpec> = {}): RouteActionSpec => routeTo('app', over);

export function prefixRoute(
  prefix: string,
  action: RouteSpec['action'],
  headers: HeaderMutationsSpec = noMutations,
): RouteSpec {
  return {
    name: '',
    match: {
      path: { kind: 'prefix', value: prefix, ignoreCase: false },
      headers: [],
      query: [],
      fraction: null,
      grpc: false,
    },
    action,
    headers,
  };
}

export function routeConfig(routes: readonly RouteSpec[] = [prefixRoute('/', routeAction())]): RouteConfigSpec {
  return {
    name: 'routes',
    virtualHosts: [{ name: 'all', domains: ['*'], routes, headers: noMutations, retry: null, requireTls: 'none' }],
    headers: noMutations,
    ignorePortInHost: false,
  };
}

export const clusterSpec = (over: Partial<ClusterSpec> = {}): ClusterSpec =>
  defaultCluster({ name: 'app', stats: testStats.cluster, ...over });

export const endpoint = (port: number, ip = '127.0.0.1'): EndpointSpec => defaultEndpoint({ ip, port });
