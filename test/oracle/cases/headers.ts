/** Header sets and their order; what is added, dropped and rewritten. */
import { type Case, deadCluster, filterType, type Group, get, plain, upstreamOf } from '../case.ts';

const method = (name: string, more = ''): Case => ({
  name: `${name}${more === '' ? '' : ' with length'}`,
  send: `${name} /m HTTP/1.1\nHost: a.example\n${more}@\n`,
});

const answered = (name: string, answer: string, target = '/x'): Case => ({
  name,
  send: get(target),
  answers: [answer],
});

const through: readonly Case[] = [
  { name: 'mixed case names and odd spaces', send: get('/x', 'X-B: 2\nACCEPT:   */*  \nx-a:\t1\nX-Empty:\n') },
  { name: 'repeated headers', send: get('/x', 'x-a: 1\nx-b: 2\nx-a: 3\ncookie: a=1\ncookie: b=2\n') },
  ...['OPTIONS', 'PATCH', 'POST', 'PROPFIND', 'PURGE', 'DELETE', 'TRACE', 'GET', 'HEAD', 'PUT'].map((m) => method(m)),
  { name: 'POST with a body', send: 'POST /m HTTP/1.1\nHost: a.example\nContent-Length: 5\n@\nhello' },
  { name: 'POST with length 0', send: 'POST /m HTTP/1.1\nHost: a.example\nContent-Length: 0\n@\n' },
  { name: 'GET with a body', send: 'GET /m HTTP/1.1\nHost: a.example\nContent-Length: 5\n@\nhello' },
  {
    name: 'POST chunked',
    send: 'POST /m HTTP/1.1\nHost: a.example\nTransfer-Encoding: chunked\n@\n5\nhello\n6;a=b\n world\n0\n\n',
  },
  {
    name: 'two requests at once',
    send: `${get('/1')}${get('/2')}`,
    responses: 2,
  },
  { name: 'a client that wants to close', send: get('/x', 'Connection: close\n') },
  { name: 'a client that ends its side', send: get('/x'), end: true },
  { name: 'keep-alive said', send: get('/x', 'Connection: keep-alive\nKeep-Alive: timeout=5\n') },
  { name: 'proxy-connection', send: get('/x', 'Proxy-Connection: keep-alive\n') },
  { name: 'a header named by connection', send: get('/x', 'Connection: x-hop, close\nX-Hop: 1\nX-Other: 2\n') },
  { name: 'te trailers and more', send: get('/x', 'TE: trailers, deflate\n') },
  { name: 'te deflate', send: get('/x', 'TE: deflate\n') },
  { name: 'own request id', send: get('/x', 'X-Request-Id: mine\n') },
  { name: 'forwarded headers of the client', send: get('/x', 'X-Forwarded-For: 1.2.3.4\nX-Forwarded-Proto: https\n') },
  { name: 'forwarded proto of any text', send: get('/x', 'X-Forwarded-Proto: gopher\n') },
  { name: 'a forged client certificate', send: get('/x', 'X-Forwarded-Client-Cert: URI=spiffe://x\n') },
  {
    name: 'envoy headers of the client',
    send: get('/x', 'X-Envoy-Max-Retries: 9\nX-Envoy-Retry-On: 5xx\nX-Envoy-Upstream-Rq-Timeout-Ms: 1\n'),
  },
  {
    name: 'envoy internal',
    send: get('/x', 'X-Envoy-Internal: true\nX-Envoy-Decorator-Operation: x\nX-Envoy-Downstream-Service-Cluster: c\n'),
  },
  { name: 'expected timeout of the client', send: get('/x', 'X-Envoy-Expected-Rq-Timeout-Ms: 7\n') },
  { name: 'upgrade that is not configured', send: get('/x', 'Connection: Upgrade\nUpgrade: websocket\n') },
  { name: 'expect another thing', send: get('/x', 'Expect: something\n') },
  {
    name: 'expect 100-continue',
    send: 'POST /m HTTP/1.1\nHost: a.example\nExpect: 100-continue\nContent-Length: 2\n@\nhi',
  },
];

const responses: readonly Case[] = [
  answered(
    'many headers',
    'HTTP/1.1 200 OK\nX-B: 2\nX-A:  1 \nSet-Cookie: a=1\nSet-Cookie: b=2\nContent-Length: 2\n\nok',
  ),
  answered('junk date', 'HTTP/1.1 200 OK\ndate: yesterday\nContent-Length: 2\n\nok'),
  answered(
    'server and service time',
    'HTTP/1.1 200 OK\nserver: nginx\nx-envoy-upstream-service-time: 99999\nContent-Length: 2\n\nok',
  ),
  answered(
    'hop-by-hop',
    'HTTP/1.1 200 OK\nconnection: keep-alive\nkeep-alive: timeout=5\nproxy-connection: x\nx-hop: 1\nContent-Length: 2\n\nok',
  ),
  answered('chunked', 'HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n5\nhello\n0\n\n'),
  answered('another reason phrase', 'HTTP/1.1 200 Fine\nContent-Length: 2\n\nok'),
  answered('no reason phrase', 'HTTP/1.1 200\nContent-Length: 2\n\nok'),
  answered('status 299', 'HTTP/1.1 299 X\nContent-Length: 2\n\nok'),
  answered('204', 'HTTP/1.1 204 No Content\n\n'),
  answered('304 with length', 'HTTP/1.1 304 Not Modified\nContent-Length: 10\netag: "x"\n\n'),
  answered('404', 'HTTP/1.1 404 Not Found\nContent-Length: 4\n\nnope'),
  answered('500', 'HTTP/1.1 500 Internal Server Error\nContent-Length: 4\n\nnope'),
  answered('upstream closes', 'HTTP/1.1 200 OK\nconnection: close\nContent-Length: 2\n\nok'),
  {
    name: 'body up to the close',
    send: get('/x'),
    answers: [{ ending: 'fin', first: 'HTTP/1.1 200 OK\n\nall of it' }],
  },
  answered('HTTP/1.0', 'HTTP/1.0 200 OK\nContent-Length: 2\n\nok'),
  {
    name: 'HEAD with length',
    send: 'HEAD /x HTTP/1.1\nHost: a.example\n@\n',
    answers: ['HTTP/1.1 200 OK\nContent-Length: 200\n\n'],
  },
  {
    name: 'HEAD without length',
    send: 'HEAD /x HTTP/1.1\nHost: a.example\n@\n',
    answers: ['HTTP/1.1 200 OK\nx-a: 1\n\n'],
  },
  answered('103 before the answer', `HTTP/1.1 103 Early Hints\nlink: </a>\n\n${plain}`),
  answered('100 before the answer', `HTTP/1.1 100 Continue\n\n${plain}`),
];

const badResponses: readonly Case[] = [
  answered('two different lengths', 'HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 3\n\nok'),
  answered('length and chunked', 'HTTP/1.1 200 OK\nContent-Length: 2\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n'),
  answered('NUL in a value', 'HTTP/1.1 200 OK\nx-a: a\0b\nContent-Length: 2\n\nok'),
  answered('space in a name', 'HTTP/1.1 200 OK\nx a: b\nContent-Length: 2\n\nok'),
  answered('status 099', 'HTTP/1.1 099 X\nContent-Length: 2\n\nok'),
  answered('status 20', 'HTTP/1.1 20 X\nContent-Length: 2\n\nok'),
  answered('no status', 'HTTP/1.1 \nContent-Length: 2\n\nok'),
  answered('not HTTP at all', '220 smtp ready\n\n'),
  answered('leading line end', '\nHTTP/1.1 200 OK\nContent-Length: 2\n\nok'),
  answered('204 with a length', 'HTTP/1.1 204 No Content\nContent-Length: 2\n\nok'),
  { name: 'ends in the status line', send: get('/x'), answers: [{ ending: 'fin', first: 'HTTP/1.1 2' }] },
  answered('longer than its length', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nokay'),
  {
    name: 'shorter than its length',
    send: get('/x'),
    answers: [{ ending: 'fin', first: 'HTTP/1.1 200 OK\nContent-Length: 9\n\nok' }],
  },
  answered('bad chunk', 'HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\nzz\nok\n0\n\n'),
  {
    name: 'no last chunk',
    send: get('/x'),
    answers: [{ ending: 'fin', first: 'HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n' }],
  },
];

const added = (
  header: string,
  value: string,
  append_action: string,
): { header: { key: string; value: string }; append_action: string } => ({
  header: { key: header, value },
  append_action,
});

const append = 'APPEND_IF_EXISTS_OR_ADD';
const overwrite = 'OVERWRITE_IF_EXISTS_OR_ADD';

const mutations: Group = {
  name: 'mutations',
  routeConfig: {
    request_headers_to_add: [added('x-level', 'config', append)],
    response_headers_to_add: [added('x-out', 'config', append)],
  },
  virtualHosts: [
    {
      name: 'all',
      domains: ['*'],
      request_headers_to_add: [added('x-level', 'host', append)],
      response_headers_to_add: [added('x-out', 'host', append)],
      routes: [
        {
          match: { prefix: '/all' },
          route: { cluster: upstreamOf('mutations') },
          request_headers_to_add: [
            added('x-level', 'route', append),
            added('x-over', 'new', overwrite),
            added('x-absent', 'new', 'ADD_IF_ABSENT'),
            added('x-present', 'new', 'OVERWRITE_IF_EXISTS'),
            added('x-empty', '', append),
            added('x-percent', '100%%', append),
            added('x-ops', 'a%REQ(absent)%z %REQ(x-long):3% %PROTOCOL% %RESPONSE_CODE%', append),
            added('x-alone', '%REQ(absent)%', append),
          ],
          request_headers_to_remove: ['x-gone', 'user-agent'],
          response_headers_to_add: [
            added('x-out', 'route', append),
            added('x-over', 'new', overwrite),
            added('x-code', '%RESPONSE_CODE%', append),
          ],
          response_headers_to_remove: ['x-secret'],
        },
        {
          match: { prefix: '/direct' },
          direct_response: { status: 200, body: { inline_string: 'hi' } },
          response_headers_to_add: [added('x-out', 'route', append)],
        },
        { match: { prefix: '/' }, route: { cluster: upstreamOf('mutations') } },
      ],
    },
  ],
  cases: [
    {
      name: 'every action',
      send: get(
        '/all',
        'x-over: 1\nx-over: 2\nx-absent: old\nx-present: old\nx-gone: 1\nuser-agent: test\nx-long: abcdef\n',
      ),
      answers: ['HTTP/1.1 201 Created\nx-secret: 1\nx-over: a\nx-over: b\nContent-Length: 2\n\nok'],
    },
    { name: 'nothing to overwrite', send: get('/all') },
    { name: 'only the outer levels', send: get('/other') },
    { name: 'on a direct response', send: get('/direct') },
  ],
};

const remote: Group = {
  name: 'remote',
  manager: { use_remote_address: true },
  cases: [
    { name: 'plain', send: get('/x') },
    { name: 'forwarded for', send: get('/x', 'X-Forwarded-For: 1.2.3.4, 5.6.7.8\nX-Forwarded-Proto: https\n') },
    { name: 'request id is replaced', send: get('/x', 'X-Request-Id: mine\n') },
    {
      name: 'envoy headers are removed',
      send: get(
        '/x',
        'X-Envoy-Max-Retries: 9\nX-Envoy-Internal: true\nX-Envoy-Downstream-Service-Cluster: c\nX-Envoy-Decorator-Operation: o\nX-Envoy-External-Address: 9.9.9.9\n',
      ),
    },
  ],
};

const hops: Group = {
  name: 'hops',
  manager: { use_remote_address: true, xff_num_trusted_hops: 1 },
  cases: [
    { name: 'one hop is trusted', send: get('/x', 'X-Forwarded-For: 1.2.3.4, 5.6.7.8\nX-Forwarded-Proto: https\n') },
    { name: 'too few', send: get('/x') },
    { name: 'garbage', send: get('/x', 'X-Forwarded-For: nobody\n') },
  ],
};

const server = (name: string, manager: Group['manager'] & object): Group => ({
  name,
  manager,
  cases: [
    answered('upstream says', 'HTTP/1.1 200 OK\nserver: nginx\nContent-Length: 2\n\nok'),
    answered('upstream says nothing', plain),
    { name: 'local reply', send: get('/x'), answers: [{ ending: 'fin' }] },
  ],
});

const http10: Group = {
  name: 'http10',
  manager: { http_protocol_options: { accept_http_10: true, default_host_for_http_10: 'default.example' } },
  cases: [
    { name: 'without a host', send: 'GET /x HTTP/1.0\n@\n' },
    { name: 'with a host', send: 'GET /x HTTP/1.0\nHost: a.example\n@\n' },
    { name: 'keep-alive', send: 'GET /x HTTP/1.0\nConnection: keep-alive\n@\n' },
    {
      name: 'chunked answer',
      send: 'GET /x HTTP/1.0\n@\n',
      answers: ['HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n5\nhello\n0\n\n'],
    },
  ],
};

const trailers: Group = {
  name: 'trailers',
  manager: { http_protocol_options: { enable_trailers: true } },
  cases: [
    {
      name: 'both ways',
      send: 'POST /m HTTP/1.1\nHost: a.example\nTransfer-Encoding: chunked\nTrailer: x-t\n@\n5\nhello\n0\nx-t: 1\n\n',
      answers: ['HTTP/1.1 200 OK\ntransfer-encoding: chunked\ntrailer: x-t\n\n5\nhello\n0\nx-t: 2\n\n'],
    },
  ],
};

const id: Group = {
  name: 'requestid',
  manager: { always_set_request_id_in_response: true },
  cases: [{ name: 'in the response', send: get('/x', 'X-Request-Id: mine\n') }],
};

const local: Group = {
  name: 'local',
  routes: [
    { match: { prefix: '/direct' }, direct_response: { status: 200, body: { inline_string: 'hello' } } },
    { match: { prefix: '/empty' }, direct_response: { status: 200 } },
    { match: { prefix: '/created' }, direct_response: { status: 201, body: { inline_string: 'made' } } },
    { match: { prefix: '/no-content' }, direct_response: { status: 204, body: { inline_string: 'hidden..' } } },
    { match: { prefix: '/odd' }, direct_response: { status: 599 } },
    { match: { prefix: '/moved' }, redirect: { path_redirect: '/new' } },
    { match: { prefix: '/dead' }, route: { cluster: deadCluster } },
    { match: { prefix: '/by-header' }, route: { cluster_header: 'x-cluster' } },
    {
      match: { prefix: '/not-found' },
      route: { cluster_header: 'x-cluster', cluster_not_found_response_code: 'NOT_FOUND' },
    },
    { match: { path: '/up' }, route: { cluster: upstreamOf('local') } },
  ],
  cases: [
    ...[
      '/none',
      '/direct',
      '/empty',
      '/created',
      '/no-content',
      '/odd',
      '/moved',
      '/dead',
      '/by-header',
      '/not-found',
    ].flatMap((target): Case[] => [
      { name: `GET ${target}`, send: get(target) },
      { name: `HEAD ${target}`, send: `HEAD ${target} HTTP/1.1\nHost: a.example\n@\n` },
      {
        name: `POST ${target} with an unread body`,
        send: `POST ${target} HTTP/1.1\nHost: a.example\nContent-Length: 5\n@\nhel`,
      },
      { name: `POST ${target} whole`, send: `POST ${target} HTTP/1.1\nHost: a.example\nContent-Length: 5\n@\nhello` },
      { name: `gRPC ${target}`, send: get(target, 'content-type: application/grpc\n') },
    ]),
    { name: 'an unknown cluster', send: get('/by-header', 'x-cluster: nowhere\n') },
    { name: 'a known cluster', send: get('/by-header', `x-cluster: ${upstreamOf('local')}\n`) },
    { name: 'grpc-web', send: get('/none', 'content-type: application/grpc-web\n') },
    { name: 'gRPC reset', send: get('/up', 'content-type: application/grpc\n'), answers: [{ ending: 'fin' }] },
    { name: 'FIN before headers', send: get('/up'), answers: [{ ending: 'fin' }] },
    { name: 'reset before headers', send: get('/up'), answers: [{ ending: 'reset' }] },
  ],
};

const rbacRules = {
  action: 'ALLOW',
  policies: {
    readers: {
      permissions: [
        {
          and_rules: {
            rules: [
              { header: { name: ':method', string_match: { exact: 'GET' } } },
              { url_path: { path: { prefix: '/open' } } },
            ],
          },
        },
      ],
      principals: [{ any: true }],
    },
    keyed: {
      permissions: [{ header: { name: 'x-key', string_match: { exact: 'Secret' } } }],
      principals: [{ any: true }],
    },
    negated: {
      permissions: [{ not_rule: { header: { name: 'x-bad', present_match: true } } }],
      principals: [{ header: { name: 'x-who', string_match: { prefix: 'adm' } } }],
    },
  },
};

const rbac = (name: string, rules: object): Group => ({
  name,
  filters: [{ name: 'rbac', typed_config: { '@type': filterType('rbac.v3.RBAC'), rules: rules as never } }],
  cases: [
    { name: 'GET open', send: get('/open/x?y=1') },
    { name: 'POST open', send: 'POST /open HTTP/1.1\nHost: a.example\nContent-Length: 5\n@\nhello' },
    { name: 'POST open, body on its way', send: 'POST /open HTTP/1.1\nHost: a.example\nContent-Length: 5\n@\nhe' },
    { name: 'GET closed', send: get('/closed') },
    { name: 'HEAD closed', send: 'HEAD /closed HTTP/1.1\nHost: a.example\n@\n' },
    { name: 'gRPC closed', send: get('/closed', 'content-type: application/grpc\n') },
    { name: 'the key', send: get('/closed', 'x-key: Secret\n') },
    { name: 'the key in other letters', send: get('/closed', 'x-key: secret\n') },
    { name: 'the key twice', send: get('/closed', 'x-key: Secret\nx-key: Secret\n') },
    { name: 'the key and another', send: get('/closed', 'x-key: Other\nx-key: Secret\n') },
    { name: 'who', send: get('/closed', 'x-who: admin\n') },
    { name: 'who but bad', send: get('/closed', 'x-who: admin\nx-bad: 1\n') },
  ],
});

export const headerGroups: readonly Group[] = [
  { name: 'plain', cases: [...through, ...responses] },
  { name: 'badanswers', cases: badResponses },
  mutations,
  remote,
  hops,
  server('passthrough', { server_header_transformation: 'PASS_THROUGH' }),
  server('ifabsent', { server_header_transformation: 'APPEND_IF_ABSENT', server_name: 'mesh' }),
  http10,
  trailers,
  id,
  local,
  rbac('rbac', rbacRules),
  rbac('rbacdeny', { ...rbacRules, action: 'DENY' }),
  rbac('rbacnone', { action: 'ALLOW', policies: {} }),
];
