/** Every difference from Envoy that is wanted: where it shows, what the agent does, and the words of its reason. */
import type { Part } from './compare.ts';

export interface Difference {
  /** Keys `group/case`, or names of statistics. */
  readonly cases: RegExp;
  readonly parts: readonly (Part | 'statistics')[];
  /** What the agent does; another behaviour is a failure although the case is listed. */
  readonly agent: RegExp;
  /** Words that stand in docs/envoy-differences.md. */
  readonly documented: string;
}

/** Statistics that depend on time or chance, or that only one of the two proxies has a notion of. */
export const unlikeStatistics =
  /_cx_(?!destroy(_with|_active|_local_|_remote_|$)|protocol_error|close_notify|max_requests)|_bytes|_time|_ms|membership|update_|\.lb_(?!subsets_(selected|fallback)|zone_(routing|no_capacity)|local_cluster|healthy_panic)|warming|circuit_breakers|default\.|version|max_host_weight|assignment|http1\.|(ex|in)ternal\.|canary|bind_errors|original_dst|init_fetch/;

const refused = /^HTTP\/1\.1 400 Bad Request\n/;
const nothing = /^$/;
const number = /^\d+$/;
const nothingCounted = /^0$/;

const refusal = (cases: RegExp, documented: string): Difference[] => [
  { cases, parts: ['response'], agent: refused, documented },
  { cases, parts: ['upstream'], agent: nothing, documented },
  { cases, parts: ['connection'], agent: /^closed$/, documented },
];

const requests: readonly Difference[] = [
  ...refusal(/^input\/obs-fold$/, 'folded header line (obs-fold)'),
  ...refusal(/^input\/(bare LF|CR inside a value)$/, 'bare LF as a line end, bare CR in a value'),
  ...refusal(/^input\/second host/, 'two `Host` headers'),
  ...refusal(/^input\/(chunk size '5 '|extra byte behind a chunk)$/, 'chunk size followed by a space'),
  ...refusal(/^asitcomes\/backslash$/, 'backslash in the path without `normalize_path`'),
  { cases: /^input\/empty target$/, parts: ['response'], agent: /^HTTP\/1\.1 426 /, documented: 'no target at all' },
  {
    cases: /^hosts\/Host www\.example\.com\.$/,
    parts: ['response'],
    agent: /\nexact$/,
    documented: 'a dot at the end of the Host',
  },
  {
    cases: /^timeouts\/head never complete$/,
    parts: ['response'],
    agent: nothing,
    documented: '`request_timeout` while the head is incomplete',
  },
  {
    cases: /^timeouts\/head never complete$/,
    parts: ['connection'],
    agent: /^open$/,
    documented: '`request_timeout` while the head is incomplete',
  },
];

const anotherHost = 'absolute target, or target of a CONNECT, whose authority is not the `Host`';
const tunnels: readonly Difference[] = [
  ...refusal(/^connectpassed\/host of another$/, anotherHost),
  { cases: /^input\/CONNECT$/, parts: ['response'], agent: refused, documented: anotherHost },
  {
    cases: /^(http|cluster)\.(up_)?(connectpassed|upgradefailed)\./,
    parts: ['statistics'],
    agent: /^\d+$/,
    documented: 'numbers that follow from the differences above',
  },
  {
    cases: /^connectpassed\/a length in the answer$/,
    parts: ['response'],
    agent: /^HTTP\/1\.1 200 OK\n(?![\s\S]*content-length)/,
    documented: '`Content-Length` in a 2xx answer to a CONNECT',
  },
  {
    cases: /^(upgradebyroute\/on|upgradefailed\/a .*)$/,
    parts: ['upstream'],
    agent: /\nconnection: upgrade\nupgrade: websocket\n/,
    documented: '`Connection` of an upgrade',
  },
  {
    cases: /^upgradefailed\/a 200/,
    parts: ['response'],
    agent: /^HTTP\/1\.1 200 OK\n[\s\S]*\nconnection: close\n\nok$/,
    documented: 'a 200 in answer to an upgrade',
  },
];

const dns: readonly Difference[] = [
  {
    cases: /^dns\/another name$/,
    parts: ['response'],
    agent: /^192\.0\.2\.7 7$/,
    documented: 'answers of resolvers',
  },
];

const clientHello: readonly Difference[] = [
  {
    cases: /^tls\/byte (2|336|337) of /,
    parts: ['connection'],
    agent: /^refused$/,
    documented: 'a ClientHello in a record of an unknown version, or with a key share of a group that is not offered',
  },
  {
    cases: /^tls\/byte 9 of /,
    parts: ['connection'],
    agent: /^server$/,
    documented: '`legacy_version` of a ClientHello with `supported_versions`',
  },
];

const forwarding: readonly Difference[] = [
  {
    cases: /^plain\/expect 100-continue$/,
    parts: ['response'],
    agent: /^HTTP\/1\.1 200 OK\n/,
    documented: '`Expect: 100-continue`',
  },
  {
    cases: /^plain\/expect 100-continue$/,
    parts: ['upstream'],
    agent: /\nexpect: 100-continue\n/,
    documented: '`Expect: 100-continue`',
  },
  {
    cases: /^plain\/10[03] before the answer$/,
    parts: ['response'],
    agent: /^HTTP\/1\.1 10[03] [\s\S]*\n--\nHTTP\/1\.1 200 OK\n/,
    documented: '102, 103 and other informational answers',
  },
  {
    cases: /^input\/trailer$/,
    parts: ['upstream'],
    agent: /\nhello\nx-t: 1$/,
    documented: 'trailers on HTTP/1.1',
  },
  {
    cases: /^badanswers\/bad chunk$/,
    parts: ['response'],
    agent: /^HTTP\/1\.1 502 /,
    documented: 'a body that is malformed from its first byte',
  },
  {
    cases: /^badanswers\/bad chunk$/,
    parts: ['connection'],
    agent: /^open$/,
    documented: 'a body that is malformed from its first byte',
  },
  {
    cases: /^http10\//,
    parts: ['response'],
    agent: /^HTTP\/1\.1 200 OK\n/,
    documented: 'the version in answers to HTTP/1.0',
  },
  {
    cases: /^http10\//,
    parts: ['upstream'],
    agent: /\nhost: default\.example\n/,
    documented: '`default_host_for_http_10` stands behind',
  },
];

const replies: readonly Difference[] = [
  {
    cases: /^(local\/POST \S+ whole|rbac(none)?\/POST open|redirects\/with a body)$/,
    parts: ['response'],
    agent: /^(?![\s\S]*connection: close)HTTP\/1\.1 \d/,
    documented: 'a local reply to a request whose body came along',
  },
  {
    cases: /^(local\/POST \S+ whole|rbac(none)?\/POST open|redirects\/with a body)$/,
    parts: ['connection'],
    agent: /^open$/,
    documented: 'a local reply to a request whose body came along',
  },
  {
    cases: /^local\/(GET|HEAD|POST) \/no-content/,
    parts: ['response'],
    agent: /^HTTP\/1\.1 204 No Content\n(?![\s\S]*(hidden|content-))/,
    documented: '`direct_response` 204 with a body',
  },
  {
    cases: /^rbac\/the key and another$/,
    parts: ['response'],
    agent: /^HTTP\/1\.1 403 /,
    documented: 'an ALLOW rule on a header that comes several times',
  },
  {
    cases: /^rbac\/the key and another$/,
    parts: ['upstream'],
    agent: nothing,
    documented: 'an ALLOW rule on a header that comes several times',
  },
];

const http2: readonly Difference[] = [
  {
    cases: /^h2toh[12]\/headers$/,
    parts: ['upstream'],
    agent: /\ncookie: a=b; c=d\nx-case/,
    documented: 'several `cookie` fields',
  },
  {
    cases: /^h2toh1\/connection headers$/,
    parts: ['response'],
    agent: /^(?![\s\S]*x-hop)HTTP\/2\n:status: 200/,
    documented: 'response headers named by `Connection`',
  },
  {
    cases: /^http\.h2toh[12]\.(no_route|rq_total)$/,
    parts: ['statistics'],
    agent: number,
    documented: '`OPTIONS *` of an HTTP/2 client',
  },
];

const follows = 'numbers that follow from the differences above';
const absent = 'statistics of Envoy that the agent does not keep';

const statistics: readonly Difference[] = [
  {
    cases:
      /^(http|cluster)\.(up_)?(input|asitcomes|rbac|hosts|badanswers|plain|timeouts)\.(upstream|downstream)_rq_(\dxx|\d\d\d|completed|total|http1_total|pending_total|cancelled|failed_path_normalization|tx_reset)$/,
    parts: ['statistics'],
    agent: number,
    documented: follows,
  },
  {
    cases: /^http\.(input|asitcomes|rbac|hosts)\.(no_route|rq_total|rq_direct_response|rbac\.(allowed|denied))$/,
    parts: ['statistics'],
    agent: number,
    documented: follows,
  },
  {
    cases:
      /\.(retry\.upstream_rq_\w+|upstream_rq_retry_backoff_exponential|downstream_rq_response_before_rq_complete|downstream_rq_non_relative_path|downstream_rq_ws_on_non_ws_route|upstream_rq_active_overflow|http2\.nghttp2_upstream_connections|http2\.header_list_size_too_large|zone\.\w+\.\w+\.upstream_rq_\w+)$/,
    parts: ['statistics'],
    agent: nothingCounted,
    documented: absent,
  },
  {
    cases: /^cluster\.up_headssmallh2\.http2\.header_overflow$/,
    parts: ['statistics'],
    agent: /^3$/,
    documented: '(counted as `header_overflow`)',
  },
  {
    cases: /^http\.\w+\.downstream_rq_grpc_failure$/,
    parts: ['statistics'],
    agent: number,
    documented: '`downstream_rq_grpc_failure`',
  },
  {
    cases: /^http\.\w+\.downstream_rq_rx_reset$/,
    parts: ['statistics'],
    agent: number,
    documented: '`downstream_rq_rx_reset` counts clients that went away',
  },
  {
    cases: /^http\.(input|upgrades)\.downstream_cx_protocol_error$/,
    parts: ['statistics'],
    agent: number,
    documented: follows,
  },
  {
    cases: /^cluster\.up_(input|asitcomes|rbac)\.upstream_cx_(destroy|max_requests)$/,
    parts: ['statistics'],
    agent: number,
    documented: follows,
  },
  {
    cases: /^cluster\.up_(retries|counted)\.upstream_cx_destroy_(local_)?with_active_rq$/,
    parts: ['statistics'],
    agent: number,
    documented: 'an answer that is tried again and came whole',
  },
  {
    cases:
      /^(http|cluster)\.(up_)?(connect(byroute|ends|proxied|rewritten)|upgradebyroute)\.\w+_cx_destroy_\w*active_rq$/,
    parts: ['statistics'],
    agent: nothingCounted,
    documented: 'a tunnel that both sides have ended',
  },
  {
    cases: /^cluster\.up_(h[12]to|heads\w+)h2\.upstream_cx_protocol_error$/,
    parts: ['statistics'],
    agent: nothingCounted,
    documented: '`upstream_cx_protocol_error` of HTTP/2',
  },
  {
    cases: /^cluster\.up_(full|priority\w+|mirrorbroken)\.upstream_rq_(pending_overflow|pending_total|total)$/,
    parts: ['statistics'],
    agent: number,
    documented: '`upstream_rq_pending_overflow` counts every overflow',
  },
];

export const differences: readonly Difference[] = [
  ...requests,
  ...tunnels,
  ...dns,
  ...clientHello,
  ...forwarding,
  ...replies,
  ...http2,
  ...statistics,
];
