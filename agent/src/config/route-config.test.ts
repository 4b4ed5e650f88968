import test from 'ava';
import { environment, type Json, routesOf } from './testing/compile.ts';

const vhost = (route: Json, more: Json = {}): Json => ({
  name: 'r',
  virtual_hosts: [{ name: 'v', domains: ['A.Example'], routes: [{ match: { prefix: '/' }, ...route }], ...more }],
});

test('a route to a cluster with the defaults of Envoy', (t) => {
  const { virtualHosts } = routesOf(vhost({ route: { cluster: 'a' } }));
  t.deepEqual(virtualHosts[0]?.domains, ['a.example']);
  t.like(virtualHosts[0]?.routes[0]?.action, {
    kind: 'route',
    clusters: [{ name: 'a', weight: 1 }],
    clusterNotFoundStatus: 503,
    timeoutMs: 15_000,
    idleTimeoutMs: null,
    retry: null,
    prefixRewrite: null,
  });
});

test('priority and the subset that is asked for', (t) => {
  const lb = (labels: Json): Json => ({ filter_metadata: { 'envoy.lb': labels } });
  const { virtualHosts } = routesOf({
    name: 'r',
    virtual_hosts: [
      {
        name: 'v',
        domains: ['*'],
        routes: [
          { match: { prefix: '/h' }, route: { cluster_header: 'X', priority: 'HIGH', metadata_match: lb({ a: 1 }) } },
          {
            match: { prefix: '/' },
            route: {
              metadata_match: lb({ stage: 'prod' }),
              weighted_clusters: {
                clusters: [
                  { name: 'b', weight: 1, metadata_match: lb({ v: '1' }) },
                  { name: 'c', weight: 1, metadata_match: lb({ stage: 'dev' }) },
                ],
              },
            },
          },
        ],
      },
    ],
  });
  const [first, second] = virtualHosts[0]?.routes ?? [];
  t.like(first?.action, { highPriority: true, subset: { names: ['a'], values: ['1'] } });
  t.like(second?.action, {
    clusters: [
      { name: 'b', subset: { names: ['stage', 'v'], values: ['"prod"', '"1"'] } },
      { name: 'c', subset: { names: ['stage'], values: ['"dev"'] } },
    ],
  });
  t.false('highPriority' in (second?.action ?? {}));
});

test('retries: conditions, back-off and the default of one', (t) => {
  const { virtualHosts } = routesOf(
    vhost({
      route: {
        cluster: 'a',
        retry_policy: {
          retry_on: 'connect-failure, reset',
          retry_back_off: { base_interval: '0.1s' },
          retriable_request_headers: [{ name: ':method', string_match: { exact: 'GET' } }],
        },
      },
    }),
  );
  const action = virtualHosts[0]?.routes[0]?.action;
  t.deepEqual(action?.kind === 'route' ? action.retry : null, {
    on: ['connect-failure', 'reset'],
    retriableStatusCodes: [],
    numRetries: 1,
    perTryTimeoutMs: 0,
    backoffBaseMs: 100,
    backoffMaxMs: 1_000,
    retriableHeaders: [],
    retriableMethods: ['GET'],
  });
});

test('hashing, weights by header, durations, attempts and filters of a route', (t) => {
  const perRoute = 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute';
  const { virtualHosts } = routesOf({
    name: 'r',
    most_specific_header_mutations_wins: true,
    virtual_hosts: [
      {
        name: 'v',
        domains: ['*'],
        include_request_attempt_count: true,
        routes: [
          {
            match: { prefix: '/' },
            typed_per_filter_config: { authz: { '@type': perRoute } },
            per_request_buffer_limit_bytes: 10,
            route: {
              weighted_clusters: {
                header_name: 'X-W',
                clusters: [{ name: 'a', weight: 1, host_rewrite_literal: 'h' }],
              },
              timeout: '3s',
              max_stream_duration: { grpc_timeout_header_max: '0s' },
              hash_policy: [{ cookie: { name: 'c', ttl: '60s' }, terminal: true }, { query_parameter: { name: 'q' } }],
            },
          },
        ],
      },
    ],
  });
  const [host] = virtualHosts;
  t.deepEqual(host?.attemptCount, { request: true, response: false });
  t.like(host?.routes[0], { filters: { authz: null }, bufferLimitBytes: 10 });
  t.like(host?.routes[0]?.action, {
    weightHeader: 'x-w',
    timeoutMs: 0,
    streamDuration: { maxMs: null, grpcMaxMs: 0, grpcOffsetMs: 0 },
    hashPolicy: [
      { kind: 'cookie', name: 'c', ttlS: 60, path: '', attributes: [], terminal: true },
      { kind: 'query', name: 'q', terminal: false },
    ],
  });
});

test('redirects, direct responses, header matches and mutations', (t) => {
  const { virtualHosts } = routesOf({
    name: 'r',
    virtual_hosts: [
      {
        name: 'v',
        domains: ['*'],
        routes: [
          { match: { path: '/a' }, redirect: { https_redirect: true, response_code: 'FOUND', strip_query: true } },
          {
            match: { safe_regex: { regex: '/b.*' } },
            direct_response: { status: 418, body: { inline_string: 'tea' } },
          },
          {
            match: { prefix: '/', headers: [{ name: 'X-A', string_match: { prefix: 'v' }, invert_match: true }] },
            route: {
              weighted_clusters: {
                clusters: [
                  { name: 'a', weight: 1 },
                  { name: 'b', weight: 3 },
                ],
              },
            },
            request_headers_to_add: [
              { header: { key: 'X-B', value: '%PROTOCOL%' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
            ],
          },
        ],
      },
    ],
  });
  const [a, b, c] = virtualHosts[0]?.routes ?? [];
  t.like(a?.action, { kind: 'redirect', status: 302, httpsRedirect: true, stripQuery: true });
  t.like(b?.action, { kind: 'direct_response', status: 418, body: 'tea' });
  t.like(c?.match.headers[0], { name: 'x-a', invert: true });
  t.deepEqual(c?.headers.requestAdd, [{ name: 'x-b', value: '%PROTOCOL%', action: 'overwrite', keepEmpty: false }]);
});

const at = 'virtual_hosts[0].routes[0]';
const refused: readonly (readonly [string, Json, string])[] = [
  [
    'a mirror without a cluster',
    vhost({ route: { cluster: 'a', request_mirror_policies: [{}] } }),
    `${at}.route.request_mirror_policies[0]: Exactly one of cluster or cluster_header in request mirror policy need to be specified`,
  ],
  [
    'a mirror with two clusters',
    vhost({ route: { cluster: 'a', request_mirror_policies: [{ cluster: 'b', cluster_header: 'c' }] } }),
    `${at}.route.request_mirror_policies[0]: Only one of cluster or cluster_header in request mirror policy can be specified`,
  ],
  [
    'a hash of filter state',
    vhost({ route: { cluster: 'a', hash_policy: [{ filter_state: { key: 'x' } }] } }),
    `${at}.route.hash_policy[0].filter_state: not implemented by this agent (field of envoy.config.route.v3.RouteAction.HashPolicy)`,
  ],
  [
    'a retry condition that is not implemented',
    vhost({ route: { cluster: 'a', retry_policy: { retry_on: 'http3-post-connect-failure' } } }),
    `${at}.route.retry_policy.retry_on: 'http3-post-connect-failure' is not implemented (5xx, gateway-error, reset, reset-before-request, connect-failure, retriable-4xx, refused-stream, retriable-status-codes, retriable-headers, envoy-ratelimited, cancelled, deadline-exceeded, internal, resource-exhausted, unavailable are)`,
  ],
  [
    'per-filter configuration',
    vhost({
      route: { cluster: 'a' },
      typed_per_filter_config: { x: { '@type': 'type.googleapis.com/google.protobuf.Empty' } },
    }),
    `${at}.typed_per_filter_config: extension google.protobuf.Empty is not implemented (envoy.extensions.filters.http.rbac.v3.RBACPerRoute, envoy.config.route.v3.FilterConfig)`,
  ],
  [
    'a bad regular expression',
    vhost({ match: { safe_regex: { regex: '[bad' } }, route: { cluster: 'a' } }),
    `${at}.match.safe_regex.regex: Invalid re2 regex: missing ]: [bad`,
  ],
  [
    'a body that is too large',
    vhost({ direct_response: { status: 200, body: { inline_string: 'x'.repeat(4097) } } }),
    `${at}.direct_response.body: response body size is 4097 bytes; maximum is 4096`,
  ],
  ...[0, 100, 199, 600].map(
    (status) =>
      [
        `regression: a direct response of ${status}`,
        vhost({ direct_response: { status } }),
        `${at}.direct_response.status: must be at least 200 and less than 600`,
      ] as const,
  ),
  [
    'an operator that does not exist',
    vhost({ route: { cluster: 'a' }, request_headers_to_add: [{ header: { key: 'x', value: '%NOPE%' } }] }),
    `${at}: header x: Not supported field in StreamInfo: NOPE`,
  ],
  [
    'a pseudo header',
    vhost({ route: { cluster: 'a' }, request_headers_to_remove: ['Host'] }),
    `${at}.request_headers_to_remove: Host may not be removed`,
  ],
  [
    'a domain twice',
    {
      name: 'r',
      virtual_hosts: [
        { name: 'a', domains: ['x'] },
        { name: 'b', domains: ['X'] },
      ],
    },
    'Only unique values for domains are permitted. Duplicate entry of domain x in virtual_hosts[1]',
  ],
];

for (const [what, json, message] of refused) {
  test(`${what} is refused by path and name`, (t) => {
    t.is(t.throws(() => routesOf(json))?.message, message);
  });
}

test('mirrors of a route, a virtual host and the configuration', (t) => {
  const policy = { cluster: 'm', runtime_fraction: { default_value: { numerator: 50 } }, trace_sampled: true };
  const spec = routesOf({
    ...vhost(
      { route: { cluster: 'a', request_mirror_policies: [policy] } },
      { request_mirror_policies: [{ cluster_header: 'X-To', disable_shadow_host_suffix_append: true }] },
    ),
    request_mirror_policies: [{ cluster: 'c' }],
  });
  t.like(spec.virtualHosts[0]?.routes[0]?.action, {
    mirrors: [{ cluster: 'm', clusterHeader: '', fraction: 0.5, hostSuffix: true }],
  });
  t.deepEqual(spec.virtualHosts[0]?.mirrors, [
    { cluster: '', clusterHeader: 'x-to', fraction: null, hostSuffix: false },
  ]);
  t.is(spec.mirrors?.[0]?.cluster, 'c');
});

test('CONNECT: a route of its own, passed on or ended here', (t) => {
  const connect = (upgrade: Json): Json =>
    vhost({
      match: { connect_matcher: {} },
      route: { cluster: 'a', upgrade_configs: [{ upgrade_type: 'CONNECT', ...upgrade }] },
    });
  const [route] = routesOf(connect({ connect_config: {} })).virtualHosts[0]?.routes ?? [];
  t.deepEqual(route?.match.path, { kind: 'connect' });
  t.like(route?.action, { upgrades: { connect: true }, terminatesConnect: true });
  const [passed] = routesOf(connect({ enabled: false })).virtualHosts[0]?.routes ?? [];
  t.like(passed?.action, { upgrades: { connect: false } });
  t.false('terminatesConnect' in (passed?.action ?? {}));
  const [post] =
    routesOf(connect({ connect_config: { allow_post: true, proxy_protocol_config: { version: 'V2' } } }))
      .virtualHosts[0]?.routes ?? [];
  t.like(post?.action, { terminatesConnect: true, terminatesPost: true, tunnelProxyHeader: 'v2' });
  t.like(route?.action, { terminatesPost: false, tunnelProxyHeader: null });
  const at = 'virtual_hosts[0].routes[0].route.upgrade_configs';
  const refusals: readonly (readonly [Json, string])[] = [
    [
      connect({ connect_config: { proxy_protocol_config: { pass_through_tlvs: {} } } }),
      `${at}[0].connect_config.proxy_protocol_config.pass_through_tlvs: not implemented by this agent (field of envoy.config.core.v3.ProxyProtocolConfig)`,
    ],
    [
      vhost({ route: { cluster: 'a', upgrade_configs: [{ upgrade_type: 'websocket', connect_config: {} }] } }),
      `${at}[0].connect_config: only for upgrade_type CONNECT`,
    ],
    [
      vhost({ route: { cluster: 'a', upgrade_configs: [{ upgrade_type: 'x' }, { upgrade_type: 'X' }] } }),
      `${at}: Duplicate upgrade x`,
    ],
  ];
  for (const [json, message] of refusals) t.is(t.throws(() => routesOf(json))?.message, message);
});

test('internal redirects: the policy with the defaults of Envoy, and the older fields', (t) => {
  const predicate = (name: string, more: Json = {}): Json => ({
    name: 'p',
    typed_config: { '@type': `type.googleapis.com/envoy.extensions.internal_redirect.${name}`, ...more },
  });
  const of = (action: Json): unknown => {
    const [route] = routesOf(vhost({ route: { cluster: 'a', ...action } })).virtualHosts[0]?.routes ?? [];
    return route?.action.kind === 'route' ? route.action.internalRedirect : null;
  };
  const defaults = { maxRedirects: 1, codes: [302], crossScheme: false, predicates: [], copyHeaders: [] };
  t.is(of({}), undefined);
  t.deepEqual(of({ internal_redirect_policy: {} }), defaults);
  t.deepEqual(of({ internal_redirect_action: 'HANDLE_INTERNAL_REDIRECT', max_internal_redirects: 3 }), {
    ...defaults,
    maxRedirects: 3,
  });
  const policy = {
    max_internal_redirects: 4,
    redirect_response_codes: [301, 404, 307],
    allow_cross_scheme_redirect: true,
    response_headers_to_copy: ['X-Copy'],
    predicates: [
      predicate('previous_routes.v3.PreviousRoutesConfig'),
      predicate('allow_listed_routes.v3.AllowListedRoutesConfig', { allowed_route_names: ['b'] }),
      predicate('safe_cross_scheme.v3.SafeCrossSchemeConfig'),
    ],
  };
  t.deepEqual(of({ internal_redirect_policy: policy }), {
    maxRedirects: 4,
    codes: [301, 307],
    crossScheme: true,
    copyHeaders: ['x-copy'],
    predicates: [
      { kind: 'previous_routes' },
      { kind: 'allow_listed_routes', names: ['b'] },
      { kind: 'safe_cross_scheme' },
    ],
  });
  t.regex(
    t.throws(() => of({ internal_redirect_policy: { response_headers_to_copy: ['Host'] } }))?.message ?? '',
    /internal_redirect_policy\.response_headers_to_copy: pseudo-headers and the Host/,
  );
});

test('virtual clusters and routes with a stat_prefix have statistics of their own; what no other takes is other', (t) => {
  const asked: string[] = [];
  const env = environment();
  const virtualHost = (...parts: readonly string[]): number => asked.push(parts.join('/'));
  const { virtualHosts } = routesOf(
    vhost(
      { route: { cluster: 'a' }, stat_prefix: 'all' },
      { virtual_clusters: [{ name: 'gets', headers: [{ name: ':method', string_match: { exact: 'GET' } }] }] },
    ),
    { ...env, stats: { ...env.stats, virtualHost } },
  );
  t.deepEqual(asked.toSorted(), ['v/route/all', 'v/vcluster/gets', 'v/vcluster/other']);
  const [host] = virtualHosts;
  t.deepEqual(
    host?.virtualClusters?.map((c) => [c.name, c.headers.length, asked[c.stats - 1]]),
    [
      ['gets', 1, 'v/vcluster/gets'],
      ['other', 0, 'v/vcluster/other'],
    ],
  );
  t.is(asked[(host?.routes[0]?.stats ?? 0) - 1], 'v/route/all');
});

test('the older timeout of gRPC calls counts where it has a maximum, and not beside max_stream_duration', (t) => {
  const of = (more: Json): unknown => {
    const action = routesOf(vhost({ route: { cluster: 'a', ...more } })).virtualHosts[0]?.routes[0]?.action;
    return action?.kind === 'route' ? action.grpcTimeout : action;
  };
  t.deepEqual(of({ max_grpc_timeout: '2s', grpc_timeout_offset: '0.1s' }), { maxMs: 2000, offsetMs: 100 });
  t.deepEqual(of({ max_grpc_timeout: '0s' }), { maxMs: 0, offsetMs: 0 });
  t.is(of({ grpc_timeout_offset: '0.1s' }), undefined);
  t.is(of({ max_grpc_timeout: '2s', max_stream_duration: { max_stream_duration: '1s' } }), undefined);
});
