/** HTTP/2 at the client, at the upstream, and at both. */
import { type Case, deadCluster, filterType, type Group, get, type JsonObject, upstreamOf } from '../case.ts';

const optionsType = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const speaks: JsonObject = {
  typed_extension_protocol_options: {
    [optionsType]: {
      '@type': `type.googleapis.com/${optionsType}`,
      common_http_protocol_options: { max_requests_per_connection: 1 },
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};

/** Of HTTP/2 clients: the Host is `:authority`. */
const ask = (target: string, headers = '', method = 'GET'): string =>
  `${method} ${target} HTTP/2\n:authority: a.example\n${headers}@\n`;
const post = (body: string, headers = ''): string => `${ask('/post', headers, 'POST')}${body}`;
const answer = (status: number, headers = '', body = 'hello'): string => `HTTP/1.1 ${status} X\n${headers}\n${body}`;
const sized = (status: number, headers = '', body = 'hello'): string =>
  answer(status, `content-length: ${body.length}\n${headers}`, body);
const chunked = 'HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n5\nhello\n0\n\n';

/** What clients of HTTP/2 ask of upstreams of either version. */
const asked = (answers: {
  readonly plain: string;
  readonly empty: string;
  readonly trailers: string;
}): readonly Case[] => [
  { name: 'GET', send: ask('/a?b'), answers: [answers.plain] },
  { name: 'headers', send: ask('/', 'x-a: 1\nx-b: 2\nx-a: 3\ncookie: a=b\ncookie: c=d\n'), answers: [answers.plain] },
  { name: 'te trailers', send: ask('/', 'te: trailers\n'), answers: [answers.plain] },
  { name: 'HEAD', send: ask('/', '', 'HEAD'), answers: ['HTTP/1.1 200 OK\ncontent-length: 42\n\n'] },
  { name: 'POST', send: post('some body'), answers: [answers.plain] },
  { name: 'POST with a length', send: post('some body', 'content-length: 9\n'), answers: [answers.plain] },
  { name: 'POST without a body', send: ask('/', '', 'POST'), answers: [answers.plain] },
  { name: 'PUT without a body', send: ask('/', '', 'PUT'), answers: [answers.plain] },
  { name: 'DELETE', send: ask('/', '', 'DELETE'), answers: [answers.empty] },
  { name: 'OPTIONS', send: ask('*', '', 'OPTIONS') },
  { name: 'no body in the answer', send: ask('/'), answers: [answers.empty] },
  { name: '204', send: ask('/'), answers: ['HTTP/1.1 204 No\nx-a: b\n\n'] },
  { name: '304', send: ask('/'), answers: ['HTTP/1.1 304 No\nx-a: b\n\n'] },
  { name: '500', send: ask('/'), answers: [sized(500)] },
  { name: 'cookies set', send: ask('/'), answers: [sized(200, 'set-cookie: a=b\nset-cookie: c=d\n')] },
  { name: 'trailers in the answer', send: ask('/'), answers: [answers.trailers] },
  {
    name: 'a gRPC call',
    send: post('xxxxx', 'content-type: application/grpc\nte: trailers\n'),
    answers: [answers.trailers],
  },
  { name: 'reset', send: ask('/'), answers: [{ ending: 'reset' }] },
  { name: 'two slashes and dots', send: ask('/a//b/../c'), answers: [answers.plain] },
];

const localReplies: readonly JsonObject[] = [
  { match: { path: '/redirect' }, redirect: { path_redirect: '/to' } },
  { match: { path: '/direct' }, direct_response: { status: 200, body: { inline_string: 'direct' } } },
  { match: { path: '/empty' }, direct_response: { status: 404 } },
  ...['http', 'https', 'coap'].map((scheme, i) => ({
    match: { path: '/scheme', headers: [{ name: ':scheme', string_match: { exact: scheme } }] },
    direct_response: { status: 201 + i },
  })),
  { match: { path: '/dead' }, route: { cluster: deadCluster } },
  { match: { path: '/only' }, route: { cluster: upstreamOf('h2local') } },
];

const rbac: JsonObject = {
  name: 'rbac',
  typed_config: { '@type': filterType('rbac.v3.RBAC'), rules: { action: 'ALLOW', policies: {} } },
};

const grpc = 'content-type: application/grpc\n';

const underscored: readonly Case[] = [
  { name: 'an underscore', send: ask('/', 'x_a: 1\n') },
  { name: 'an underscore in a value', send: ask('/', 'x-a: a_b\n') },
  { name: 'an underscore and a body', send: post('some body', 'x_a: 1\n') },
];

/** Nothing is sent again by itself. */
const post1 = 'POST / HTTP/1.1\nHost: a.example\nContent-Length: 5\n@\nhello';

export const http2Groups: readonly Group[] = [
  {
    name: 'h2reject',
    client: 'http2',
    manager: { common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' } },
    cases: underscored,
  },
  {
    name: 'h2drop',
    client: 'http2',
    manager: { common_http_protocol_options: { headers_with_underscores_action: 'DROP_HEADER' } },
    cases: underscored,
  },
  {
    name: 'h2toh1',
    client: 'http2',
    cases: [
      ...asked({
        plain: sized(200, 'x-from: upstream\n'),
        empty: 'HTTP/1.1 200 OK\ncontent-length: 0\n\n',
        trailers: 'HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n5\nhello\n0\nx-sum: s\n\n',
      }),
      { name: 'chunked answer', send: ask('/'), answers: [chunked] },
      {
        name: 'connection headers',
        send: ask('/'),
        answers: [sized(200, 'connection: x-hop\nx-hop: 1\nkeep-alive: 5\n')],
      },
      {
        name: 'an answer until the end',
        send: ask('/'),
        answers: [{ ending: 'fin', first: 'HTTP/1.1 200 OK\n\nhello' }],
      },
      {
        name: 'an answer cut short',
        send: ask('/'),
        answers: [{ ending: 'fin', first: 'HTTP/1.1 200 OK\ncontent-length: 9\n\nhello' }],
      },
      { name: 'not HTTP', send: ask('/'), answers: ['what?\n\n'] },
      { name: 'closed', send: ask('/'), answers: [{ ending: 'fin' }] },
    ],
  },
  {
    name: 'h1toh2',
    server: 'http2',
    cluster: speaks,
    cases: [
      { name: 'GET', send: get('/a?b'), answers: [answer(200, 'x-from: upstream\n')] },
      {
        name: 'hop-by-hop headers',
        send: get('/', 'Connection: x-hop\nX-Hop: 1\nKeep-Alive: 5\nTE: trailers, gzip\n'),
      },
      {
        name: 'HEAD',
        send: `HEAD / HTTP/1.1\nHost: a.example\n@\n`,
        answers: ['HTTP/1.1 200 OK\ncontent-length: 42\n\n'],
      },
      { name: 'POST', send: 'POST / HTTP/1.1\nHost: a.example\nContent-Length: 5\n@\nhello', answers: [answer(200)] },
      {
        name: 'POST chunked',
        send: 'POST / HTTP/1.1\nHost: a.example\nTransfer-Encoding: chunked\n@\n5\nhello\n0\n\n',
        answers: [answer(200)],
      },
      { name: 'POST without a body', send: 'POST / HTTP/1.1\nHost: a.example\n@\n', answers: [answer(200)] },
      { name: 'no body in the answer', send: get('/'), answers: ['HTTP/1.1 200 OK\nx-a: b\n\n'] },
      { name: '204', send: get('/'), answers: ['HTTP/1.1 204 No\nx-a: b\n\n'] },
      { name: '304', send: get('/'), answers: ['HTTP/1.1 304 No\nx-a: b\n\n'] },
      { name: 'a length in the answer', send: get('/'), answers: [sized(200)] },
      { name: 'reset', send: get('/'), answers: [{ ending: 'reset' }] },
      {
        name: 'gRPC with a status only',
        send: get('/', grpc),
        answers: ['HTTP/1.1 200 OK\ncontent-type: application/grpc\ngrpc-status: 5\n\n'],
      },
      ...[0, 1, 2, 3, 7, 8, 10, 11].map(
        (code): Case => ({ name: `reset with code ${code}`, send: post1, answers: [{ ending: 'reset', code }] }),
      ),
    ],
  },
  {
    name: 'h2toh2',
    client: 'http2',
    server: 'http2',
    cluster: speaks,
    cases: [
      ...asked({
        plain: answer(200, 'x-from: upstream\n'),
        empty: 'HTTP/1.1 200 OK\nx-a: b\n\n',
        trailers: 'HTTP/1.1 200 OK\nx-a: b\n\nhello\n\ngrpc-status: 0\n',
      }),
      { name: 'trailers in the request', send: `${post('body')}\n\nx-end: 1\n`, answers: [answer(200)] },
    ],
  },
  {
    name: 'h2local',
    client: 'http2',
    routes: localReplies,
    cases: [
      { name: 'no route', send: ask('/nothing') },
      { name: 'no route to HEAD', send: ask('/nothing', '', 'HEAD') },
      { name: 'no route to gRPC', send: post('x', grpc) },
      { name: 'redirect', send: ask('/redirect') },
      { name: 'direct response', send: ask('/direct') },
      { name: 'direct response to HEAD', send: ask('/direct', '', 'HEAD') },
      { name: 'empty direct response', send: ask('/empty') },
      ...['http', 'https', 'HTTPS', 'coap'].map((scheme) => ({
        name: `a route for the scheme ${scheme}`,
        send: ask('/scheme', `:scheme: ${scheme}\n`),
      })),
      { name: 'refused connection', send: ask('/dead') },
      { name: 'refused connection, gRPC', send: ask('/dead', grpc) },
      { name: 'a fragment', send: ask('/only#x') },
    ],
  },
  {
    name: 'h2rbac',
    client: 'http2',
    filters: [rbac],
    cases: [
      { name: 'denied', send: ask('/') },
      { name: 'denied with a body', send: post('x'.repeat(1000)) },
      { name: 'denied to gRPC', send: ask('/', grpc) },
    ],
  },
  {
    name: 'h2paths',
    client: 'http2',
    manager: { normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: 'REJECT_REQUEST' },
    cases: [
      { name: 'normalised', send: ask('/a//b/../c') },
      { name: 'escaped slash', send: ask('/a%2fb') },
    ],
  },
];
