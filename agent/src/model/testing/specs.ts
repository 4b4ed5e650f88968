/** Specs with the defaults of Envoy; a test names only what it is about. */
import type { ClusterSpec, EndpointSpec } from '../cluster.ts';
import type { HeaderMutationsSpec, RedirectSpec, RouteActionSpec } from '../http.ts';
import type { AddressSpec } from '../listener.ts';

export const noMutations: HeaderMutationsSpec = {
  requestAdd: [],
  requestRemove: [],
  responseAdd: [],
  responseRemove: [],
};

type Named<S, K extends keyof S> = Partial<S> & Pick<S, K>;

export function routeTo(cluster: string, of: Partial<RouteActionSpec> = {}): RouteActionSpec {
  return {
    kind: 'route',
    clusters: [{ name: cluster, weight: 1 }],
    clusterHeader: '',
    clusterNotFoundStatus: 503,
    timeoutMs: 15_000,
    idleTimeoutMs: null,
    retry: null,
    prefixRewrite: null,
    regexRewrite: null,
    hostRewrite: null,
    autoHostRewrite: false,
    hostRewriteHeader: null,
    appendXForwardedHost: false,
    upgrades: {},
    ...of,
  };
}

export function redirect(of: Partial<RedirectSpec> = {}): RedirectSpec {
  return {
    kind: 'redirect',
    status: 301,
    scheme: null,
    httpsRedirect: false,
    host: null,
    port: null,
    path: null,
    prefixRewrite: null,
    stripQuery: false,
    ...of,
  };
}

export function defaultCluster(of: Named<ClusterSpec, 'name' | 'stats'>): ClusterSpec {
  return {
    type: 'static',
    lb: 'round_robin',
    leastRequestChoices: 2,
    panicThreshold: 50,
    connectTimeoutMs: 5000,
    bufferLimitBytes: 1_048_576,
    tls: null,
    tlsMatches: [],
    circuit: { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 },
    outlier: null,
    bindV4: null,
    bindV6: null,
    tcpKeepalive: null,
    protocol: 'http1',
    idleTimeoutMs: 3_600_000,
    maxRequestsPerConnection: 0,
    ...of,
  };
}

export function defaultEndpoint(address: AddressSpec, of: Partial<EndpointSpec> = {}): EndpointSpec {
  return {
    address,
    hostname: '',
    health: 'healthy',
    weight: 1,
    priority: 0,
    locality: '',
    socketMatch: {},
    ...of,
  };
}
