/** Settings of the connection manager and of routes that few configurations have. */
import { type Case, deadCluster, filterType, type Group, get, type JsonObject, plain, upstreamOf } from '../case.ts';

const rbacType = filterType('rbac.v3.RBAC');
const perRoute = filterType('rbac.v3.RBACPerRoute');

const to = (group: string, prefix: string, route: JsonObject = {}, more: JsonObject = {}): JsonObject => ({
  match: { prefix },
  route: { cluster: upstreamOf(group), ...route },
  ...more,
});

const loopback = {
  cidr_ranges: [
    { address_prefix: '127.0.0.0', prefix_len: 8 },
    { address_prefix: '10.0.0.0', prefix_len: 8 },
  ],
};

const wishes: readonly Case[] = [
  { name: 'nothing', send: get('/x') },
  { name: 'timeout', send: get('/x', 'x-envoy-upstream-rq-timeout-ms: 700\n') },
  { name: 'per try', send: get('/x', 'x-envoy-upstream-rq-per-try-timeout-ms: 300\n') },
  {
    name: 'retry',
    send: get('/x', 'x-envoy-retry-on: 5xx\nx-envoy-max-retries: 2\n'),
    answers: ['HTTP/1.1 503 No\ncontent-length: 0\n\n', 'HTTP/1.1 503 No\ncontent-length: 0\n\n', plain],
  },
  { name: 'request id', send: get('/x', 'x-request-id: mine\n') },
  { name: 'internal claimed', send: get('/x', 'x-envoy-internal: false\n') },
];

const deny = (name: string): JsonObject => ({
  action: 'DENY',
  policies: { [name]: { permissions: [{ any: true }], principals: [{ any: true }] } },
});

const early = (...mutations: readonly JsonObject[]): JsonObject => ({
  name: 'early',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation',
    mutations,
  },
});
const mutation = (key: string, value: string, action = 'APPEND_IF_EXISTS_OR_ADD'): JsonObject => ({
  append: { header: { key, value }, append_action: action },
});

/** Each path with a key of the runtime, whose value is in configuration.ts; the default is the opposite. */
const byRuntime = (key: string, percent: number): JsonObject => ({
  match: {
    prefix: `/${key}`,
    runtime_fraction: { runtime_key: `oracle.${key}`, default_value: { numerator: percent } },
  },
  direct_response: { status: 200, body: { inline_string: key } },
});
const runtimeKeys = { always: 0, never: 100, over: 0, text: 100, million: 0, none: 100, absent: 100 } as const;

export const settingGroups: readonly Group[] = [
  {
    name: 'runtime',
    routes: Object.entries(runtimeKeys).map(([key, percent]) => byRuntime(key, percent)),
    cases: Object.keys(runtimeKeys).map((key) => ({ name: key, send: get(`/${key}`) })),
  },
  {
    name: 'via',
    manager: { via: 'myproxy', stream_idle_timeout: '5s' },
    cases: [
      { name: 'none before', send: get('/x') },
      {
        name: 'some before',
        send: get('/x', 'Via: 1.1 first\nX-After: 1\n'),
        answers: ['HTTP/1.1 200 OK\nvia: 1.0 back\ncontent-length: 0\n\n'],
      },
    ],
  },
  {
    name: 'earlymutation',
    manager: {
      use_remote_address: true,
      early_header_mutation_extensions: [
        early({ remove: 'x-secret' }, mutation('x-secret', 'none'), mutation('x-path', '%REQ(:PATH)%')),
        early(
          mutation('x-version', '2', 'OVERWRITE_IF_EXISTS_OR_ADD'),
          mutation('x-there', 'b', 'OVERWRITE_IF_EXISTS'),
          mutation('x-once', 'b', 'ADD_IF_ABSENT'),
          mutation('x-empty', ''),
          mutation('x-forwarded-proto', 'https', 'OVERWRITE_IF_EXISTS_OR_ADD'),
          mutation('x-forwarded-for', '10.1.1.1'),
          mutation('x-request-id', 'mine'),
          mutation('x-envoy-upstream-rq-timeout-ms', '700'),
          mutation('x-bytes', '%BYTES_RECEIVED% %RESPONSE_CODE% %ROUTE_NAME% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'),
        ),
      ],
    },
    routes: [
      {
        match: { prefix: '/', headers: [{ name: 'x-version', string_match: { exact: '2' } }] },
        route: { cluster: upstreamOf('earlymutation') },
      },
    ],
    cases: [
      { name: 'nothing', send: get('/x?y=1') },
      { name: 'all', send: get('/x', 'X-Secret: 1\nX-Secret: 2\nX-Version: 1\nX-There: a\nX-Once: a\n') },
      { name: 'twice', send: get('/x', 'X-There: a\nX-There: c\nX-Forwarded-For: 10.2.2.2\nX-After: 1\n') },
    ],
  },
  {
    name: 'internal',
    manager: { xff_num_trusted_hops: 0, internal_address_config: loopback },
    cases: [
      ...wishes.map((c) => ({
        ...c,
        name: `inside: ${c.name}`,
        send: c.send.replace('@', 'X-Forwarded-For: 10.1.2.3\n@'),
      })),
      ...wishes.map((c) => ({ ...c, name: `outside: ${c.name}` })),
      { name: 'two addresses', send: get('/x', 'X-Forwarded-For: 10.1.2.3, 10.1.2.4\n') },
    ],
  },
  {
    name: 'detection',
    manager: {
      original_ip_detection_extensions: [
        {
          name: 'custom',
          typed_config: {
            '@type':
              'type.googleapis.com/envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig',
            header_name: 'x-client',
            allow_extension_to_set_address_as_trusted: true,
            reject_with_status: { code: 401 },
          },
        },
      ],
      internal_address_config: loopback,
    },
    cases: [
      { name: 'there', send: get('/x', 'X-Client: 10.9.8.7\n') },
      { name: 'external', send: get('/x', 'X-Client: 192.0.2.7\n') },
      { name: 'absent', send: get('/x') },
      { name: 'junk', send: get('/x', 'X-Client: junk\n') },
    ],
  },
  {
    name: 'portandscheme',
    manager: { append_x_forwarded_port: true, scheme_header_transformation: { scheme_to_overwrite: 'https' } },
    cases: [{ name: 'own port', send: get('/x', 'X-Forwarded-Port: 81\nX-Forwarded-Proto: http\n') }],
  },
  {
    name: 'traildot',
    manager: { strip_trailing_host_dot: true },
    cases: [
      { name: 'dot', send: 'GET /x HTTP/1.1\nHost: a.example.\n@\n' },
      { name: 'dot and port', send: 'GET /x HTTP/1.1\nHost: a.example.:80\n@\n' },
    ],
  },
  {
    name: 'attempts',
    virtualHosts: [
      {
        name: 'all',
        domains: ['*'],
        include_request_attempt_count: true,
        include_attempt_count_in_response: true,
        retry_policy: { retry_on: '5xx', num_retries: 2 },
        routes: [to('attempts', '/')],
      },
    ],
    cases: [
      { name: 'first', send: get('/x') },
      {
        name: 'third',
        send: get('/x'),
        answers: ['HTTP/1.1 503 No\ncontent-length: 0\n\n', 'HTTP/1.1 503 No\ncontent-length: 0\n\n', plain],
      },
    ],
  },
  {
    name: 'rewriting',
    routes: [
      to('rewriting', '/host/', {
        host_rewrite_path_regex: { pattern: { regex: '^/host/(\\w+).*$' }, substitution: '\\1.example' },
      }),
      to('rewriting', '/regex/', { regex_rewrite: { pattern: { regex: '^/regex/([^/]+)' }, substitution: '/\\1/it' } }),
      {
        match: { prefix: '/go/' },
        redirect: { regex_rewrite: { pattern: { regex: '^/go/(.*)$' }, substitution: '/went/\\1' } },
      },
      { match: { prefix: '/none' }, non_forwarding_action: {} },
    ],
    cases: ['/host/web/x?q=1', '/regex/a/b?q', '/go/there?q=1', '/none'].map((path) => ({
      name: path,
      send: get(path),
    })),
  },
  {
    name: 'durations',
    manager: { common_http_protocol_options: { max_stream_duration: '1s' } },
    routes: [
      to('durations', '/grpc', { max_stream_duration: { grpc_timeout_header_max: '0.9s' } }),
      to('durations', '/long', { max_stream_duration: { max_stream_duration: '1.2s' }, timeout: '0.1s' }),
      to('durations', '/', { timeout: '0s' }),
    ],
    cases: [
      { name: 'complete', send: get('/x'), answers: [{ ending: 'hang' }] },
      {
        name: 'incomplete',
        send: 'POST /x HTTP/1.1\nHost: a\nContent-Length: 5\n@\nab',
        answers: [{ ending: 'hang' }],
      },
      {
        name: 'begun',
        send: get('/x'),
        answers: [{ ending: 'hang', first: 'HTTP/1.1 200 OK\ncontent-length: 5\n\nab' }],
      },
      {
        name: 'grpc',
        send: get('/grpc', 'content-type: application/grpc\ngrpc-timeout: 5S\n'),
        answers: [{ ending: 'hang' }],
      },
      { name: 'route', send: get('/long'), answers: [{ ending: 'hang' }] },
    ],
  },
  {
    name: 'weights',
    routes: [
      {
        match: { prefix: '/' },
        route: {
          weighted_clusters: {
            header_name: 'x-choice',
            clusters: [
              { name: upstreamOf('via'), weight: 10 },
              {
                name: upstreamOf('weights'),
                weight: 90,
                host_rewrite_literal: 'two.example',
                request_headers_to_add: [{ header: { key: 'x-level', value: 'cluster' } }],
                response_headers_to_add: [{ header: { key: 'x-level', value: 'cluster' } }],
              },
            ],
          },
        },
        request_headers_to_add: [{ header: { key: 'x-level', value: 'route' } }],
        response_headers_to_add: [{ header: { key: 'x-level', value: 'route' } }],
      },
    ],
    cases: ['9', '10', '109', '99'].map((n) => ({ name: n, send: get('/x', `x-choice: ${n}\n`) })),
  },
  {
    name: 'specific',
    routeConfig: {
      most_specific_header_mutations_wins: true,
      request_headers_to_add: [
        { header: { key: 'x-level', value: 'config' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
        { header: { key: 'x-all', value: 'config' } },
      ],
    },
    routes: [
      to(
        'specific',
        '/',
        {},
        {
          request_headers_to_add: [
            { header: { key: 'x-level', value: 'route' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
            { header: { key: 'x-all', value: 'route' } },
          ],
        },
      ),
    ],
    cases: [{ name: 'both', send: get('/x') }],
  },
  {
    name: 'perroute',
    filters: [{ name: 'authz', typed_config: { '@type': rbacType, rules: deny('general') } }],
    routes: [
      to('perroute', '/off', {}, { typed_per_filter_config: { authz: { '@type': perRoute } } }),
      to(
        'perroute',
        '/disabled',
        {},
        {
          typed_per_filter_config: {
            authz: { '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig', disabled: true },
          },
        },
      ),
      to(
        'perroute',
        '/own',
        {},
        { typed_per_filter_config: { authz: { '@type': perRoute, rbac: { rules: deny('own') } } } },
      ),
      to('perroute', '/'),
    ],
    cases: ['/off', '/disabled', '/own', '/x'].map((path) => ({ name: path, send: get(path) })),
  },
  {
    name: 'answers',
    routes: [
      to('answers', '/headers', {
        retry_policy: { retry_on: 'retriable-headers', retriable_headers: [{ name: 'x-again' }] },
      }),
      to('answers', '/grpc', { retry_policy: { retry_on: 'unavailable' } }),
      to('answers', '/limited', { retry_policy: { retry_on: '5xx' } }),
    ],
    cases: [
      { name: 'header', send: get('/headers'), answers: ['HTTP/1.1 200 OK\nx-again: 1\ncontent-length: 0\n\n', plain] },
      {
        name: 'grpc',
        send: get('/grpc', 'content-type: application/grpc\n'),
        answers: ['HTTP/1.1 200 OK\ngrpc-status: 14\ncontent-length: 0\n\n', plain],
      },
      {
        name: 'limited',
        send: get('/limited'),
        answers: ['HTTP/1.1 503 No\nx-envoy-ratelimited: true\ncontent-length: 0\n\n', plain],
      },
    ],
  },
  {
    name: 'localreplies',
    manager: {
      local_reply_config: {
        mappers: [
          {
            filter: {
              status_code_filter: { comparison: { op: 'EQ', value: { default_value: 404, runtime_key: 'x' } } },
            },
            status_code: 410,
            body: { inline_string: 'gone for good' },
            headers_to_add: [{ header: { key: 'x-mapped', value: 'yes %RESPONSE_CODE%' } }],
          },
          {
            filter: { header_filter: { header: { name: 'x-text' } } },
            body_format_override: {
              text_format: 'was %LOCAL_REPLY_BODY% of %RESPONSE_CODE% at %REQ(:PATH)% %REQ(x-none)%\n',
              content_type: 'text/html',
            },
          },
        ],
        body_format: { json_format: { what: '%LOCAL_REPLY_BODY%', code: '%RESPONSE_CODE%', path: '%REQ(:PATH)%' } },
      },
    },
    routes: [
      { match: { prefix: '/direct' }, direct_response: { status: 418, body: { inline_string: 'tea' } } },
      { match: { prefix: '/dead' }, route: { cluster: deadCluster } },
      { match: { prefix: '/moved' }, redirect: { path_redirect: '/there' } },
    ],
    cases: [
      { name: 'mapped', send: get('/nowhere') },
      { name: 'json', send: get('/direct') },
      { name: 'text', send: get('/direct', 'x-text: 1\n') },
      { name: 'of the router', send: get('/dead') },
      { name: 'redirect', send: get('/moved') },
      { name: 'grpc', send: get('/nowhere', 'content-type: application/grpc\n') },
      { name: 'head', send: 'HEAD /direct HTTP/1.1\nHost: a.example\n@\n' },
    ],
  },
];
