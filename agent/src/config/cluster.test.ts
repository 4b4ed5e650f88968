import test from 'ava';
import type { ClusterSpec } from '../model/cluster.ts';
import { adsSource, clusterOf, environment, type Json, meshSds, types } from './testing/compile.ts';

const endpoint = (host: string, port = 80, more: Json = {}): Json => ({
  endpoint: { address: { socket_address: { address: host, port_value: port } } },
  ...more,
});
const assignment = (...endpoints: readonly Json[]): Json => ({
  cluster_name: 'c',
  endpoints: [{ lb_endpoints: endpoints }],
});
const meshTls = (id: string): Json => ({
  name: 'tls',
  typed_config: {
    '@type': types.upstreamTls,
    common_tls_context: {
      tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
      alpn_protocols: ['chainmail'],
      tls_certificate_sds_secret_configs: [meshSds('default')],
      combined_validation_context: {
        default_validation_context: {
          match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: id } }],
        },
        validation_context_sds_secret_config: meshSds('trust-bundle'),
      },
    },
  },
});

test('a static cluster with the defaults of Envoy', (t) => {
  const { spec, source } = clusterOf({
    name: 'c',
    load_assignment: {
      cluster_name: 'c',
      endpoints: [
        {
          locality: { region: 'r', zone: 'z' },
          priority: 1,
          lb_endpoints: [endpoint('::FFFF:1', 80, { load_balancing_weight: 3, health_status: 'DRAINING' })],
        },
      ],
    },
  });
  t.like(spec, {
    type: 'static',
    lb: 'round_robin',
    leastRequestChoices: 2,
    panicThreshold: 50,
    connectTimeoutMs: 5_000,
    protocol: 'http1',
    idleTimeoutMs: 3_600_000,
    tls: null,
    outlier: null,
  });
  t.like(spec.circuit, { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 });
  t.deepEqual(source.kind === 'static' && source.endpoints, [
    {
      address: { ip: '::ffff:1', port: 80 },
      hostname: '',
      health: 'draining',
      weight: 3,
      priority: 1,
      locality: 'r/z/',
      socketMatch: {},
    },
  ]);
});

test('outlier detection fills in what Envoy would', (t) => {
  const { spec } = clusterOf({
    name: 'c',
    outlier_detection: { base_ejection_time: '400s', enforcing_success_rate: 0 },
  });
  t.like(spec.outlier, { consecutive5xx: 5, intervalMs: 10_000, maxEjectionTimeMs: 400_000, maxEjectionPercent: 10 });
});

test('one TLS context for each identity, told apart by the labels of endpoints', (t) => {
  const { spec, secrets } = clusterOf({
    name: 'c',
    type: 'EDS',
    eds_cluster_config: { eds_config: adsSource, service_name: 's' },
    lb_policy: 'LEAST_REQUEST',
    transport_socket_matches: [
      { name: 'ns/a', match: { identity: 'ns/a' }, transport_socket: meshTls('spiffe://td/ns/ns/sa/a') },
    ],
  });
  t.deepEqual(secrets, []);
  t.deepEqual(spec.tlsMatches[0]?.match, { identity: 'ns/a' });
  t.like(spec.tlsMatches[0]?.tls, {
    minVersion: 'TLSv1_3',
    maxVersion: 'TLSv1_3',
    certificates: ['default'],
    trustedCa: 'trust-bundle',
    requireSvid: true,
    alpn: ['chainmail'],
  });
  t.deepEqual(spec.tlsMatches[0]?.tls?.subjectAltNames, [
    { type: 'uri', match: { kind: 'exact', value: 'spiffe://td/ns/ns/sa/a', ignoreCase: false } },
  ]);
});

test('original destination with one source address for each family', (t) => {
  const { spec, source } = clusterOf({
    name: 'c',
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    upstream_bind_config: {
      source_address: { address: '127.0.0.6', port_value: 0 },
      extra_source_addresses: [{ address: { address: '::6', port_value: 0 } }],
    },
  });
  t.is(source.kind, 'original_dst');
  t.like(spec, { bindV4: '127.0.0.6', bindV6: '::6', lb: 'cluster_provided' });
});

test('upstream TLS without a version goes up to 1.2, as in Envoy; DNS keeps names', (t) => {
  const { spec, source } = clusterOf({
    name: 'c',
    type: 'STRICT_DNS',
    dns_refresh_rate: '1s',
    load_assignment: assignment(endpoint('example.test')),
    transport_socket: { name: 'tls', typed_config: { '@type': types.upstreamTls, sni: 'example.test' } },
  });
  t.like(spec.tls, { minVersion: 'TLSv1_2', maxVersion: 'TLSv1_2', sni: 'example.test', trustedCa: null });
  t.like(source, { kind: 'dns', dns: { all: true, family: 'auto', refreshMs: 1_000 } });
});

const options = (config: Json): Json => ({
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': { '@type': types.httpOptions, ...config },
  },
});

test("the protocol of an upstream: explicit, the old field, the client's, by ALPN", (t) => {
  const tls = { transport_socket: { name: 'tls', typed_config: { '@type': types.upstreamTls, sni: 'example.test' } } };
  const protocolOf = (json: Json): unknown => {
    const { spec } = clusterOf({ name: 'c', load_assignment: assignment(endpoint('10.0.0.1')), ...tls, ...json });
    return [spec.protocol, spec.tls?.alpn];
  };
  t.deepEqual(protocolOf({}), ['http1', []]);
  t.deepEqual(protocolOf(options({ explicit_http_config: { http2_protocol_options: {} } })), ['http2', ['h2']]);
  t.deepEqual(protocolOf({ http2_protocol_options: {} }), ['http2', ['h2']]);
  t.deepEqual(protocolOf(options({ use_downstream_protocol_config: { http2_protocol_options: {} } })), [
    'downstream',
    [],
  ]);
  t.deepEqual(protocolOf(options({ auto_config: {} })), ['auto', ['h2', 'http/1.1']]);
});

test('http2_protocol_options in our words', (t) => {
  const http2 = {
    hpack_table_size: 0,
    max_concurrent_streams: 7,
    initial_stream_window_size: 65_536,
    initial_connection_window_size: 1_048_576,
    allow_connect: true,
    connection_keepalive: { interval: '30s', timeout: '5s' },
  };
  const json = { name: 'c', load_assignment: assignment(endpoint('10.0.0.1')), http2_protocol_options: http2 };
  t.like(clusterOf(json).spec.http2, {
    hpackTableSize: 0,
    maxConcurrentStreams: 7,
    initialStreamWindowSize: 65_536,
    initialConnectionWindowSize: 1_048_576,
    allowConnect: true,
    connectionKeepalive: {
      intervalMs: 30_000,
      timeoutMs: 5_000,
      intervalJitterPercent: 15,
      connectionIdleIntervalMs: 0,
    },
  });
});

const refused: readonly (readonly [string, Json, string])[] = [
  [
    'a health check that goes over HTTP/3',
    {
      health_checks: [
        {
          ...{ timeout: '1s', interval: '5s', unhealthy_threshold: 2, healthy_threshold: 1 },
          http_health_check: { path: '/', codec_client_type: 'HTTP3' },
        },
      ],
    },
    'health_checks[0].http_health_check.codec_client_type: HTTP3 is not implemented (HTTP1, HTTP2 are)',
  ],
  [
    'fallback keys that are no keys',
    {
      lb_subset_config: {
        subset_selectors: [{ keys: ['a', 'b'], fallback_policy: 'KEYS_SUBSET', fallback_keys_subset: ['c'] }],
      },
    },
    'lb_subset_config.subset_selectors[0].fallback_keys_subset: must be a subset of the selector keys',
  ],
  [
    'KEYS_SUBSET with all keys',
    {
      lb_subset_config: {
        subset_selectors: [{ keys: ['a'], fallback_policy: 'KEYS_SUBSET', fallback_keys_subset: ['a'] }],
      },
    },
    'lb_subset_config.subset_selectors[0].fallback_keys_subset: cannot be equal to the keys of the selector',
  ],
  ['EDS without its source', { type: 'EDS' }, 'eds_cluster_config: is required by type EDS'],
  [
    'a name in a static cluster',
    { load_assignment: assignment(endpoint('example.test')) },
    'load_assignment.endpoints[0].lb_endpoints[0].endpoint.address: malformed IP address: example.test',
  ],
  [
    'success-rate ejection',
    { outlier_detection: { always_eject_one_host: false } },
    'outlier_detection.always_eject_one_host: not implemented by this agent (field of envoy.config.cluster.v3.OutlierDetection)',
  ],
  [
    'a fixed source port',
    { upstream_bind_config: { source_address: { address: '127.0.0.6', port_value: 9 } } },
    'upstream_bind_config.source_address.port_value: a fixed source port is not implemented',
  ],
  [
    'original destination with another balancer',
    { type: 'ORIGINAL_DST' },
    'lb_policy: CLUSTER_PROVIDED and type ORIGINAL_DST belong together',
  ],
  [
    'a secret of somebody else',
    {
      transport_socket: {
        name: 'tls',
        typed_config: {
          '@type': types.upstreamTls,
          common_tls_context: { tls_certificate_sds_secret_configs: [{ name: 'x', sds_config: { ads: {} } }] },
        },
      },
    },
    'transport_socket.typed_config.common_tls_context.tls_certificate_sds_secret_configs[0].sds_config.ads: not implemented by this agent (field of envoy.config.core.v3.ConfigSource)',
  ],
  [
    'a private key from the environment',
    {
      transport_socket: {
        name: 'tls',
        typed_config: {
          '@type': types.upstreamTls,
          common_tls_context: { tls_certificates: [{ certificate_chain: { environment_variable: 'X' } }] },
        },
      },
    },
    'transport_socket.typed_config.common_tls_context.tls_certificates[0].certificate_chain.environment_variable: not implemented by this agent (field of envoy.config.core.v3.DataSource)',
  ],
  [
    'names without a trust anchor',
    {
      transport_socket: {
        name: 'tls',
        typed_config: {
          '@type': types.upstreamTls,
          common_tls_context: {
            validation_context: { match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'x' } }] },
          },
        },
      },
    },
    'transport_socket.typed_config.common_tls_context.validation_context.trusted_ca: SAN-based verification without trusted CA is insecure and not allowed',
  ],
  [
    'TLS below 1.2',
    {
      transport_socket: {
        name: 'tls',
        typed_config: {
          '@type': types.upstreamTls,
          common_tls_context: { tls_params: { tls_minimum_protocol_version: 'TLSv1_1' } },
        },
      },
    },
    'transport_socket.typed_config.common_tls_context.tls_params.tls_minimum_protocol_version: TLSv1_1 is not implemented (TLSv1_2, TLSv1_3, TLS_AUTO are)',
  ],
];

for (const [what, json, message] of refused) {
  test(`${what} is refused by path and name`, (t) => {
    t.is(t.throws(() => clusterOf({ name: 'c', ...json }))?.message, message);
  });
}

test('a socket that sends a PROXY header, around plaintext or TLS', (t) => {
  const socket = (inner: string, version: string): Json => ({
    name: 'p',
    typed_config: {
      '@type': types.upstreamProxy,
      config: { version },
      transport_socket: { name: 'x', typed_config: { '@type': inner } },
    },
  });
  const of = (inner: string, version: string): ClusterSpec =>
    clusterOf({ name: 'c', type: 'STATIC', transport_socket: socket(inner, version) }).spec;
  t.like(of(types.rawBuffer, 'V2'), { proxyProtocol: 'v2', tls: null });
  const wrapped = of(types.upstreamTls, 'V1');
  t.is(wrapped.proxyProtocol, 'v1');
  t.not(wrapped.tls, null);
  t.is(clusterOf({ name: 'c', type: 'STATIC' }).spec.proxyProtocol, null);
});

test('health checks with the defaults of Envoy', (t) => {
  const check = (more: Json, cluster: Json = {}): unknown =>
    clusterOf({
      name: 'c',
      ...cluster,
      health_checks: [{ timeout: '1s', interval: '5s', unhealthy_threshold: 2, healthy_threshold: 1, ...more }],
    }).spec.healthCheck;
  t.deepEqual(check({ unhealthy_interval: '2s', http_health_check: { path: '/h' } }), {
    probe: {
      kind: 'http',
      codec: 'http1',
      method: 'GET',
      path: '/h',
      host: 'c',
      headers: [],
      expected: [{ start: 200, end: 201 }],
      retriable: [],
    },
    timeoutMs: 1000,
    intervalMs: 5000,
    unhealthyIntervalMs: 2000,
    noTrafficIntervalMs: 60_000,
    noTrafficHealthyIntervalMs: 60_000,
    unhealthyEdgeIntervalMs: 2000,
    healthyEdgeIntervalMs: 5000,
    initialJitterMs: 0,
    intervalJitterMs: 0,
    intervalJitterPercent: 0,
    unhealthyThreshold: 2,
    healthyThreshold: 1,
  });
  t.like(check({ tcp_health_check: { send: { text: '0A' }, receive: [{ text: 'ff' }] } }), {
    probe: { kind: 'tcp', send: '0a', receive: ['ff'] },
  });
  t.like(check({ http_health_check: { path: '/', codec_client_type: 'HTTP2' } }), { probe: { codec: 'http2' } });
  const initial_metadata = [{ header: { key: 'X-A', value: 'b' } }];
  const overHttp2 = { http2_protocol_options: {} };
  t.like(check({ grpc_health_check: { service_name: 's', authority: 'au', initial_metadata } }, overHttp2), {
    probe: { kind: 'grpc', service: 's', authority: 'au', headers: [['x-a', 'b']] },
  });
  t.throws(() => check({ grpc_health_check: {} }), { message: /c cluster must support HTTP\/2 for gRPC/ });
  t.like(check({ grpc_health_check: {} }, overHttp2), { probe: { service: '', authority: 'c', headers: [] } });
});

test('where checks go, what they offer, and where their events are told', (t) => {
  const timing = { timeout: '1s', interval: '5s', unhealthy_threshold: 2, healthy_threshold: 1 };
  const file = 'type.googleapis.com/envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink';
  const { spec } = clusterOf({
    name: 'c',
    health_checks: [
      {
        ...timing,
        tcp_health_check: {},
        tls_options: { alpn_protocols: ['h2'] },
        transport_socket_match_criteria: { plain: 'yes' },
        event_log_path: '/old',
        event_logger: [{ name: 'f', typed_config: { '@type': file, event_log_path: '/new' } }],
        always_log_health_check_failures: true,
      },
    ],
  });
  t.like(spec.healthCheck, {
    alpn: ['h2'],
    socketMatch: { plain: 'yes' },
    events: { paths: ['/new', '/old'], allFailures: true, allSuccesses: false },
  });
  const asked = (health_check_config: Json): unknown => {
    const address = { socket_address: { address: '10.0.0.1', port_value: 80 } };
    const lb_endpoints = [{ endpoint: { address, health_check_config } }];
    const { source } = clusterOf({ name: 'c', load_assignment: { cluster_name: 'c', endpoints: [{ lb_endpoints }] } });
    return source.kind === 'static' ? source.endpoints[0]?.check : source.kind;
  };
  t.deepEqual(asked({ port_value: 81, hostname: 'h' }), { address: null, port: 81, hostname: 'h', disabled: false });
  t.like(asked({ address: { socket_address: { address: '10.0.0.2', port_value: 9 } } }), {
    address: { ip: '10.0.0.2', port: 9 },
  });
  t.like(asked({ disable_active_health_check: true }), { disabled: true });
  t.throws(() => asked({ hostname: 'a b' }), { message: /health_check_config\.hostname: must be one word/ });
});

test('subsets, slow start, localities and both priorities', (t) => {
  const { spec, source } = clusterOf({
    name: 'c',
    common_lb_config: { locality_weighted_lb_config: {}, healthy_panic_threshold: { value: 10 } },
    lb_policy: 'LEAST_REQUEST',
    least_request_lb_config: {
      active_request_bias: { default_value: 0.5, runtime_key: 'b' },
      slow_start_config: { slow_start_window: '30s', aggression: { default_value: 2, runtime_key: 'a' } },
    },
    lb_subset_config: {
      fallback_policy: 'DEFAULT_SUBSET',
      default_subset: { stage: 'dev', n: 1 },
      subset_selectors: [{ keys: ['b', 'a', 'b'], fallback_policy: 'ANY_ENDPOINT' }],
      list_as_any: true,
      metadata_fallback_policy: 'FALLBACK_LIST',
    },
    circuit_breakers: { thresholds: [{ priority: 'HIGH', max_requests: 7 }, { max_requests: 5 }] },
    load_assignment: {
      cluster_name: 'c',
      endpoints: [
        {
          load_balancing_weight: 4,
          lb_endpoints: [endpoint('10.0.0.1', 80, { metadata: { filter_metadata: { 'envoy.lb': { a: ['x', 2] } } } })],
        },
      ],
    },
  });
  t.like(spec, {
    panicThreshold: 10,
    localityWeighted: true,
    activeRequestBias: 0.5,
    slowStart: { windowMs: 30_000, aggression: 2, minShare: 0.1 },
    circuit: { maxRequests: 5 },
    highCircuit: { maxRequests: 7, maxConnections: 1024 },
    subsets: {
      fallback: 'default',
      defaultSubset: { names: ['n', 'stage'], values: ['1', '"dev"'] },
      selectors: [{ keys: ['a', 'b'], fallback: 'any', fallbackKeys: [], singleHost: false }],
      listAsAny: true,
      fallbackList: true,
    },
  });
  t.like(source.kind === 'static' ? source.endpoints[0] : null, {
    localityWeight: 4,
    metadata: { a: { value: '["x",2]', items: ['"x"', '2'] } },
  });
  t.is(clusterOf({ name: 'c', lb_subset_config: { fallback_policy: 'ANY_ENDPOINT' } }).spec.subsets, null);
});

test('limits of the heads of answers, over both versions of HTTP', (t) => {
  const limits = (common: Json): unknown => {
    const { spec } = clusterOf({ name: 'c', common_http_protocol_options: common });
    return [spec.responseLimits, [spec.http2?.maxHeaderBytes, spec.http2?.maxHeaders]];
  };
  t.deepEqual(limits({}), [{ maxBytes: 81_920, maxHeaders: 100 }, [61_440, 100]]);
  t.deepEqual(limits({ max_response_headers_kb: 8192, max_headers_count: 7 }), [
    { maxBytes: 8_388_608, maxHeaders: 7 },
    [8_388_608, 7],
  ]);
});

test('consistent hashing: function, names and bounded loads, of the cluster and of the extensions', (t) => {
  const common = { consistent_hashing_lb_config: { use_hostname_for_hashing: true, hash_balance_factor: 150 } };
  const hashing = (json: Json): unknown => clusterOf({ name: 'c', type: 'STRICT_DNS', ...json }).spec.hashing;
  const usual = { minRingSize: 1024, maxRingSize: 8_388_608, tableSize: 65_537, byHostname: true, balanceFactor: 150 };
  t.deepEqual(hashing({ lb_policy: 'MAGLEV', common_lb_config: common }), usual);
  t.deepEqual(
    hashing({
      lb_policy: 'RING_HASH',
      ring_hash_lb_config: { hash_function: 'MURMUR_HASH_2', minimum_ring_size: 5 },
      common_lb_config: common,
    }),
    { ...usual, minRingSize: 5, ringHash: 'murmur' },
  );
  const extended = (name: string, config: Json): unknown =>
    hashing({
      common_lb_config: { consistent_hashing_lb_config: { hash_balance_factor: 999 } },
      load_balancing_policy: {
        policies: [
          {
            typed_extension_config: {
              name: 'x',
              typed_config: {
                '@type': `type.googleapis.com/envoy.extensions.load_balancing_policies.${name}`,
                ...config,
              },
            },
          },
        ],
      },
    });
  t.like(extended('ring_hash.v3.RingHash', {}), { ringHash: 'xx', balanceFactor: 0, byHostname: false });
  t.like(extended('ring_hash.v3.RingHash', { hash_balance_factor: 120 }), { balanceFactor: 120 });
  t.like(extended('ring_hash.v3.RingHash', { hash_function: 'MURMUR_HASH_2', ...common }), {
    ringHash: 'murmur',
    balanceFactor: 150,
    byHostname: true,
  });
  t.like(extended('maglev.v3.Maglev', common), { balanceFactor: 150, byHostname: true });
  t.throws(() => hashing({ type: 'STATIC', common_lb_config: common }), {
    message: /use_hostname_for_hashing: not for/,
  });
});

test('zone-aware routing: by default where there is a local cluster, and what the runtime says over it', (t) => {
  const node = { cluster: 'n', node: 'i', locality: 'r/z/' };
  const env = environment({ localCluster: 'us', node });
  const zonesOf = (json: Json, of = env): unknown => clusterOf({ name: 'c', ...json }, of).spec.zones;
  const usual = { localCluster: 'us', locality: 'r/z/', routingPercent: 100, minClusterSize: 6, direct: false };
  t.deepEqual(zonesOf({}), usual);
  t.is(zonesOf({}, environment()), null);
  t.is(zonesOf({ name: 'us' }), null, 'not for the local cluster itself');
  t.is(zonesOf({ lb_policy: 'MAGLEV' }), null);
  const config = { routing_enabled: { value: 49.6 }, min_cluster_size: 2, fail_traffic_on_panic: true };
  const said = clusterOf({ name: 'c', common_lb_config: { zone_aware_lb_config: config } }, env).spec;
  t.deepEqual(said.zones, { ...usual, routingPercent: 50, minClusterSize: 2 });
  t.true(said.failOnPanic);
  const extension = (more: Json): Json => ({
    common_lb_config: { zone_aware_lb_config: config },
    load_balancing_policy: {
      policies: [
        {
          typed_extension_config: {
            name: 'rr',
            typed_config: {
              '@type': 'type.googleapis.com/envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin',
              ...more,
            },
          },
        },
      ],
    },
  });
  t.deepEqual(zonesOf(extension({})), usual, 'an extension says it alone');
  t.like(zonesOf(extension({ locality_lb_config: { zone_aware_lb_config: { min_cluster_size: 3 } } })), {
    minClusterSize: 3,
  });
  t.true(
    clusterOf({ name: 'c', ...extension({ locality_lb_config: { locality_weighted_lb_config: {} } }) }, env).spec
      .localityWeighted,
  );
});

test('the time after a failed lookup, ten times as long at most unless said otherwise', (t) => {
  const failureOf = (rate: Json): unknown => {
    const { source } = clusterOf({ name: 'c', type: 'STRICT_DNS', dns_failure_refresh_rate: rate });
    return source.kind === 'dns' ? source.dns.failure : undefined;
  };
  t.deepEqual(failureOf({ base_interval: '2s' }), { baseMs: 2000, maxMs: 20_000 });
  t.deepEqual(failureOf({ base_interval: '2s', max_interval: '3s' }), { baseMs: 2000, maxMs: 3000 });
  t.throws(() => failureOf({ base_interval: '2s', max_interval: '1s' }), {
    message: 'dns_failure_refresh_rate.max_interval: must be greater than or equal to the base_interval',
  });
});
