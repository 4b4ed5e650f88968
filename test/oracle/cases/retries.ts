/** Retries and timeouts. */
import { type Answer, type Case, deadCluster, type Group, get, type Json, plain, upstreamOf } from '../case.ts';

const status = (code: number, more = ''): string => `HTTP/1.1 ${code} X\n${more}content-length: 4\n\nbusy`;
const fin: Answer = { ending: 'fin' };
const via = (prefix: string, action: { readonly [key: string]: Json }): Json => ({
  match: { prefix },
  route: { cluster: upstreamOf('retries'), ...action },
});
const retry = (prefix: string, policy: Json, more: { readonly [key: string]: Json } = {}): Json =>
  via(prefix, { retry_policy: policy, ...more });

const quick = { retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' } };

const to = (name: string, target: string, answers: readonly Answer[], headers = ''): Case => ({
  name,
  send: get(target, headers),
  answers,
});

const counted: Group = {
  name: 'counted',
  virtualHosts: [
    {
      name: 'counted',
      domains: ['*'],
      virtual_clusters: [
        {
          name: 'gets',
          headers: [
            { name: ':method', string_match: { exact: 'GET' } },
            { name: ':path', string_match: { prefix: '/a' } },
          ],
        },
        { name: 'posts', headers: [{ name: ':method', string_match: { exact: 'POST' } }] },
        { name: 'never', headers: [{ name: 'x-none', present_match: true }] },
      ],
      routes: [
        {
          match: { prefix: '/a/retry' },
          route: { cluster: upstreamOf('counted'), retry_policy: { retry_on: '5xx,reset', num_retries: 1, ...quick } },
          stat_prefix: 'retried',
        },
        { match: { prefix: '/a/late' }, route: { cluster: upstreamOf('counted'), timeout: '0.3s' } },
        { match: { prefix: '/a/dead' }, route: { cluster: deadCluster } },
        { match: { prefix: '/a/direct' }, direct_response: { status: 200 } },
        { match: { prefix: '/a/rewritten' }, route: { cluster: upstreamOf('counted'), prefix_rewrite: '/b' } },
        { match: { prefix: '/' }, route: { cluster: upstreamOf('counted') }, stat_prefix: 'all' },
      ],
    },
  ],
  cases: [
    to('a virtual cluster', '/a', [plain]),
    to('with a code of its own', '/a', [status(418)]),
    to('before the path is rewritten', '/a/rewritten', [plain]),
    to('another', '/other', [status(404)]),
    to('neither route nor virtual cluster', '/a/direct', []),
    to('a retry that helps', '/a/retry', [status(503), plain]),
    to('a retry that does not help', '/a/retry', [status(503)]),
    to('a reset and its retry', '/a/retry', [fin, plain]),
    to('a reset', '/a', [fin]),
    to('nobody there', '/a/dead', []),
    { ...to('a timeout', '/a/late', [{ ending: 'hang' }]), waitMs: 2000 },
    { name: 'a POST', send: 'POST /a HTTP/1.1\nHost: a\nContent-Length: 5\n@\nhello', answers: [plain] },
    { name: 'an OPTIONS', send: 'OPTIONS /a HTTP/1.1\nHost: a\n@\n', answers: [plain] },
  ],
};

const retries: Group = {
  name: 'retries',
  routes: [
    retry('/5xx', { retry_on: '5xx', num_retries: 2, ...quick }),
    retry('/one', { retry_on: '5xx', ...quick }),
    retry('/zero', { retry_on: '5xx', num_retries: 0 }),
    retry('/gateway', { retry_on: 'gateway-error', ...quick }),
    retry('/4xx', { retry_on: 'retriable-4xx', ...quick }),
    retry('/codes', { retry_on: 'retriable-status-codes', retriable_status_codes: [418], ...quick }),
    retry('/reset', { retry_on: 'reset', num_retries: 2, ...quick }),
    retry('/connect', { retry_on: 'connect-failure', num_retries: 2, ...quick }),
    via('/timeout', { timeout: '0.3s' }),
    retry('/try', { retry_on: '5xx', per_try_timeout: '0.3s', num_retries: 1, ...quick }),
    via('/idle', { idle_timeout: '0.3s', timeout: '0s' }),
    via('/plain', {}),
  ],
  // Cases run side by side: the default of three retries at a time would decide by chance.
  cluster: { circuit_breakers: { thresholds: [{ max_retries: 1000 }] } },
  cases: [
    to('5xx then well', '/5xx', [status(503), plain]),
    to('5xx twice then well', '/5xx', [status(500), status(503), plain]),
    to('5xx to the end', '/5xx', [status(503)]),
    to('5xx covers a reset', '/5xx', [fin, plain]),
    to('resets to the end', '/5xx', [fin]),
    to('404 is no 5xx', '/5xx', [status(404)]),
    {
      name: 'a body is sent again',
      send: 'POST /5xx HTTP/1.1\nHost: a\nContent-Length: 5\n@\nhello',
      answers: [status(503), plain],
    },
    {
      name: 'a chunked body is sent again',
      send: 'POST /5xx HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n@\n5\nhello\n0\n\n',
      answers: [status(503), plain],
    },
    to('one by default', '/one', [status(503)]),
    to('none', '/zero', [status(503)]),
    ...[500, 502, 503, 504].map((code) => to(`gateway-error ${code}`, '/gateway', [status(code), plain])),
    to('409', '/4xx', [status(409), plain]),
    to('404', '/4xx', [status(404), plain]),
    to('a listed code', '/codes', [status(418), plain]),
    to('another code', '/codes', [status(503), plain]),
    to('reset', '/reset', [fin, plain]),
    to('reset to the end', '/reset', [fin]),
    to('reset does not cover a status', '/reset', [status(503), plain]),
    to('connect-failure does not cover a reset', '/connect', [fin, plain]),
    to('route timeout', '/timeout', [{ ending: 'hang' }]),
    to('route timeout of gRPC', '/timeout', [{ ending: 'hang' }], 'content-type: application/grpc\n'),
    to('per-try timeout', '/try', [{ ending: 'hang' }, plain]),
    to('per-try timeout to the end', '/try', [{ ending: 'hang' }]),
    to('idle before headers', '/idle', [{ ending: 'hang' }]),
    { name: 'idle with an incomplete request', send: 'POST /idle HTTP/1.1\nHost: a\nContent-Length: 5\n@\nhe' },
    to('no retry without a policy', '/plain', [status(503), plain]),
    to('a client’s own policy is not heard', '/plain', [status(503), plain], 'x-envoy-retry-on: 5xx\n'),
  ].map((c) => ({ ...c, name: c.name.replaceAll('’', "'") })),
};

const timeouts: Group = {
  name: 'timeouts',
  manager: { request_timeout: '0.4s' },
  cases: [
    { name: 'body never complete', send: 'POST /x HTTP/1.1\nHost: a\nContent-Length: 5\n@\nhe' },
    { name: 'head never complete', send: 'GET /x HTTP/1.1\nHost: a\n@', waitMs: 2000 },
  ],
};

const headTimeout: Group = {
  name: 'headtimeout',
  manager: { request_headers_timeout: '0.4s' },
  cases: [{ name: 'head never complete', send: 'GET /x HTTP/1.1\nHost: a\n@', waitMs: 2000 }],
};

const full: Group = {
  name: 'full',
  cluster: { circuit_breakers: { thresholds: [{ max_requests: 0 }] } },
  cases: [{ name: 'overflow', send: get('/') }],
};

const bare: Group = {
  name: 'bare',
  filters: [],
  manager: {},
  cluster: { load_assignment: { cluster_name: 'up_bare', endpoints: [] } },
  cases: [{ name: 'no host', send: get('/') }],
};

export const retryGroups: readonly Group[] = [retries, counted, timeouts, headTimeout, full, bare];
