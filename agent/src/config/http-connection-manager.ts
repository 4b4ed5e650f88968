/** HttpConnectionManager, with the defaults of Envoy. */
import type {
  HttpConnectionManager,
  Rds,
} from '@chainmail/xds/proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { defaultHttp2Options } from '../http2/options.ts';
import type { HttpConnectionManagerSpec, HttpFilterSpec } from '../model/http.ts';
import { readAccessLog } from './access-log.ts';
import type { CompileContext } from './compile-context.ts';
import { readAdsSource } from './config-source.ts';
import { readEarlyMutations } from './early-mutations.ts';
import { readHttpFilter } from './http-filter.ts';
import { readCommonHttpOptions, readHttp1Options } from './http-options.ts';
import { readForwarding } from './http-origin.ts';
import { readHttp2Options } from './http2-options.ts';
import { readLocalReplies } from './local-reply.ts';
import type { MessageReader } from './message-reader.ts';
import { readRouteConfig } from './route-config.ts';

type Reader = MessageReader<HttpConnectionManager>;

const defaults = {
  streamIdleTimeoutMs: 300_000,
  drainTimeoutMs: 5_000,
  delayedCloseTimeoutMs: 1_000,
  maxRequestHeadersKb: 60,
} as const;

const codecs = { AUTO: 'auto', HTTP1: 'http1', HTTP2: 'http2' } as const;

const serverHeader = {
  OVERWRITE: 'overwrite',
  APPEND_IF_ABSENT: 'append_if_absent',
  PASS_THROUGH: 'pass_through',
} as const;

const clientCertModes = {
  SANITIZE: 'sanitize',
  FORWARD_ONLY: 'forward_only',
  APPEND_FORWARD: 'append_forward',
  SANITIZE_SET: 'sanitize_set',
  ALWAYS_FORWARD_ONLY: 'always_forward_only',
} as const;

const escapedSlashes = {
  IMPLEMENTATION_SPECIFIC_DEFAULT: 'keep',
  KEEP_UNCHANGED: 'keep',
  REJECT_REQUEST: 'reject',
  UNESCAPE_AND_REDIRECT: 'redirect',
  UNESCAPE_AND_FORWARD: 'forward',
} as const;

/** @param place what names the inline route configuration: listener and filter chain */
export function readHttpConnectionManager(
  r: Reader,
  place: string,
  context: CompileContext,
): HttpConnectionManagerSpec {
  refuseOtherBehaviour(r);
  const statPrefix = r.take('statPrefix');
  const filters = readFilters(r, statPrefix, context);
  const common = r.inside('commonHttpProtocolOptions', (c) => {
    if (c.isSet('maxResponseHeadersKb')) {
      throw c.invalid('maxResponseHeadersKb', 'cannot be set on http_connection_manager, only on a cluster');
    }
    return readCommonHttpOptions(c);
  });
  const http1 = r.inside('httpProtocolOptions', readHttp1Options);
  const maxRequestHeadersBytes = (r.take('maxRequestHeadersKb') ?? defaults.maxRequestHeadersKb) * 1024;
  const http2 = r.inside('http2ProtocolOptions', readHttp2Options) ?? defaultHttp2Options;
  return {
    kind: 'http_connection_manager',
    statPrefix,
    stats: context.env.stats.http(statPrefix),
    routeConfig: readRoutes(r, place, context),
    filters: filters.specs,
    suppressEnvoyHeaders: filters.suppressEnvoyHeaders,
    accessLog: r.each('accessLog', (l) => readAccessLog(l, context)),
    codec: r.oneOf('codecType', codecs),
    http2: { ...http2, maxHeaderBytes: maxRequestHeadersBytes, maxHeaders: common?.maxHeadersCount ?? 100 },
    http2Stats: context.env.stats.http2(),
    ...readHeaderSettings(r),
    ...readForwarding(r, context),
    earlyMutations: readEarlyMutations(r),
    localReplies: r.inside('localReplyConfig', (l) => readLocalReplies(l, context)) ?? null,
    ...readPathSettings(r),
    ...readTimeouts(r),
    upgrades: r
      .each('upgradeConfigs', (u) => {
        const type = u.take('upgradeType').toLowerCase();
        return (u.take('enabled') ?? true) ? type : '';
      })
      .filter((type) => type !== ''),
    maxRequestHeadersBytes,
    maxStreamDurationMs: common?.maxStreamDurationMs ?? 0,
    maxHeadersCount: common?.maxHeadersCount ?? 100,
    idleTimeoutMs: common?.idleTimeoutMs ?? 3_600_000,
    maxConnectionDurationMs: common?.maxConnectionDurationMs ?? 0,
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? 0,
    rejectUnderscoreHeaders: common?.underscores ?? 'allow',
    acceptHttp10: http1?.acceptHttp10 ?? false,
    defaultHostForHttp10: http1?.defaultHostForHttp10 ?? '',
    enableTrailers: http1?.enableTrailers ?? false,
  };
}

/** Switches that are accepted where they are off. */
function refuseOtherBehaviour(r: Reader): void {
  r.only('flushAccessLogOnNewRequest', false);
  r.only('proxy100Continue', false);
  r.only('representIpv4RemoteAddressAsIpv4MappedIpv6', false);
  r.only('streamErrorOnInvalidHttpMessage', false);
  r.only('appendLocalOverload', false);
  r.only('addProxyProtocolConnectionState', true);
}

function readFilters(
  r: Reader,
  statPrefix: string,
  context: CompileContext,
): { readonly specs: readonly HttpFilterSpec[]; readonly suppressEnvoyHeaders: boolean } {
  const filters = r.each('httpFilters', (f) => readHttpFilter(f, statPrefix, context));
  const router = filters.findIndex((f) => f.spec.kind === 'router');
  if (filters.length > 0 && router === -1) {
    throw r.invalid('httpFilters', 'the last filter must be the terminal one, envoy.filters.http.router');
  }
  if (router !== filters.length - 1) throw r.invalid('httpFilters', 'the router must be the last filter');
  return { specs: filters.map((f) => f.spec), suppressEnvoyHeaders: filters.at(-1)?.suppressEnvoyHeaders ?? false };
}

function readRoutes(r: Reader, place: string, context: CompileContext): string {
  const specifier = r.take('routeSpecifier');
  switch (specifier.case) {
    case 'rds':
      return r.within('rds', specifier.value, (rds) => readRds(rds, context));
    case 'routeConfig': {
      const name = context.inlineRouteName(`inline/${place}`);
      const spec = r.within('routeConfig', specifier.value, (c) =>
        readRouteConfig(c, { name, checkClusters: true }, context),
      );
      context.inlineRoutes.push(spec);
      return name;
    }
    case 'scopedRoutes':
      throw r.unsupported('scopedRoutes');
    case undefined:
      throw r.invalid('routeSpecifier', 'one of rds, route_config is required');
  }
}

function readRds(r: MessageReader<Rds>, context: CompileContext): string {
  const name = r.take('routeConfigName');
  if (name === '') throw r.invalid('routeConfigName', 'is required');
  r.required('configSource', readAdsSource);
  context.rds.push({ name, path: r.at('routeConfigName') });
  return name;
}

type HeaderSettings = Pick<
  HttpConnectionManagerSpec,
  | 'serverName'
  | 'serverHeader'
  | 'useRemoteAddress'
  | 'xffNumTrustedHops'
  | 'skipXffAppend'
  | 'generateRequestId'
  | 'preserveExternalRequestId'
  | 'alwaysSetRequestIdInResponse'
  | 'forwardClientCert'
  | 'clientCertDetails'
>;

function readHeaderSettings(r: Reader): HeaderSettings {
  const details = r.inside('setCurrentClientCertDetails', (d) => {
    const wanted = {
      subject: d.take('subject') ?? false,
      cert: d.take('cert'),
      chain: d.take('chain'),
      dns: d.take('dns'),
      uri: d.take('uri'),
    };
    return (['subject', 'cert', 'chain', 'dns', 'uri'] as const).filter((name) => wanted[name]);
  });
  return {
    serverName: r.take('serverName') || 'envoy',
    serverHeader: r.oneOf('serverHeaderTransformation', serverHeader),
    useRemoteAddress: r.take('useRemoteAddress') ?? false,
    xffNumTrustedHops: r.take('xffNumTrustedHops'),
    skipXffAppend: r.take('skipXffAppend'),
    generateRequestId: r.take('generateRequestId') ?? true,
    preserveExternalRequestId: r.take('preserveExternalRequestId'),
    alwaysSetRequestIdInResponse: r.take('alwaysSetRequestIdInResponse'),
    forwardClientCert: r.oneOf('forwardClientCertDetails', clientCertModes),
    clientCertDetails: details ?? [],
  };
}

type PathSettings = Pick<HttpConnectionManagerSpec, 'normalizePath' | 'mergeSlashes' | 'escapedSlashes' | 'stripPort'>;

function readPathSettings(r: Reader): PathSettings {
  const matching = r.take('stripMatchingHostPort');
  const any = r.take('stripPortMode').value ?? false;
  if (matching && any) throw r.invalid('stripMatchingHostPort', 'cannot be combined with strip_any_host_port');
  return {
    normalizePath: r.take('normalizePath') ?? false,
    mergeSlashes: r.take('mergeSlashes'),
    escapedSlashes: r.oneOf('pathWithEscapedSlashesAction', escapedSlashes),
    stripPort: any ? 'any' : matching ? 'matching' : 'none',
  };
}

type Timeouts = Pick<
  HttpConnectionManagerSpec,
  'streamIdleTimeoutMs' | 'requestTimeoutMs' | 'requestHeadersTimeoutMs' | 'drainTimeoutMs' | 'delayedCloseTimeoutMs'
>;

function readTimeouts(r: Reader): Timeouts {
  return {
    streamIdleTimeoutMs: r.durationMs('streamIdleTimeout') ?? defaults.streamIdleTimeoutMs,
    requestTimeoutMs: r.durationMs('requestTimeout') ?? 0,
    requestHeadersTimeoutMs: r.durationMs('requestHeadersTimeout') ?? 0,
    drainTimeoutMs: r.durationMs('drainTimeout') ?? defaults.drainTimeoutMs,
    delayedCloseTimeoutMs: r.durationMs('delayedCloseTimeout') ?? defaults.delayedCloseTimeoutMs,
  };
}
