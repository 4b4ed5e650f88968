/** Copies of requests: where they go, what they look like, and what is counted; the client sees nothing of them. */
import { deadCluster, type Group, get, type JsonObject, upstreamOf } from '../case.ts';

const target = upstreamOf('mirrortarget');
const to = (prefix: string, policies: readonly JsonObject[], more: JsonObject = {}): JsonObject => ({
  match: { prefix },
  route: { cluster: upstreamOf('mirrored'), request_mirror_policies: policies, ...more },
});
const share = (numerator: number, runtimeKey = ''): JsonObject => ({
  runtime_fraction: { default_value: { numerator }, runtime_key: runtimeKey },
});

export const mirrorGroups: readonly Group[] = [
  { name: 'mirrortarget', cases: [] },
  { name: 'mirrorbroken', cluster: { circuit_breakers: { thresholds: [{ max_requests: 0 }] } }, cases: [] },
  {
    name: 'mirrored',
    unordered: true,
    manager: { use_remote_address: true },
    routes: [
      to('/all', [{ cluster: target }]),
      to('/two', [
        { cluster: target },
        { cluster: deadCluster },
        { cluster: target, disable_shadow_host_suffix_append: true },
      ]),
      to('/none', [{ cluster: target, ...share(0) }]),
      to('/runtime', [{ cluster: target, ...share(0, 'oracle.always') }]),
      to('/header', [{ cluster_header: 'x-where' }]),
      to('/broken', [{ cluster: upstreamOf('mirrorbroken') }]),
      {
        ...to('/changed', [{ cluster: target }], { prefix_rewrite: '/re/', host_rewrite_literal: 'other.example:81' }),
        request_headers_to_add: [{ header: { key: 'x-added', value: '%REQ(:PATH)% %REQ(:AUTHORITY)%' } }],
      },
    ],
    cases: [
      { name: 'all', send: get('/all') },
      { name: 'host with a port', send: 'GET /all HTTP/1.1\nHost: a.example:8080\n@\n' },
      { name: 'a length', send: 'POST /all HTTP/1.1\nHost: a\nContent-Length: 5\n@\nhello' },
      { name: 'chunked', send: 'POST /all HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n@\n5\nhello\n0\n\n' },
      { name: 'HEAD', send: 'HEAD /all HTTP/1.1\nHost: a\n@\n' },
      { name: 'forwarded before', send: get('/all', 'X-Forwarded-For: 10.1.1.1\n') },
      { name: 'several, one of them dead', send: get('/two') },
      { name: 'no share', send: get('/none') },
      { name: 'share by runtime', send: get('/runtime') },
      { name: 'by header', send: get('/header', `x-where: ${target}\n`) },
      { name: 'by header, unknown', send: get('/header', 'x-where: nowhere\n') },
      { name: 'by header, absent', send: get('/header') },
      { name: 'no room', send: get('/broken') },
      { name: 'changed', send: get('/changed/x?q') },
    ],
  },
  {
    name: 'mirrorlevels',
    unordered: true,
    routeConfig: { request_mirror_policies: [{ cluster: target }] },
    virtualHosts: [
      {
        name: 'own',
        domains: ['own.example'],
        request_mirror_policies: [{ cluster: deadCluster }],
        routes: [
          {
            match: { prefix: '/route' },
            route: {
              cluster: upstreamOf('mirrorlevels'),
              request_mirror_policies: [{ cluster: target, disable_shadow_host_suffix_append: true }],
            },
          },
          { match: { prefix: '/' }, route: { cluster: upstreamOf('mirrorlevels') } },
        ],
      },
      {
        name: 'other',
        domains: ['*'],
        routes: [{ match: { prefix: '/' }, route: { cluster: upstreamOf('mirrorlevels') } }],
      },
    ],
    cases: [
      { name: 'of the route', send: 'GET /route HTTP/1.1\nHost: own.example\n@\n' },
      { name: 'of the virtual host', send: 'GET / HTTP/1.1\nHost: own.example\n@\n' },
      { name: 'of the configuration', send: get('/') },
    ],
  },
];
