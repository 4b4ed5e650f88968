/** The worker that exchanges live in: routes for every way to be served, short deadlines, limits that are met soon. */
import { tlsContext } from '../../../cluster/testing/cluster-fixture.ts';
import { defaultHttp2Options } from '../../../http2/options.ts';
import type { HttpConnectionManagerSpec, RouteActionSpec, RouteSpec } from '../../../model/http.ts';
import { FakeWorker } from '../fake-worker.ts';
import { endpoint, prefixRoute, retrySpec, routeAction, routeConfig, testStats } from '../specs.ts';

export interface LifeSetup {
  readonly upstream: 'http1' | 'http2' | 'downstream' | 'auto';
  /** Circuit breakers at 1. */
  readonly tight: boolean;
  /** Of bodies that may have to be sent again. */
  readonly bufferLimitBytes: number;
  /** On both sides; 0 is no limit. */
  readonly requestsPerConnection: number;
  /** What peers of HTTP/2 allow: a stream's first window, and how many streams an upstream takes. */
  readonly window: number;
  readonly streams: number;
  /** Dialled connections come up by themselves. */
  readonly connects: boolean;
  /** A malformed message of HTTP/2 ends its stream only. */
  readonly lenient: boolean;
  /** What comes before everybody goes: silence until all deadlines have passed, or everybody ends what is under way. */
  readonly end: 'silence' | 'help' | 'nothing';
}

/** The first segment of a path: which route a request takes. The second is the request's mark. */
export const kinds = [
  'plain',
  'retry',
  'again',
  'mirror',
  'all',
  'short',
  'direct',
  'moved',
  'denied',
  'lost',
  'nowhere',
  'bad',
  'tcp',
  'ws',
  'connect',
] as const;
export type Kind = (typeof kinds)[number];

const retry = retrySpec({
  on: ['5xx', 'reset', 'connect-failure', 'refused-stream'],
  numRetries: 2,
  perTryTimeoutMs: 150,
});
const internalRedirect = { maxRedirects: 2, codes: [302], crossScheme: false, predicates: [], copyHeaders: [] };
const mirrors = [{ cluster: 'mirror', clusterHeader: '', fraction: null, hostSuffix: false }];
const streamDuration = { maxMs: 80, grpcMaxMs: null, grpcOffsetMs: 0 };

const forwarded: readonly (readonly [kind: Kind, action: Partial<RouteActionSpec>])[] = [
  ['plain', {}],
  ['retry', { retry }],
  ['again', { internalRedirect }],
  ['mirror', { mirrors }],
  ['all', { retry, internalRedirect, mirrors }],
  ['short', { idleTimeoutMs: 50, streamDuration, retry }],
  ['denied', {}],
  ['ws', { upgrades: { websocket: true }, retry }],
];

const redirect = {
  kind: 'redirect',
  status: 301,
  scheme: null,
  httpsRedirect: false,
  host: 'b',
  port: null,
  path: null,
  prefixRewrite: null,
  stripQuery: false,
} as const;

function routes(): readonly RouteSpec[] {
  const tcp = { ...routeAction({ terminatesConnect: true, terminatesPost: true, upgrades: { CONNECT: true } }) };
  const connect = prefixRoute('/', routeAction({ upgrades: { connect: true }, retry }));
  return [
    { ...connect, match: { ...connect.match, path: { kind: 'connect' } } },
    ...forwarded.map(([kind, action]) => prefixRoute(`/${kind}/`, routeAction({ timeoutMs: 600, ...action }))),
    prefixRoute('/direct/', { kind: 'direct_response', status: 200, body: 'direct' }),
    prefixRoute('/moved/', redirect),
    prefixRoute('/lost/', { ...routeAction(), clusters: [{ name: 'lost', weight: 1 }] }),
    prefixRoute('/tcp/', { ...tcp, clusters: [{ name: 'tcp', weight: 1 }] }),
  ];
}

function manager(setup: LifeSetup): Partial<HttpConnectionManagerSpec> {
  const path = { kind: 'prefix', value: '/denied/', ignoreCase: false } as const;
  const denied = { name: 'denied', permissions: [{ kind: 'url_path', path }], principals: [{ kind: 'any' }] } as const;
  const rules = { action: 'deny', policies: [denied] } as const;
  return {
    filters: [{ kind: 'rbac', name: 'rbac', stats: testStats.rbac, rules, shadowRules: null }, { kind: 'router' }],
    http2: http2Of(setup),
    upgrades: ['connect'],
    requestTimeoutMs: 900,
    requestHeadersTimeoutMs: 700,
    streamIdleTimeoutMs: 800,
    idleTimeoutMs: 1500,
    drainTimeoutMs: 500,
    maxConnectionDurationMs: 3000,
    maxRequestsPerConnection: setup.requestsPerConnection,
    enableTrailers: true,
    normalizePath: true,
  };
}

const http2Of = ({ lenient }: LifeSetup) => ({
  ...defaultHttp2Options,
  allowConnect: true,
  overrideStreamErrorOnInvalidHttpMessage: lenient,
});

const tls = tlsContext('k', { alpn: ['h2', 'http/1.1'], requireSvid: false, autoSni: true });

/** Upstream connections go to the clusters app, mirror and tcp, in the order of the statistics. */
export const clusters = ['app', 'mirror', 'tcp'] as const;

export function makeWorker(setup: LifeSetup): FakeWorker {
  const circuit = { maxConnections: 1, maxPendingRequests: 1, maxRequests: 1, maxRetries: 1 };
  const w = new FakeWorker({
    manager: manager(setup),
    routes: routeConfig(routes()),
    cluster: {
      protocol: setup.upstream,
      tls: setup.upstream === 'auto' ? tls : null,
      http2: http2Of(setup),
      bufferLimitBytes: setup.bufferLimitBytes,
      idleTimeoutMs: 2000,
      maxRequestsPerConnection: setup.requestsPerConnection,
      ...(setup.tight ? { circuit } : {}),
    },
  });
  w.addCluster('mirror', endpoint(9000));
  w.addCluster('tcp', endpoint(9001));
  // What was agreed on is said when it comes up.
  w.autoConnect = setup.connects && setup.upstream !== 'auto';
  return w;
}
