/** Route choice, redirects, rewrites, hosts and paths. */
import { type Case, type Group, get, type Json, type JsonObject, plain, upstreamOf } from '../case.ts';

const answer = (text: string): Json => ({ status: 200, body: { inline_string: text } });
const to = (match: Json, name: string): Json => ({ match, direct_response: answer(name) });
const ask = (target: string, headers = ''): Case => ({
  name: `${target} ${headers.trim().replaceAll('\n', ', ')}`.trim(),
  send: get(target, headers),
});

const paths: Group = {
  name: 'paths',
  routes: [
    to({ path: '/exact' }, 'exact'),
    to({ path: '/Folded', case_sensitive: false }, 'folded'),
    to({ path_separated_prefix: '/sep' }, 'separated'),
    to({ safe_regex: { regex: '/re/[0-9]+' } }, 'regex'),
    to({ prefix: '/service/1' }, 'prefix'),
    to({ prefix: '/first' }, 'first'),
    to({ prefix: '/first/second' }, 'never'),
    to({ prefix: '/grpc', grpc: {} }, 'grpc'),
    to({ prefix: '/h', headers: [{ name: 'x-exact', string_match: { exact: 'One' } }] }, 'header exact'),
    to({ prefix: '/h', headers: [{ name: 'x-prefix', string_match: { prefix: 'ab' } }] }, 'header prefix'),
    to({ prefix: '/h', headers: [{ name: 'x-contains', string_match: { contains: 'mid' } }] }, 'header contains'),
    to(
      { prefix: '/h', headers: [{ name: 'x-fold', string_match: { exact: 'One', ignore_case: true } }] },
      'header folded',
    ),
    to({ prefix: '/h', headers: [{ name: 'x-range', range_match: { start: -10, end: 10 } }] }, 'header range'),
    to({ prefix: '/h', headers: [{ name: 'x-present', present_match: true }] }, 'header present'),
    to(
      { prefix: '/h', headers: [{ name: 'x-inverted', string_match: { exact: 'One' }, invert_match: true }] },
      'header inverted',
    ),
    to({ prefix: '/h', headers: [{ name: ':method', string_match: { exact: 'POST' } }] }, 'method'),
    to({ prefix: '/q', query_parameters: [{ name: 'a', string_match: { exact: '1' } }] }, 'query exact'),
    to({ prefix: '/q', query_parameters: [{ name: 'p', present_match: true }] }, 'query present'),
    to({ prefix: '/q', query_parameters: [{ name: 'n', present_match: false }] }, 'query absent'),
  ],
  cases: [
    ...[
      '/exact',
      '/exact?q=1',
      '/exact/',
      '/EXACT',
      '/exact#frag',
      '/folded',
      '/FOLDED?x',
      '/sep',
      '/sep/a',
      '/sep?x',
      '/sepa',
    ].map((t) => ask(t)),
    ...['/re/12', '/re/12?x', '/re/12a', '/x/re/12', '/service/1', '/service/10', '/first/second', '/nowhere', '/'].map(
      (t) => ask(t),
    ),
    ask('/grpc', 'content-type: application/grpc\n'),
    ask('/grpc', 'content-type: application/grpc+proto\n'),
    ask('/grpc', 'content-type: application/grpcx\n'),
    ...[
      'x-exact: One',
      'x-exact: one',
      'x-exact:   One  ',
      'x-exact: One\nx-exact: Two',
      'x-exact: Zero\nx-exact: One',
    ].map((h) => ask('/h', `${h}\n`)),
    ...[
      'x-prefix: abc',
      'x-contains: amidst',
      'x-fold: ONE',
      'x-range: -10',
      'x-range: 9',
      'x-range: 10',
      'x-range: 1x',
      'x-present:',
      'x-inverted: Two',
      'x-inverted: One',
      'x-none: 1',
    ].map((h) => ask('/h', `${h}\n`)),
    { name: 'method header', send: 'POST /h HTTP/1.1\nHost: a.example\nContent-Length: 0\n@\n' },
    ...['/q?a=1&n=1', '/q?a=2&a=1&n=1', '/q?a=%31&n=1', '/q?A=1&n=1', '/q?p&n=1', '/q?p=&n=1', '/q', '/q?n=1'].map(
      (t) => ask(t),
    ),
  ],
};

const host = (name: string, domains: readonly string[]): Json => ({
  name: name.replaceAll(' ', '-'),
  domains,
  routes: [to({ prefix: '/' }, name)],
});

const withHost = (value: string): Case => ({
  name: `Host ${value === '' ? 'empty' : value}`,
  send: `GET / HTTP/1.1\nHost: ${value}\n@\n`,
});
const hostNames = [
  'www.example.com',
  'WWW.Example.COM',
  'www.example.com:80',
  'x.example.com',
  'x.y.example.com',
  'deep.long.example.com',
  'example.com',
  '.example.com',
  'foo.bar',
  'foo.',
  'other.org',
  'www.example.com.',
  '[::1]:99',
  '',
];

const hosts: Group = {
  name: 'hosts',
  virtualHosts: [
    host('exact', ['www.example.com']),
    host('long suffix', ['*.long.example.com']),
    host('suffix', ['*.example.com']),
    host('prefix', ['foo.*']),
  ],
  cases: [
    ...hostNames.map(withHost),
    { name: 'absolute target', send: 'GET http://www.example.com/ HTTP/1.1\nHost: www.example.com\n@\n' },
    { name: 'no host', send: 'GET / HTTP/1.1\n@\n' },
  ],
};

const strip: Group = {
  name: 'strip',
  manager: { strip_any_host_port: true },
  cases: ['a.example:8080', '[::1]:99', 'a.example:x', 'a.example'].map(withHost),
};

const ignorePort: Group = {
  name: 'ignoreport',
  routeConfig: { ignore_port_in_host_matching: true },
  virtualHosts: [host('exact', ['www.example.com'])],
  cases: ['www.example.com:8080', 'www.example.com', 'other:80'].map(withHost),
};

const go = (prefix: string, redirect: Json): Json => ({ match: { prefix }, redirect });

const redirects: Group = {
  name: 'redirects',
  routes: [
    go('/default', { path_redirect: '/new' }),
    go('/302', { path_redirect: '/new', response_code: 'FOUND' }),
    go('/307', { path_redirect: '/new?own=1', response_code: 'TEMPORARY_REDIRECT' }),
    go('/308', { host_redirect: 'other.example', response_code: 'PERMANENT_REDIRECT' }),
    go('/https', { https_redirect: true }),
    go('/scheme', { scheme_redirect: 'ftp' }),
    go('/port', { port_redirect: 8443 }),
    go('/hostport', { host_redirect: 'other.example', port_redirect: 8443 }),
    go('/prefix', { prefix_rewrite: '/p' }),
    go('/strip', { path_redirect: '/s', strip_query: true }),
  ],
  cases: [
    ...[
      '/default?a=1',
      '/302',
      '/307?a=1',
      '/308/x?a=1',
      '/https/x?y',
      '/scheme',
      '/port/a',
      '/hostport',
      '/prefix/rest?q=1',
      '/strip?q=1',
    ].map((t) => ask(t)),
    ...['a.example:80', 'a.example:8080', 'a.example:443', '[::1]:8080'].flatMap((h): Case[] => [
      { name: `https to ${h}`, send: `GET /https HTTP/1.1\nHost: ${h}\n@\n` },
      { name: `host from ${h}`, send: `GET /308 HTTP/1.1\nHost: ${h}\n@\n` },
      { name: `port from ${h}`, send: `GET /port HTTP/1.1\nHost: ${h}\n@\n` },
    ]),
    ask('/default', 'x-forwarded-proto: https\n'),
    ask('/port', 'x-forwarded-proto: https\n'),
    { name: 'with a body', send: 'POST /default HTTP/1.1\nHost: a.example\nContent-Length: 5\n@\nhello' },
  ],
};

const tls: Group = {
  name: 'requiretls',
  virtualHosts: [{ name: 'all', domains: ['*'], require_tls: 'ALL', routes: [to({ prefix: '/' }, 'secure')] }],
  cases: [ask('/x?y=1'), ask('/x', 'x-forwarded-proto: https\n')],
};

const via = (match: Json, more: Json & object): Json => ({
  match,
  route: { cluster: upstreamOf('rewrites'), ...more },
});

const rewrites: Group = {
  name: 'rewrites',
  routes: [
    via({ prefix: '/v1' }, { prefix_rewrite: '/v2' }),
    via({ prefix: '/root/' }, { prefix_rewrite: '/' }),
    via({ path: '/exact' }, { prefix_rewrite: '/other' }),
    via({ prefix: '/re' }, { regex_rewrite: { pattern: { regex: '^/re/([a-z]+)/(.*)$' }, substitution: '/\\2/\\1' } }),
    via({ prefix: '/host' }, { host_rewrite_literal: 'inner.example' }),
    via({ prefix: '/xfh' }, { host_rewrite_literal: 'inner.example', append_x_forwarded_host: true }),
    via({ prefix: '/byheader' }, { host_rewrite_header: 'x-host' }),
    via({ prefix: '/zero' }, { timeout: '0s' }),
    via({ prefix: '/short' }, { timeout: '2.3s' }),
    via({ prefix: '/try' }, { timeout: '4s', retry_policy: { retry_on: '5xx', per_try_timeout: '2.3s' } }),
  ],
  cases: [
    ...[
      '/v1',
      '/v10',
      '/v1/x?q=1',
      '/root/a',
      '/exact?x',
      '/re/abc/12?q=1',
      '/re/none',
      '/host',
      '/xfh',
      '/byheader',
      '/zero',
      '/short',
      '/try',
    ].map((t) => ask(t)),
    ask('/v1', 'x-envoy-original-path: /forged\n'),
    ask('/xfh', 'x-forwarded-host: first.example\n'),
    ask('/byheader', 'x-host: chosen.example\n'),
  ],
};

const pathTargets = [
  '/a/../b',
  '/a/./b',
  '/a/%2e%2e/b',
  '/../../x',
  '/a//b',
  '/a%2Fb',
  '/a%5Cb',
  '/%61',
  '/a%20b',
  '/a%00b',
  '/a?b=/../c',
  '/a/..%2fb',
  '/a%2f..%2fb',
  '/a%252Fb',
  '/%zz',
  '/a/b/..',
  '/a/b/.',
];
const backslash: Case = { name: 'backslash', send: get('/a\\b') };
const pathCases: readonly Case[] = pathTargets.map((target) => ask(target));

const pathGroup = (name: string, manager: Group['manager'] & object, more: readonly Case[] = [backslash]): Group => ({
  name,
  manager,
  cases: [...pathCases, ...more],
});

const predicateType = (name: string, message: string): JsonObject => ({
  name,
  typed_config: { '@type': `type.googleapis.com/envoy.extensions.internal_redirect.${name}.v3.${message}` },
});
const follow = (name: string, prefix: string, policy: JsonObject, more: JsonObject = {}): JsonObject => ({
  name,
  match: { prefix },
  route: { cluster: upstreamOf('internalredirects'), internal_redirect_policy: policy, ...more },
});
const leads = (location: string, code = 302, more = ''): string =>
  `HTTP/1.1 ${code} X\nlocation: ${location}\n${more}content-length: 0\n\n`;
const post = (path: string): string => `POST ${path} HTTP/1.1\nHost: a.example\nContent-Length: 5\n@\nhello`;

const internalRedirects: Group = {
  name: 'internalredirects',
  routes: [
    follow('one', '/one', {}),
    follow('three', '/three', { max_internal_redirects: 3 }),
    follow('codes', '/codes', { redirect_response_codes: [301, 303, 307, 404] }),
    follow('cross', '/cross', { allow_cross_scheme_redirect: true }),
    follow('safe', '/safe', {
      allow_cross_scheme_redirect: true,
      predicates: [predicateType('safe_cross_scheme', 'SafeCrossSchemeConfig')],
    }),
    follow('listed', '/listed', {
      predicates: [
        {
          name: 'allow',
          typed_config: {
            '@type':
              'type.googleapis.com/envoy.extensions.internal_redirect.allow_listed_routes.v3.AllowListedRoutesConfig',
            allowed_route_names: ['one'],
          },
        },
      ],
    }),
    follow('previous', '/previous', {
      max_internal_redirects: 5,
      predicates: [predicateType('previous_routes', 'PreviousRoutesConfig')],
    }),
    follow('copied', '/copied', { response_headers_to_copy: ['x-copied', 'x-absent'] }),
    follow('rewritten', '/rewritten', {}, { prefix_rewrite: '/other' }),
    { match: { prefix: '/plain' }, route: { cluster: upstreamOf('internalredirects') } },
  ],
  cases: [
    { name: 'followed', send: get('/one?q'), answers: [leads('http://b.example/plain/x?y#frag'), plain] },
    { name: 'twice is too often', send: get('/one'), answers: [leads('http://b.example/one')] },
    { name: 'three times', send: get('/three'), answers: [leads('http://b.example/three')] },
    { name: 'relative', send: get('/one'), answers: [leads('/plain')] },
    { name: 'no location', send: get('/one'), answers: ['HTTP/1.1 302 X\ncontent-length: 0\n\n'] },
    { name: 'no route', send: get('/one'), answers: [leads('http://b.example/nowhere')] },
    { name: 'only a host', send: get('/three'), answers: [leads('http://b.example')] },
    { name: '301 by default', send: get('/one'), answers: [leads('http://b.example/plain', 301)] },
    { name: '301 where listed', send: get('/codes'), answers: [leads('http://b.example/plain', 301), plain] },
    { name: '302 not listed', send: get('/codes'), answers: [leads('http://b.example/plain', 302)] },
    { name: 'POST and 307', send: post('/codes'), answers: [leads('http://b.example/plain', 307), plain] },
    { name: 'POST and 303', send: post('/codes'), answers: [leads('http://b.example/plain', 303), plain] },
    {
      name: 'a chunked POST',
      send: 'POST /one HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n@\n5\nhello\n0\n\n',
      answers: [leads('http://b.example/plain'), plain],
    },
    { name: 'to https', send: get('/one'), answers: [leads('https://b.example/plain')] },
    { name: 'to https where allowed', send: get('/cross'), answers: [leads('https://b.example/plain'), plain] },
    { name: 'to https where safe', send: get('/safe'), answers: [leads('https://b.example/plain')] },
    { name: 'to a listed route', send: get('/listed'), answers: [leads('http://b.example/one'), plain] },
    { name: 'to another route', send: get('/listed'), answers: [leads('http://b.example/plain')] },
    { name: 'to a route seen before', send: get('/previous'), answers: [leads('http://b.example/previous')] },
    {
      name: 'headers copied',
      send: get('/copied', 'x-absent: mine\n'),
      answers: [leads('http://b.example/plain', 302, 'x-copied: 1\n'), plain],
    },
    { name: 'a rewritten path', send: get('/rewritten/a'), answers: [leads('http://b.example/plain'), plain] },
    { name: 'no redirect', send: get('/one') },
  ],
};

export const routingGroups: readonly Group[] = [
  internalRedirects,
  paths,
  hosts,
  strip,
  ignorePort,
  redirects,
  tls,
  rewrites,
  pathGroup('asitcomes', {}),
  pathGroup('normalize', { normalize_path: true }),
  pathGroup('merge', { normalize_path: true, merge_slashes: true }),
  pathGroup('rejectslash', { normalize_path: true, path_with_escaped_slashes_action: 'REJECT_REQUEST' }),
  pathGroup('redirectslash', { normalize_path: true, path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT' }, [
    backslash,
    { name: 'gRPC with an escaped slash', send: get('/a%2Fb', 'content-type: application/grpc\n') },
  ]),
  pathGroup('forwardslash', { normalize_path: true, path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD' }),
];
