/** gRPC calls: what is retried, how long they may take, answers in the proxy's own name, and their statistics. */
import {
  type Answer,
  type Case,
  filterType,
  type Group,
  type Json,
  type JsonObject,
  plain,
  upstreamOf,
} from '../case.ts';

const call = (path: string, headers = '', type = 'application/grpc'): string =>
  `POST ${path} HTTP/1.1\nHost: a.example\nContent-Type: ${type}\nTE: trailers\n${headers}Content-Length: 6\n@\n\0\0\0\0\x01x`;

const bare = (path: string): string =>
  `POST ${path} HTTP/1.1\nHost: a.example\nContent-Type: application/grpc\nContent-Length: 0\n@\n`;

/** An answer that is nothing but trailers. */
const alone = (status: number | string, more = ''): string =>
  `HTTP/1.1 200 OK\ncontent-type: application/grpc\ngrpc-status: ${status}\n${more}content-length: 0\n\n`;
const inTrailers = (status: number, more = ''): string =>
  `HTTP/1.1 200 OK\ncontent-type: application/grpc\ntransfer-encoding: chunked\n\n5\n\0\0\0\0\0\n0\ngrpc-status: ${status}\n${more}\n`;

const quick = { retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' } };
const via = (group: string, prefix: string, action: JsonObject): Json => ({
  match: { prefix },
  route: { cluster: upstreamOf(group), ...action },
});
const to = (name: string, path: string, answers: readonly Answer[], headers = '', type?: string): Case => ({
  name,
  send: call(path, headers, type),
  answers,
});

const hang: Answer = { ending: 'hang' };
const stats = (config: JsonObject): Json => ({
  name: 'grpc_stats',
  typed_config: { '@type': filterType('grpc_stats.v3.FilterConfig'), ...config },
});
const manager = { http_protocol_options: { enable_trailers: true } };
const conditions = [
  ['cancelled', 1],
  ['deadline-exceeded', 4],
  ['resource-exhausted', 8],
  ['internal', 13],
  ['unavailable', 14],
] as const;

const calls: Group = {
  name: 'grpc',
  manager,
  filters: [stats({ stats_for_all_methods: true })],
  routes: [
    ...conditions.map(([on]) => via('grpc', `/${on}`, { retry_policy: { retry_on: on, ...quick } })),
    via('grpc', '/capped', { timeout: '0s', max_stream_duration: { grpc_timeout_header_max: '0.3s' } }),
    via('grpc', '/offset', {
      timeout: '0s',
      max_stream_duration: { grpc_timeout_header_max: '0s', grpc_timeout_header_offset: '0.1s' },
    }),
    via('grpc', '/legacy/capped', { timeout: '9s', max_grpc_timeout: '3s' }),
    via('grpc', '/legacy/open', { timeout: '9s', max_grpc_timeout: '0s', grpc_timeout_offset: '0.1s' }),
    via('grpc', '/legacy/try', {
      max_grpc_timeout: '0s',
      retry_policy: { retry_on: 'unavailable', per_try_timeout: '2s', ...quick },
    }),
    via('grpc', '/legacy/both', {
      max_grpc_timeout: '3s',
      max_stream_duration: { max_stream_duration: '2s', grpc_timeout_header_max: '2s' },
    }),
    via('grpc', '/short', { timeout: '0.2s' }),
    { match: { prefix: '/direct' }, direct_response: { status: 429, body: { inline_string: 'a % of\tall' } } },
    { match: { prefix: '/moved' }, redirect: { host_redirect: 'b.example' } },
    { match: { prefix: '/dead' }, route: { cluster: 'dead' } },
    via('grpc', '/', {}),
  ],
  cluster: { circuit_breakers: { thresholds: [{ max_retries: 1000 }] } },
  cases: [
    ...conditions.flatMap(([on, status]) => [
      to(`${on} is tried again`, `/${on}/M`, [alone(status), inTrailers(0)]),
      to(`${on} in trailers is not`, `/${on}/M`, [inTrailers(status), inTrailers(0)]),
      to(`${on} does not cover 5`, `/${on}/M`, [alone(5), inTrailers(0)]),
    ]),
    to('a call that works', '/a.B/Works', [inTrailers(0, 'grpc-message: fine\n')]),
    to('a call that fails', '/a.B/Fails', [inTrailers(7)]),
    to('a call that fails at once', '/a.B/Fails', [alone(7)]),
    to('a status that gRPC does not know', '/a.B/Odd', [inTrailers(77)]),
    to('of a kind', '/a.B/Works', [inTrailers(0)], '', 'application/grpc+proto'),
    to('not of the kind', '/a.B/Works', [inTrailers(0)], '', 'application/grpcx'),
    to('a page instead', '/a.B/Page', ['HTTP/1.1 503 X\ncontent-type: text/html\ncontent-length: 4\n\nbusy']),
    to('a timeout above the cap', '/capped/M', [hang], 'grpc-timeout: 10S\n'),
    to('a timeout below the cap', '/capped/M', [hang], 'grpc-timeout: 100m\n'),
    to('no timeout, so no cap', '/capped/M', [inTrailers(0)]),
    to('a timeout of nonsense', '/capped/M', [inTrailers(0)], 'grpc-timeout: 100x\n'),
    to('a timeout with too many digits', '/capped/M', [inTrailers(0)], 'grpc-timeout: 123456789m\n'),
    to('a timeout with an offset', '/offset/M', [hang], 'grpc-timeout: 300m\n'),
    to('the timeout of the route', '/short/M', [hang]),
    ...['10S', '1500m', '100x'].flatMap((timeout) =>
      ['capped', 'open', 'try', 'both'].map((route) =>
        to(`${route}: ${timeout} the older way`, `/legacy/${route}`, [inTrailers(0)], `grpc-timeout: ${timeout}\n`),
      ),
    ),
    ...['capped', 'open', 'try'].map((route) =>
      to(`${route}: 0S the older way`, `/legacy/${route}`, [inTrailers(0)], 'grpc-timeout: 0S\n'),
    ),
    ...['capped', 'open', 'try'].map((route) =>
      to(`${route}: no timeout, the older way`, `/legacy/${route}`, [inTrailers(0)]),
    ),
    to('capped and late, the older way', '/legacy/capped', [hang], 'grpc-timeout: 10S\n'),
    to('its own timeout, the older way', '/legacy/open', [hang], 'grpc-timeout: 1500m\n'),
    to('hours, the older way', '/legacy/open', [inTrailers(0)], 'grpc-timeout: 99999999H\n'),
    to('the older way is for gRPC only', '/legacy/capped', [plain], 'grpc-timeout: 1S\n', 'text/plain'),
    to('a retry, the older way', '/legacy/try', [alone(14), inTrailers(0)], 'grpc-timeout: 9H\n'),
    { name: 'answered directly', send: bare('/direct/M') },
    { name: 'moved', send: bare('/moved/M') },
    to('a connection refused', '/dead/M', []),
    to('cut', '/a.B/Cut', [{ ending: 'fin' }]),
  ],
};

const listed: Group = {
  name: 'grpclisted',
  manager,
  filters: [
    stats({
      individual_method_stats_allowlist: { services: [{ name: 'a.B', method_names: ['Works'] }] },
      replace_dots_in_grpc_service_name: true,
    }),
  ],
  cases: [
    to('listed', '/a.B/Works', [inTrailers(0)]),
    to('another method', '/a.B/Fails', [inTrailers(13)]),
    to('no method', '/x', [inTrailers(12)]),
  ],
};

const together: Group = {
  name: 'grpctogether',
  manager,
  filters: [stats({})],
  cases: [to('a call', '/a.B/Works', [inTrailers(0)]), to('one that fails', '/a.B/Fails', [alone(14)])],
};

const durations: Group = {
  name: 'grpcduration',
  manager: { ...manager, common_http_protocol_options: { max_stream_duration: '3s' } },
  routes: [
    via('grpcduration', '/own', { max_stream_duration: { max_stream_duration: '2s' } }),
    via('grpcduration', '/none', { max_stream_duration: { max_stream_duration: '0s' } }),
    via('grpcduration', '/header', { max_stream_duration: { grpc_timeout_header_max: '0s' } }),
    via('grpcduration', '/', {}),
  ],
  cases: ['/listener', '/own', '/none', '/header'].flatMap((path) => [
    ...['10S', '100x', '99999999H'].map((asked) =>
      to(`${path}: ${asked}`, path, [inTrailers(0)], `grpc-timeout: ${asked}\n`),
    ),
    to(`${path}: nothing asked`, path, [inTrailers(0)]),
    to(`${path}: late`, path, [hang], 'grpc-timeout: 1500m\n'),
    to(`${path}: no gRPC`, path, [plain], 'grpc-timeout: 10S\n', 'text/plain'),
  ]),
};

export const grpcGroups: readonly Group[] = [calls, listed, together, durations];
