import test from 'ava';
import {
  address,
  adsSource,
  hcm,
  type Json,
  listenerOf,
  listenerWith,
  router,
  tcpProxy,
  types,
} from './testing/compile.ts';

const inspector = (type: string): Json => ({ name: 'x', typed_config: { '@type': type } });

test('defaults are those of Envoy', (t) => {
  const { spec } = listenerOf(listenerWith([tcpProxy()]));
  t.like(spec, {
    name: 'l',
    statPrefix: '127.0.0.1_8080',
    direction: 'unspecified',
    originalDst: false,
    tlsInspector: false,
    httpInspector: false,
    listenerFiltersTimeoutMs: 15_000,
    continueOnListenerFiltersTimeout: false,
    bufferLimitBytes: 1_048_576,
    defaultChain: null,
  });
  t.like(spec.chains[0], { tls: null, transportSocketConnectTimeoutMs: 15_000, rbac: [] });
  t.like(spec.chains[0]?.terminal, { kind: 'tcp_proxy', idleTimeoutMs: 3_600_000, maxConnectAttempts: 1 });
});

test('grpc_stats: which methods are told apart, and what of it is refused', (t) => {
  const filter = (config: Json): Json => ({
    name: 'g',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig',
      ...config,
    },
  });
  const read = (config: Json): unknown => {
    const { spec } = listenerOf(listenerWith([hcm({ http_filters: [filter(config), router] })]));
    const terminal = spec.chains[0]?.terminal;
    return terminal?.kind === 'http_connection_manager' ? terminal.filters[0] : null;
  };
  t.deepEqual(read({}), { kind: 'grpc_stats', methods: [], replaceDots: false, times: false });
  t.like(read({ stats_for_all_methods: true, replace_dots_in_grpc_service_name: true }), {
    methods: 'all',
    replaceDots: true,
  });
  const services = [
    { name: 'a.B', method_names: ['C', 'D'] },
    { name: 'e', method_names: ['F'] },
  ];
  t.like(read({ individual_method_stats_allowlist: { services } }), { methods: ['/a.B/C', '/a.B/D', '/e/F'] });
  t.like(read({ emit_filter_state: true, enable_upstream_stats: true }), { times: true });
});

test('an HTTP connection manager with its defaults', (t) => {
  const { spec, inlineRoutes } = listenerOf(listenerWith([hcm()]));
  t.like(spec.chains[0]?.terminal, {
    kind: 'http_connection_manager',
    codec: 'auto',
    serverName: 'envoy',
    generateRequestId: true,
    useRemoteAddress: false,
    maxRequestHeadersBytes: 61_440,
    maxHeadersCount: 100,
    idleTimeoutMs: 3_600_000,
    streamIdleTimeoutMs: 300_000,
    requestTimeoutMs: 0,
    drainTimeoutMs: 5_000,
    delayedCloseTimeoutMs: 1_000,
    escapedSlashes: 'keep',
    forwardClientCert: 'sanitize',
    routeConfig: 'inline/l/0',
  });
  t.deepEqual(
    inlineRoutes.map((r) => r.name),
    ['inline/l/0'],
  );
});

test('how many connections a turn accepts', (t) => {
  t.is(listenerOf(listenerWith([tcpProxy()])).spec.acceptsPerTurn, 0);
  const json = listenerWith([tcpProxy()], {}, { max_connections_to_accept_per_socket_event: 7 });
  t.is(listenerOf(json).spec.acceptsPerTurn, 7);
});

test('regression: a local reply is not mapped to a status that is no answer', (t) => {
  const filter = { status_code_filter: { comparison: { op: 'EQ', value: { default_value: 404, runtime_key: 'k' } } } };
  const mapped = (status: number): Json => hcm({ local_reply_config: { mappers: [{ filter, status_code: status }] } });
  t.notThrows(() => listenerOf(listenerWith([mapped(599)])));
  for (const status of [0, 100, 199, 600]) {
    t.throws(() => listenerOf(listenerWith([mapped(status)])), {
      message: /local_reply_config\.mappers\[0\]\.status_code: must be at least 200 and less than 600$/,
    });
  }
});

test('the limit of answers belongs to clusters', (t) => {
  t.throws(() => listenerOf(listenerWith([hcm({ common_http_protocol_options: { max_response_headers_kb: 9 } })])), {
    message: /common_http_protocol_options\.max_response_headers_kb: cannot be set on http_connection_manager/,
  });
});

test('early header mutations: removals and additions in order, and what may not be changed', (t) => {
  const early = (...mutations: readonly Json[]): Json =>
    hcm({
      early_header_mutation_extensions: [
        {
          name: 'm',
          typed_config: {
            '@type':
              'type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation',
            mutations,
          },
        },
      ],
    });
  const append = (key: string, value = 'v'): Json => ({ append: { header: { key, value } } });
  const { spec } = listenerOf(listenerWith([early({ remove: 'X-A' }, append('X-B', '%REQ(x)%'))]));
  const { terminal } = spec.chains[0] ?? {};
  t.deepEqual(terminal?.kind === 'http_connection_manager' ? terminal.earlyMutations : null, [
    { kind: 'remove', name: 'x-a' },
    { kind: 'add', add: { name: 'x-b', value: '%REQ(x)%', action: 'append', keepEmpty: false } },
  ]);
  const refusal = (m: Json): string => t.throws(() => listenerOf(listenerWith([early(m)]))).message;
  t.regex(refusal({ remove: 'Host' }), /mutations\[0\]\.remove: Host may not be removed/);
  t.regex(refusal({ remove: 'Content-Length' }), /\.remove: content-length cannot be changed/);
  t.regex(refusal(append('upgrade')), /\.append: upgrade cannot be changed/);
  t.regex(refusal(append(':path')), /:path may not be added/);
  t.regex(refusal(append('x', '%NONE%')), /header x: /);
});

test('the key of a chain is its content', (t) => {
  const key = (prefix: string): string | undefined =>
    listenerOf(listenerWith([tcpProxy({ stat_prefix: prefix })])).spec.chains[0]?.key;
  t.is(key('a'), key('a'));
  t.not(key('a'), key('b'));
});

test('the TLS inspector is added where a chain needs it', (t) => {
  const { spec } = listenerOf(listenerWith([tcpProxy()], { filter_chain_match: { server_names: ['A.example'] } }));
  t.true(spec.tlsInspector);
  t.deepEqual(spec.chains[0]?.match.serverNames, ['a.example']);
});

test('the PROXY protocol filter', (t) => {
  const filter = {
    name: 'p',
    typed_config: {
      '@type': types.proxyProtocol,
      allow_requests_without_proxy_protocol: true,
      disallowed_versions: ['V1'],
      stat_prefix: 'edge',
    },
  };
  const { spec } = listenerOf(listenerWith([tcpProxy()], {}, { listener_filters: [filter] }));
  t.like(spec.proxyProtocol, { allowWithout: true, disallowed: ['v1'] });
});

test('connection_limit: wherever it stands before the terminal filter, and what of it is wrong', (t) => {
  const limit = (config: Json): Json => ({
    name: 'limit',
    typed_config: { '@type': types.connectionLimit, stat_prefix: 'cx', max_connections: 5, ...config },
  });
  const rbac = { name: 'r', typed_config: { '@type': types.networkRbac, stat_prefix: 'r' } };
  const { spec } = listenerOf(listenerWith([limit({}), rbac, limit({ delay: '0.5s' }), tcpProxy()], { name: 'c' }));
  const [first, second] = spec.chains[0]?.limits ?? [];
  t.like(first, { statPrefix: 'cx', maxConnections: 5, delayMs: 0 });
  t.like(second, { delayMs: 500 });
  t.not(first?.cell, second?.cell, 'each counts for itself');
  t.is(spec.chains[0]?.rbac.length, 1);
  const moved = listenerOf({
    name: 'l',
    address,
    filter_chains: [
      { filters: [tcpProxy()], filter_chain_match: { destination_port: 1 } },
      { name: 'c', filters: [limit({}), tcpProxy()] },
    ],
  });
  t.is(moved.spec.chains[1]?.limits?.[0]?.cell, first?.cell, 'a named chain keeps its count wherever it stands');
  const off = listenerOf(listenerWith([limit({ runtime_enabled: { default_value: false } }), tcpProxy()]));
  t.is(off.spec.chains[0]?.limits, undefined);
  t.throws(() => listenerOf(listenerWith([limit({ max_connections: 0 }), tcpProxy()])), {
    message: /max_connections: is required and must be at least 1/,
  });
  t.throws(() => listenerOf(listenerWith([tcpProxy(), limit({})])), { message: /the last filter must be a terminal/ });
});

test('tcp_proxy: duration and log options', (t) => {
  const options = { flush_access_log_on_connected: true, access_log_flush_interval: '2s' };
  const config = { max_downstream_connection_duration: '3s', access_log_options: options };
  const { spec } = listenerOf(listenerWith([tcpProxy(config)]));
  t.like(spec.chains[0]?.terminal, { maxConnectionDurationMs: 3_000, flushLogOnConnected: true, logIntervalMs: 2_000 });
});

test('RDS names are collected once', (t) => {
  const rds = { rds: { route_config_name: 'r', config_source: adsSource } };
  const chain = (port: number): Json => ({ filter_chain_match: { destination_port: port }, filters: [hcm(rds)] });
  const { rds: names } = listenerOf({ name: 'l', address, filter_chains: [chain(1), chain(2)] });
  t.deepEqual(names, ['r']);
});

test('a sub-millisecond timeout is not turned off by rounding', (t) => {
  const { spec } = listenerOf(listenerWith([tcpProxy({ idle_timeout: '0.0001s' })]));
  t.like(spec.chains[0]?.terminal, { idleTimeoutMs: 1 });
});

const at = 'filter_chains[0].filters[0].typed_config';
const hcmField = '(field of envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager)';
const luaFilter = { name: 'lua', typed_config: { '@type': types.lua, default_source_code: { inline_string: '' } } };

const refused: readonly (readonly [string, Json, string])[] = [
  [
    'a field nobody took',
    listenerWith([tcpProxy()], {}, { tcp_fast_open_queue_length: 5 }),
    'tcp_fast_open_queue_length: not implemented by this agent (field of envoy.config.listener.v3.Listener)',
  ],
  [
    'a switch that is on',
    listenerWith([tcpProxy()], {}, { transparent: true }),
    'transparent: not implemented by this agent (field of envoy.config.listener.v3.Listener)',
  ],
  ['tracing', listenerWith([hcm({ tracing: {} })]), `${at}.tracing: not implemented by this agent ${hcmField}`],
  [
    'HTTP/3',
    listenerWith([hcm({ codec_type: 'HTTP3' })]),
    `${at}.codec_type: HTTP3 is not implemented (AUTO, HTTP1, HTTP2 are)`,
  ],
  [
    'a window below that of the standard',
    listenerWith([hcm({ http2_protocol_options: { initial_stream_window_size: 1000 } })]),
    `${at}.http2_protocol_options.initial_stream_window_size: must be in 65535..2147483647`,
  ],
  [
    'an HTTP filter that is not implemented',
    listenerWith([hcm({ http_filters: [luaFilter, router] })]),
    `${at}.http_filters[0].typed_config: extension envoy.extensions.filters.http.lua.v3.Lua is not implemented (envoy.extensions.filters.http.rbac.v3.RBAC, envoy.extensions.filters.http.grpc_stats.v3.FilterConfig, envoy.extensions.filters.http.router.v3.Router)`,
  ],
  [
    'a disabled filter',
    listenerWith([hcm({ http_filters: [{ ...router, disabled: true }] })]),
    `${at}.http_filters[0].disabled: not implemented by this agent (field of envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter)`,
  ],
  [
    'a router that is not the last',
    listenerWith([hcm({ http_filters: [router, router] })]),
    `${at}.http_filters: the router must be the last filter`,
  ],
  [
    'a listener filter that is not implemented',
    listenerWith([tcpProxy()], {}, { listener_filters: [inspector(types.lua)] }),
    'listener_filters[0].typed_config: extension envoy.extensions.filters.http.lua.v3.Lua is not implemented (envoy.extensions.filters.listener.original_dst.v3.OriginalDst, envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector, envoy.extensions.filters.listener.http_inspector.v3.HttpInspector, envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol)',
  ],
  [
    'a PROXY header behind an inspector',
    listenerWith(
      [tcpProxy()],
      {},
      { listener_filters: [inspector(types.tlsInspector), inspector(types.proxyProtocol)] },
    ),
    'listener_filters: proxy_protocol must come before the inspectors, which would see its header',
  ],
  [
    'TLVs of a PROXY header',
    listenerWith(
      [tcpProxy()],
      {},
      {
        listener_filters: [
          {
            name: 'p',
            typed_config: { '@type': types.proxyProtocol, rules: [{ tlv_type: 1, on_tlv_present: { key: 'k' } }] },
          },
        ],
      },
    ),
    'listener_filters[0].typed_config.rules: not implemented by this agent (field of envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol)',
  ],
  ['no filter chain', { name: 'l', address }, 'filter_chains: no filter chains specified'],
  [
    'a chain without a terminal filter',
    listenerWith([]),
    'filter_chains[0].filters: the last filter must be a terminal one (tcp_proxy or http_connection_manager)',
  ],
  [
    'a filter behind the terminal one',
    listenerWith([tcpProxy(), tcpProxy()]),
    'filter_chains[0].filters: the terminal filter [0] must be the last',
  ],
  [
    'two chains that match the same',
    { name: 'l', address, filter_chains: [{ filters: [tcpProxy()] }, { filters: [tcpProxy()] }] },
    'filter_chains[1] has the same matching rules as filter_chains[0]',
  ],
  [
    'a partial wildcard',
    listenerWith([tcpProxy()], { filter_chain_match: { server_names: ['a*.b'] } }),
    "filter_chains[0].filter_chain_match.server_names: 'a*.b': partial wildcards are not supported",
  ],
  [
    'an address that is a name',
    { name: 'l', address: { socket_address: { address: 'localhost', port_value: 1 } }, filter_chains: [] },
    'address: malformed IP address: localhost',
  ],
  [
    'a pipe',
    { name: 'l', address: { pipe: { path: '/x' } } },
    'address.pipe: not implemented by this agent (field of envoy.config.core.v3.Address)',
  ],
  [
    'a log operator that does not exist',
    listenerWith([
      tcpProxy({
        access_log: [{ name: 'f', typed_config: { '@type': types.fileLog, path: '/dev/null', format: '%NOPE%' } }],
      }),
    ]),
    `${at}.access_log[0].typed_config: Not supported field in StreamInfo: NOPE`,
  ],
  [
    'an access log filter',
    listenerWith([
      tcpProxy({
        access_log: [{ name: 'f', filter: { traceable_filter: {} }, typed_config: { '@type': types.stdoutLog } }],
      }),
    ]),
    `${at}.access_log[0].filter.traceable_filter: not implemented by this agent (field of envoy.config.accesslog.v3.AccessLogFilter)`,
  ],
];

for (const [what, json, message] of refused) {
  test(`${what} is refused by path and name`, (t) => {
    t.is(t.throws(() => listenerOf(json))?.message, message);
  });
}

test('subsets behind tcp_proxy: what a weighted cluster asks for goes over what the filter asks for', (t) => {
  const lb = (labels: Json): Json => ({ filter_metadata: { 'envoy.lb': labels, other: { x: 1 } } });
  const clustersOf = (config: Json): unknown => {
    const { cluster: _, ...rest } = (tcpProxy().typed_config as Json) ?? {};
    const filter = { name: 'tcp', typed_config: { ...rest, ...config } };
    const { terminal } = listenerOf(listenerWith([filter])).spec.chains[0] ?? {};
    return terminal?.kind === 'tcp_proxy' ? terminal.clusters : null;
  };
  t.like(clustersOf({ cluster: 'a', metadata_match: lb({ z: true, a: 'b' }) }), [
    { name: 'a', weight: 1, subset: { names: ['a', 'z'], values: ['"b"', 'true'] } },
  ]);
  t.like(
    clustersOf({
      metadata_match: lb({ a: 'b' }),
      weighted_clusters: { clusters: [{ name: 'x', weight: 1, metadata_match: lb({ a: 'c', d: { f: 1, e: [2] } }) }] },
    }),
    [{ name: 'x', subset: { names: ['a', 'd'], values: ['"c"', '{"e":[2],"f":1}'] } }],
  );
  t.deepEqual(clustersOf({ cluster: 'a' }), [{ name: 'a', weight: 1 }]);
});

const dnsFilterType = 'type.googleapis.com/envoy.extensions.filters.udp.dns_filter.v3.DnsFilterConfig';
const udpAddress = (ip: string, port = 15053): Json => ({
  socket_address: { protocol: 'UDP', address: ip, port_value: port },
});
const dnsListener = (config: Json, more: Json = {}): Json => ({
  name: 'dns',
  address: udpAddress('127.0.0.1'),
  listener_filters: [{ name: 'dns', typed_config: { '@type': dnsFilterType, stat_prefix: 'p', ...config } }],
  ...more,
});
const dnsTable = (domains: readonly Json[], more: Json = {}): Json => ({
  server_config: { inline_dns_table: { virtual_domains: domains, ...more } },
});
const list = (...addresses: readonly string[]): Json => ({ address_list: { address: addresses } });

test('a DNS listener: the table, the defaults of Envoy, resolvers of the system or given ones', (t) => {
  const { dns, spec } = listenerOf(
    dnsListener(
      {
        ...dnsTable([
          { name: 'Web.Shop.svc.', endpoint: list('10.0.0.1', 'FD00::0001') },
          { name: '*.below', endpoint: list('10.0.0.2'), answer_ttl: '60s' },
        ]),
        client_config: { resolver_timeout: '2s' },
      },
      { additional_addresses: [{ address: udpAddress('::1') }], udp_listener_config: {} },
    ),
  );
  t.deepEqual(dns, {
    name: 'dns',
    addresses: [
      { ip: '127.0.0.1', port: 15053 },
      { ip: '::1', port: 15053 },
    ],
    statPrefix: 'p',
    domains: [
      { name: 'web.shop.svc', ttlS: 300, addresses: ['10.0.0.1', 'fd00::1'] },
      { name: '*.below', ttlS: 60, addresses: ['10.0.0.2'] },
    ],
    forward: { resolvers: null, timeoutMs: 2000, maxPending: 256, retries: 3 },
  });
  t.deepEqual([spec.name, spec.chains, spec.defaultChain], ['dns', [], null]);
  t.is(listenerOf(dnsListener(dnsTable([]))).dns?.forward, null);
  const resolver = {
    name: 'r',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
      resolvers: [{ socket_address: { address: '10.96.0.10', port_value: 53 } }],
    },
  };
  const given = dnsListener({ client_config: { typed_dns_resolver_config: resolver, max_pending_lookups: 7 } });
  t.like(listenerOf(given).dns?.forward, { resolvers: [{ ip: '10.96.0.10', port: 53 }], maxPending: 7 });
});

const filterPath = 'listener_filters[0].typed_config';
const domainPath = `${filterPath}.server_config.inline_dns_table.virtual_domains`;
const refusedDns: readonly (readonly [string, Json, string])[] = [
  [
    'another filter',
    { ...dnsListener({}), listener_filters: [] },
    'listener_filters: a UDP listener must have exactly',
  ],
  ['chains', dnsListener({}, { filter_chains: [{}] }), 'filter_chains: not implemented'],
  [
    'a cluster as endpoint',
    dnsListener(dnsTable([{ name: 'a', endpoint: { cluster_name: 'c' } }])),
    `${domainPath}[0].endpoint.cluster_name: only address_list is implemented`,
  ],
  [
    'a table in a file',
    dnsListener({ server_config: { external_dns_table: { filename: '/x' } } }),
    `${filterPath}.server_config.external_dns_table: only inline_dns_table is implemented`,
  ],
  [
    'a name twice',
    dnsListener(dnsTable(['a', 'A.'].map((name) => ({ name, endpoint: list('10.0.0.1') })))),
    `${domainPath}: [1] has the same name as [0]: a`,
  ],
  [
    'a malformed name',
    dnsListener(dnsTable([{ name: 'a..b', endpoint: list('10.0.0.1') }])),
    `${domainPath}[0].name: malformed name: a..b`,
  ],
  [
    'a malformed address',
    dnsListener(dnsTable([{ name: 'a', endpoint: list('10.0.0.256') }])),
    `${domainPath}[0].endpoint.address_list.address: [0]: malformed IP address: 10.0.0.256`,
  ],
  [
    'two protocols',
    dnsListener({}, { additional_addresses: [{ address }] }),
    'additional_addresses[0].address.socket_address.protocol: all addresses of a listener must have one protocol',
  ],
];

for (const [what, json, message] of refusedDns) {
  test(`a DNS listener with ${what} is refused by path and name`, (t) => {
    const error = t.throws(() => listenerOf(json));
    t.true(error?.message.startsWith(message), error?.message);
  });
}
