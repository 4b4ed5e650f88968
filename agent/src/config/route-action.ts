/** What a route does: forward, redirect or answer. */
import type { JsonObject } from '@bufbuild/protobuf';
import type {
  DirectResponseAction,
  RedirectAction,
  RouteAction,
  RouteAction_UpgradeConfig_ConnectConfig,
  WeightedCluster,
} from '@chainmail/xds/proto/envoy/config/route/v3/route_components';
import type {
  DirectResponseSpec,
  RedirectSpec,
  RouteActionSpec,
  RouteClusterSpec,
  StreamDurationSpec,
} from '../model/http.ts';
import type { CompileContext } from './compile-context.ts';
import { readDataSource } from './data-source.ts';
import { readHashPolicy } from './hash-policy.ts';
import { readHeaderMutations } from './header-mutations.ts';
import { readInternalRedirects } from './internal-redirects.ts';
import type { MessageReader } from './message-reader.ts';
import { readMetadataMatch, subsetOf } from './metadata.ts';
import { readMirrors } from './mirrors.ts';
import { readProxyVersion } from './proxy-version.ts';
import { replyStatusFault } from './reply-status.ts';
import { readRetryPolicy } from './retry.ts';
import { readRewrite } from './rewrite.ts';

/** Envoy's default of max_direct_response_body_size_bytes. */
export const defaultDirectBodyBytes = 4096;
const defaultTimeoutMs = 15_000;

const notFoundStatus = { SERVICE_UNAVAILABLE: 503, NOT_FOUND: 404, INTERNAL_SERVER_ERROR: 500 } as const;
const redirectStatus = {
  MOVED_PERMANENTLY: 301,
  FOUND: 302,
  SEE_OTHER: 303,
  TEMPORARY_REDIRECT: 307,
  PERMANENT_REDIRECT: 308,
} as const;

export function readRouteAction(
  r: MessageReader<RouteAction>,
  checkClusters: boolean,
  context: CompileContext,
): RouteActionSpec {
  r.only('includeVhRateLimits', false);
  return {
    kind: 'route',
    ...readTarget(r, checkClusters, context),
    ...(r.oneOf('priority', { DEFAULT: false, HIGH: true }) ? { highPriority: true } : {}),
    clusterNotFoundStatus: r.oneOf('clusterNotFoundResponseCode', notFoundStatus),
    timeoutMs: readTimeout(r),
    idleTimeoutMs: r.durationMs('idleTimeout') ?? null,
    retry: r.inside('retryPolicy', readRetryPolicy) ?? null,
    prefixRewrite: r.take('prefixRewrite') || null,
    regexRewrite: r.inside('regexRewrite', readRewrite) ?? null,
    ...readHostRewrite(r),
    appendXForwardedHost: r.take('appendXForwardedHost'),
    ...readInternalRedirects(r),
    ...readGrpcTimeout(r),
    streamDuration: readStreamDuration(r),
    hashPolicy: r.each('hashPolicy', readHashPolicy),
    ...readUpgrades(r),
    ...readMirrors(r, checkClusters, context),
  };
}

type Ending = Pick<RouteActionSpec, 'terminatesConnect' | 'terminatesPost' | 'tunnelProxyHeader'>;

function readUpgrades(r: MessageReader<RouteAction>): Pick<RouteActionSpec, 'upgrades'> & Ending {
  const upgrades = r.each('upgradeConfigs', (u) => {
    const type = u.take('upgradeType').toLowerCase();
    const ending = u.inside('connectConfig', readConnectConfig);
    if (ending !== undefined && type !== 'connect') throw u.invalid('connectConfig', 'only for upgrade_type CONNECT');
    return { type, enabled: u.take('enabled') ?? true, ending };
  });
  refuseDoubles(
    r,
    upgrades.map((u) => u.type),
  );
  return {
    upgrades: Object.fromEntries(upgrades.map((u) => [u.type, u.enabled])),
    ...upgrades.find((u) => u.ending !== undefined)?.ending,
  };
}

function refuseDoubles(r: MessageReader<RouteAction>, types: readonly string[]): void {
  const double = types.find((type, i) => types.indexOf(type) !== i);
  if (double !== undefined) throw r.invalid('upgradeConfigs', `Duplicate upgrade ${double}`);
}

function readConnectConfig(r: MessageReader<RouteAction_UpgradeConfig_ConnectConfig>): Ending {
  return {
    terminatesConnect: true,
    terminatesPost: r.take('allowPost'),
    tunnelProxyHeader: r.inside('proxyProtocolConfig', readProxyVersion) ?? null,
  };
}

/** With max_stream_duration the older timeout does not count, as in Envoy. */
function readTimeout(r: MessageReader<RouteAction>): number {
  const timeoutMs = r.durationMs('timeout') ?? defaultTimeoutMs;
  return r.message.maxStreamDuration === undefined ? timeoutMs : 0;
}

type Target = Pick<RouteActionSpec, 'clusters' | 'clusterHeader' | 'weightHeader' | 'subset'>;

function readTarget(r: MessageReader<RouteAction>, checkClusters: boolean, context: CompileContext): Target {
  const specifier = r.take('clusterSpecifier');
  const own = r.inside('metadataMatch', readMetadataMatch);
  const check = (name: string, path: string): void => {
    if (checkClusters) context.clusters.push({ name, path });
  };
  switch (specifier.case) {
    case 'cluster':
      check(specifier.value, r.at('cluster'));
      return { clusters: [{ name: specifier.value, weight: 1, ...subsetOf(own) }], clusterHeader: '' };
    case 'clusterHeader':
      return { clusters: [], clusterHeader: specifier.value.toLowerCase(), ...subsetOf(own) };
    case 'weightedClusters':
      return r.within('weightedClusters', specifier.value, (w) => ({
        clusters: readWeighted(w, own, check),
        weightHeader: weightHeaderOf(w),
        clusterHeader: '',
      }));
    case 'clusterSpecifierPlugin':
    case 'inlineClusterSpecifierPlugin':
      throw r.unsupported(specifier.case);
    case undefined:
      throw r.invalid('clusterSpecifier', 'is required');
  }
}

function readWeighted(
  r: MessageReader<WeightedCluster>,
  routeMatch: JsonObject | undefined,
  check: (name: string, path: string) => void,
): readonly RouteClusterSpec[] {
  const prefix = r.take('runtimeKeyPrefix');
  const clusters = r.each('clusters', (c) => {
    const name = c.take('name');
    if (name === '') throw c.invalid('name', 'is required');
    check(name, c.at('name'));
    const host = c.take('hostRewriteSpecifier');
    return {
      name,
      weight: c.runtime.whole(prefix === '' ? '' : `${prefix}.${name}`, c.take('weight') ?? 0),
      headers: readHeaderMutations(c),
      hostRewrite: host.case === undefined ? null : host.value,
      ...subsetOf(routeMatch, c.inside('metadataMatch', readMetadataMatch)),
    };
  });
  if (clusters.every((c) => c.weight === 0)) throw r.invalid('clusters', 'the sum of the weights must be above 0');
  return clusters;
}

function weightHeaderOf(r: MessageReader<WeightedCluster>): string {
  const specifier = r.take('randomValueSpecifier');
  return specifier.case === undefined ? '' : specifier.value.toLowerCase();
}

type HostRewrite = Pick<
  RouteActionSpec,
  'hostRewrite' | 'autoHostRewrite' | 'hostRewriteHeader' | 'hostRewritePathRegex'
>;

function readHostRewrite(r: MessageReader<RouteAction>): HostRewrite {
  const none: HostRewrite = {
    hostRewrite: null,
    autoHostRewrite: false,
    hostRewriteHeader: null,
    hostRewritePathRegex: null,
  };
  const specifier = r.take('hostRewriteSpecifier');
  switch (specifier.case) {
    case undefined:
      return none;
    case 'hostRewriteLiteral':
      return { ...none, hostRewrite: specifier.value };
    case 'autoHostRewrite':
      return { ...none, autoHostRewrite: specifier.value.value };
    case 'hostRewriteHeader':
      return { ...none, hostRewriteHeader: specifier.value.toLowerCase() };
    case 'hostRewritePathRegex':
      return { ...none, hostRewritePathRegex: r.within('hostRewritePathRegex', specifier.value, readRewrite) };
  }
}

export function readRedirect(r: MessageReader<RedirectAction>): RedirectSpec {
  const scheme = r.take('schemeRewriteSpecifier');
  const path = r.take('pathRewriteSpecifier');
  return {
    kind: 'redirect',
    status: r.oneOf('responseCode', redirectStatus),
    scheme: scheme.case === 'schemeRedirect' ? scheme.value : null,
    httpsRedirect: scheme.case === 'httpsRedirect' && scheme.value,
    host: r.take('hostRedirect') || null,
    port: r.take('portRedirect') || null,
    path: path.case === 'pathRedirect' ? path.value : null,
    prefixRewrite: path.case === 'prefixRewrite' ? path.value : null,
    regexRewrite: path.case === 'regexRewrite' ? r.within('regexRewrite', path.value, readRewrite) : null,
    stripQuery: r.take('stripQuery'),
  };
}

export function readDirectResponse(
  r: MessageReader<DirectResponseAction>,
  maxBodyBytes: number,
  context: CompileContext,
): DirectResponseSpec {
  const body = r.inside('body', (d) => readDataSource(d, context)) ?? Buffer.alloc(0);
  if (body.length > maxBodyBytes) {
    throw r.invalid('body', `response body size is ${body.length} bytes; maximum is ${maxBodyBytes}`);
  }
  const status = r.take('status');
  const fault = replyStatusFault(status);
  if (fault !== '') throw r.invalid('status', fault);
  return { kind: 'direct_response', status, body: body.toString() };
}

/** The older pair of fields about grpc-timeout, which do not count beside max_stream_duration, as in Envoy. */
function readGrpcTimeout(r: MessageReader<RouteAction>): Pick<RouteActionSpec, 'grpcTimeout'> {
  const maxMs = r.durationMs('maxGrpcTimeout');
  const offsetMs = r.durationMs('grpcTimeoutOffset') ?? 0;
  const counts = maxMs !== undefined && r.message.maxStreamDuration === undefined;
  return counts ? { grpcTimeout: { maxMs, offsetMs } } : {};
}

function readStreamDuration(r: MessageReader<RouteAction>): StreamDurationSpec | null {
  return (
    r.inside('maxStreamDuration', (d) => ({
      maxMs: d.durationMs('maxStreamDuration') ?? null,
      grpcMaxMs: d.durationMs('grpcTimeoutHeaderMax') ?? null,
      grpcOffsetMs: d.durationMs('grpcTimeoutHeaderOffset') ?? 0,
    })) ?? null
  );
}

/** A route that only lists a destination for others to use: there is no cluster that a request could go to. */
export const nonForwarding: RouteActionSpec = {
  kind: 'route',
  clusters: [],
  clusterHeader: '',
  clusterNotFoundStatus: 503,
  timeoutMs: 0,
  idleTimeoutMs: null,
  retry: null,
  prefixRewrite: null,
  regexRewrite: null,
  hostRewrite: null,
  autoHostRewrite: false,
  hostRewriteHeader: null,
  appendXForwardedHost: false,
  upgrades: {},
};
