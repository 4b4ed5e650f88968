/** The HTTP connection manager and the routes, compiled from Envoy's messages: plain data with all defaults filled in. */

import type { Http2Options } from '../http2/options.ts';
import type { MetadataMatchSpec } from './cluster.ts';
import type { WeightedClusterSpec } from './listener.ts';
import type { AccessLogFormatSpec, AccessLogSpec, LogFilterSpec } from './log.ts';
import type { RbacSpec } from './rbac.ts';
import type { StringMatchSpec } from './tls.ts';

export interface HttpConnectionManagerSpec {
  readonly kind: 'http_connection_manager';
  readonly statPrefix: string;
  /** First slot of the HttpStat block. */
  readonly stats: number;
  /** Name in the route table; inline configurations are registered under a made-up name. */
  readonly routeConfig: string;
  readonly filters: readonly HttpFilterSpec[];
  readonly accessLog: readonly AccessLogSpec[];
  readonly codec: 'auto' | 'http1' | 'http2';
  /** http2_protocol_options with the limits of heads; absent: Envoy's defaults. */
  readonly http2?: Http2Options;
  /** First slot of the Http2Stat block; absent: not counted. */
  readonly http2Stats?: number;
  readonly serverName: string;
  readonly serverHeader: 'overwrite' | 'append_if_absent' | 'pass_through';
  readonly useRemoteAddress: boolean;
  readonly xffNumTrustedHops: number;
  readonly skipXffAppend: boolean;
  readonly generateRequestId: boolean;
  readonly preserveExternalRequestId: boolean;
  readonly alwaysSetRequestIdInResponse: boolean;
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: 'keep' | 'reject' | 'redirect' | 'forward';
  readonly stripPort: 'none' | 'matching' | 'any';
  readonly forwardClientCert: 'sanitize' | 'forward_only' | 'append_forward' | 'sanitize_set' | 'always_forward_only';
  readonly clientCertDetails: readonly ('subject' | 'cert' | 'chain' | 'dns' | 'uri')[];
  readonly upgrades: readonly string[];
  /** Default 60 KiB. */
  readonly maxRequestHeadersBytes: number;
  readonly maxHeadersCount: number;
  /** 0 is off in all of these. Idle: common_http_protocol_options, default 1 h; stream idle default 5 min. */
  readonly idleTimeoutMs: number;
  readonly streamIdleTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly requestHeadersTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  readonly maxRequestsPerConnection: number;
  readonly drainTimeoutMs: number;
  readonly delayedCloseTimeoutMs: number;
  readonly acceptHttp10: boolean;
  readonly defaultHostForHttp10: string;
  readonly enableTrailers: boolean;
  readonly rejectUnderscoreHeaders: 'allow' | 'reject' | 'drop';
  /** router filter: suppress_envoy_headers. */
  readonly suppressEnvoyHeaders: boolean;
  /** What follows is set by few listeners; absent is off. */
  readonly via?: string;
  readonly userAgent?: { readonly cluster: string; readonly node: string } | null;
  readonly origin?: ClientOriginSpec | null;
  readonly stripTrailingHostDot?: boolean;
  /** early_header_mutation_extensions, in order: before who the client is is settled, and before any route or filter. */
  readonly earlyMutations?: readonly EarlyMutationSpec[];
  readonly localReplies?: LocalRepliesSpec | null;
  /** Longest time of one request with its answer; 0 is off. */
  readonly maxStreamDurationMs?: number;
}

export type EarlyMutationSpec =
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'add'; readonly add: HeaderAddSpec };

/** What becomes of answers in the agent's own name. */
export interface LocalRepliesSpec {
  readonly mappers: readonly ReplyMapperSpec[];
  /** Of bodies that no mapper gives a format of its own. */
  readonly format: BodyFormatSpec | null;
}

/** null leaves what is there. */
export interface ReplyMapperSpec {
  readonly filter: LogFilterSpec;
  readonly status: number | null;
  readonly body: string | null;
  readonly format: BodyFormatSpec | null;
  readonly headers: HeaderMutationsSpec;
}

export interface BodyFormatSpec {
  /** '' is the format's own. */
  readonly contentType: string;
  readonly format: AccessLogFormatSpec;
}

/** What decides who the client is beside the peer's address and x-forwarded-for. */
export interface ClientOriginSpec {
  /** Callers from these networks may steer the router by x-envoy headers. */
  readonly internalRanges: readonly string[];
  readonly detection: readonly IpDetectionSpec[];
  /** x-forwarded-port: the listener's own. */
  readonly forwardedPort: 'off' | 'if-absent' | 'always';
  /** Overwrites x-forwarded-proto. */
  readonly scheme: string | null;
}

export type IpDetectionSpec =
  | { readonly kind: 'xff'; readonly hops: number }
  | {
      readonly kind: 'custom_header';
      readonly name: string;
      readonly trusted: boolean;
      /** Status for a request without a usable address; 0 goes on with the peer's. */
      readonly rejectStatus: number;
    };

/** Which gRPC methods statistics tell apart: all, or those of this list as `/service/method`. */
export interface GrpcStatsSpec {
  readonly methods: 'all' | readonly string[];
  readonly replaceDots: boolean;
  /** Times of upstreams, as a histogram. */
  readonly times: boolean;
}

export type HttpFilterSpec =
  | {
      readonly kind: 'rbac';
      readonly name: string;
      readonly stats: number;
      readonly rules: RbacSpec | null;
      readonly shadowRules: RbacSpec | null;
    }
  | ({ readonly kind: 'grpc_stats' } & GrpcStatsSpec)
  | { readonly kind: 'router' };

export interface RouteConfigSpec {
  readonly name: string;
  readonly virtualHosts: readonly VirtualHostSpec[];
  readonly headers: HeaderMutationsSpec;
  readonly ignorePortInHost: boolean;
  /** The route's mutations come last, so that they win. */
  readonly mostSpecificWins?: boolean;
  /** Of virtual hosts and routes that have none of their own. */
  readonly mirrors?: readonly MirrorSpec[];
  readonly filters?: FilterOverridesSpec;
}

/** What a level of the routes changes of HTTP filters, by their names. */
export type FilterOverridesSpec = Readonly<Record<string, RbacOverrideSpec>>;

/** null switches the filter off. */
export type RbacOverrideSpec = { readonly rules: RbacSpec | null; readonly shadowRules: RbacSpec | null } | null;

export interface VirtualHostSpec {
  readonly name: string;
  /** Lower case: exact, `*.suffix`, `prefix.*` or `*`. */
  readonly domains: readonly string[];
  readonly routes: readonly RouteSpec[];
  readonly headers: HeaderMutationsSpec;
  readonly retry: RetrySpec | null;
  readonly requireTls: 'none' | 'external' | 'all';
  /** x-envoy-attempt-count on requests and on responses. */
  readonly attemptCount?: { readonly request: boolean; readonly response: boolean };
  readonly filters?: FilterOverridesSpec;
  /** Bytes of a body kept for another attempt. */
  readonly bufferLimitBytes?: number;
  /** Of routes that have none of their own. */
  readonly mirrors?: readonly MirrorSpec[];
  /** The first whose matchers all fit; the last one takes every request. Absent without statistics of that kind. */
  readonly virtualClusters?: readonly VirtualClusterSpec[];
}

export interface VirtualClusterSpec {
  readonly name: string;
  readonly headers: readonly HeaderMatchSpec[];
  readonly stats: number;
}

export interface RouteSpec {
  readonly name: string;
  readonly match: RouteMatchSpec;
  readonly action: RouteActionSpec | RedirectSpec | DirectResponseSpec;
  readonly headers: HeaderMutationsSpec;
  readonly filters?: FilterOverridesSpec;
  readonly bufferLimitBytes?: number;
  /** Statistics of its own, by its stat_prefix. */
  readonly stats?: number;
}

/** One of a route's clusters. */
export interface RouteClusterSpec extends WeightedClusterSpec {
  readonly headers?: HeaderMutationsSpec;
  readonly hostRewrite?: string | null;
}

export type PathMatchSpec =
  | { readonly kind: 'prefix' | 'path' | 'path_separated_prefix'; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: 'regex'; readonly value: string }
  /** connect_matcher: every CONNECT, and nothing else; no other kind matches one. */
  | { readonly kind: 'connect' };

export interface RouteMatchSpec {
  readonly path: PathMatchSpec;
  readonly headers: readonly HeaderMatchSpec[];
  readonly query: readonly QueryMatchSpec[];
  /** runtime_fraction as a probability of 0..1, or null. */
  readonly fraction: number | null;
  readonly grpc: boolean;
}

export interface HeaderMatchSpec {
  /** Lower case; may be `:method`, `:path`, `:authority`, `:scheme`. */
  readonly name: string;
  readonly match:
    | { readonly kind: 'present'; readonly present: boolean }
    | { readonly kind: 'range'; readonly start: number; readonly end: number }
    | { readonly kind: 'string'; readonly value: StringMatchSpec };
  readonly invert: boolean;
  readonly treatMissingAsEmpty: boolean;
}

export interface QueryMatchSpec {
  readonly name: string;
  /** null asks only for presence. */
  readonly value: StringMatchSpec | null;
  readonly present: boolean;
}

export interface RouteActionSpec {
  readonly kind: 'route';
  /** Several only for weighted_clusters. */
  readonly clusters: readonly RouteClusterSpec[];
  /** Request header whose number chooses among them, or ''. */
  readonly weightHeader?: string;
  /** Request header that names the cluster, or ''. */
  readonly clusterHeader: string;
  /** Of the cluster that the header names. */
  readonly subset?: MetadataMatchSpec;
  readonly clusterNotFoundStatus: 503 | 404 | 500;
  /** Routing priority HIGH: circuit breakers and connections of its own. */
  readonly highPriority?: boolean;
  /** Default 15 s; 0 is off. */
  readonly timeoutMs: number;
  /** Overrides the listener's stream idle timeout; null keeps it. */
  readonly idleTimeoutMs: number | null;
  readonly retry: RetrySpec | null;
  readonly prefixRewrite: string | null;
  readonly regexRewrite: RewriteSpec | null;
  readonly hostRewrite: string | null;
  readonly autoHostRewrite: boolean;
  readonly hostRewriteHeader: string | null;
  readonly appendXForwardedHost: boolean;
  /** Upgrade types enabled or disabled here, over the listener's. */
  readonly upgrades: Readonly<Record<string, boolean>>;
  /** connect_config: a CONNECT ends here, and its bytes go to a TCP connection of their own. Absent: it is passed on. */
  readonly terminatesConnect?: boolean;
  /** A POST ends here, too: its body goes to such a connection, and what comes back is the body of the answer. */
  readonly terminatesPost?: boolean;
  /** Version of the PROXY header that goes before the bytes of what ends here; null or absent without. */
  readonly tunnelProxyHeader?: 'v1' | 'v2' | null;
  /** Answers that lead to another route are followed here; absent: they are the client's. */
  readonly internalRedirect?: InternalRedirectSpec;
  /** Rare; absent is off. */
  readonly hostRewritePathRegex?: RewriteSpec | null;
  readonly streamDuration?: StreamDurationSpec | null;
  /** A gRPC caller's own timeout counts, less the offset, up to the maximum; 0 is none. */
  readonly grpcTimeout?: { readonly maxMs: number; readonly offsetMs: number };
  readonly hashPolicy?: readonly HashPolicySpec[];
  /** Empty or absent: those of the virtual host, else of the route configuration. */
  readonly mirrors?: readonly MirrorSpec[];
}

/** Envoy's RequestMirrorPolicy: a copy of the request goes to another cluster, and its answer nowhere. */
export interface MirrorSpec {
  readonly cluster: string;
  /** Request header that names the cluster instead, or ''. */
  readonly clusterHeader: string;
  /** Share of the requests; null is all. */
  readonly fraction: number | null;
  /** The copy's host ends in -shadow. */
  readonly hostSuffix: boolean;
}

export interface InternalRedirectSpec {
  readonly maxRedirects: number;
  readonly codes: readonly number[];
  /** Between http and https. */
  readonly crossScheme: boolean;
  readonly predicates: readonly RedirectPredicateSpec[];
  /** Headers of the answer that the next request gets, or loses. */
  readonly copyHeaders: readonly string[];
}

export type RedirectPredicateSpec =
  | { readonly kind: 'previous_routes' | 'safe_cross_scheme' }
  | { readonly kind: 'allow_listed_routes'; readonly names: readonly string[] };

export interface RewriteSpec {
  readonly pattern: string;
  readonly substitution: string;
}

/** null keeps the listener's; 0 is no limit. */
export interface StreamDurationSpec {
  readonly maxMs: number | null;
  /** grpc-timeout counts, up to this; null leaves it alone, 0 is no limit. */
  readonly grpcMaxMs: number | null;
  readonly grpcOffsetMs: number;
}

/** What of a request decides the host in consistent hashing. */
export type HashPolicySpec = { readonly terminal: boolean } & (
  | { readonly kind: 'header'; readonly name: string; readonly rewrite: RewriteSpec | null }
  | { readonly kind: 'source_ip' }
  | { readonly kind: 'query'; readonly name: string }
  | {
      readonly kind: 'cookie';
      readonly name: string;
      /** null: a missing cookie is not made. */
      readonly ttlS: number | null;
      readonly path: string;
      readonly attributes: readonly { readonly name: string; readonly value: string }[];
    }
);

export interface RedirectSpec {
  readonly kind: 'redirect';
  readonly status: 301 | 302 | 303 | 307 | 308;
  readonly scheme: string | null;
  readonly httpsRedirect: boolean;
  readonly host: string | null;
  readonly port: number | null;
  readonly path: string | null;
  readonly prefixRewrite: string | null;
  readonly stripQuery: boolean;
  readonly regexRewrite?: RewriteSpec | null;
}

export interface DirectResponseSpec {
  readonly kind: 'direct_response';
  readonly status: number;
  readonly body: string;
}

export interface RetrySpec {
  readonly on: readonly RetryCondition[];
  readonly retriableStatusCodes: readonly number[];
  readonly numRetries: number;
  /** 0 is off. */
  readonly perTryTimeoutMs: number;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  readonly retriableMethods: readonly string[];
  /** Response headers that ask for another attempt. */
  readonly retriableHeaders?: readonly HeaderMatchSpec[];
}

export type RetryCondition =
  | '5xx'
  | 'gateway-error'
  | 'reset'
  | 'reset-before-request'
  | 'connect-failure'
  | 'retriable-4xx'
  | 'refused-stream'
  | 'retriable-status-codes'
  | 'retriable-headers'
  | 'envoy-ratelimited'
  | 'cancelled'
  | 'deadline-exceeded'
  | 'internal'
  | 'resource-exhausted'
  | 'unavailable';

export interface HeaderMutationsSpec {
  readonly requestAdd: readonly HeaderAddSpec[];
  readonly requestRemove: readonly string[];
  readonly responseAdd: readonly HeaderAddSpec[];
  readonly responseRemove: readonly string[];
}

export interface HeaderAddSpec {
  readonly name: string;
  /** A format string with command operators. */
  readonly value: string;
  readonly action: 'append' | 'add_if_absent' | 'overwrite' | 'overwrite_if_exists';
  readonly keepEmpty: boolean;
}
