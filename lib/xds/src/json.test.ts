import { merge } from '@bufbuild/protobuf';
import { BootstrapSchema } from '@chainmail/xds/proto/envoy/config/bootstrap/v3/bootstrap';
import { ClusterSchema } from '@chainmail/xds/proto/envoy/config/cluster/v3/cluster';
import test from 'ava';
import { unpackAny } from './any.ts';
import { parseEnvoyJson } from './json.ts';

const hcm = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

function bootstrapWithHcm(config: object): object {
  const filters = [{ name: 'http', typed_config: { '@type': hcm, ...config } }];
  return { static_resources: { listeners: [{ filter_chains: [{ filters }] }] } };
}

test('snake_case, camelCase, enum names in any case, quoted numbers and nulls', (t) => {
  const a = parseEnvoyJson(ClusterSchema, {
    name: 'a',
    type: 'strict_dns',
    connectTimeout: '0.25s',
    lb_policy: null,
    per_connection_buffer_limit_bytes: '32768',
  });
  t.is(a.clusterDiscoveryType.case, 'type');
  t.is(a.clusterDiscoveryType.value, 1);
  t.is(a.connectTimeout?.nanos, 250_000_000);
  t.is(a.perConnectionBufferLimitBytes, 32_768);
});

test('an Any that another configuration is merged over has the content of the other', (t) => {
  const resolver = (address: string) =>
    parseEnvoyJson(BootstrapSchema, {
      typed_dns_resolver_config: {
        name: 'any',
        typed_config: { '@type': 'a/envoy.config.core.v3.SocketAddress', address },
      },
    });
  const merged = resolver('first');
  merge(BootstrapSchema, merged, resolver('second'));
  const any = merged.typedDnsResolverConfig?.typedConfig;
  t.like(any && unpackAny(any), { kind: 'message', message: { address: 'second' } });
});

test('enum names with mixed case survive', (t) => {
  const tls = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';
  const cluster = parseEnvoyJson(ClusterSchema, {
    name: 'a',
    transport_socket: {
      name: 'tls',
      typed_config: {
        '@type': tls,
        common_tls_context: { tls_params: { tls_minimum_protocol_version: 'tlsv1_3' } },
      },
    },
  });
  const config = cluster.transportSocket?.configType;
  if (config?.case !== 'typedConfig') return t.fail('no typed_config');
  const inner = unpackAny(config.value);
  t.is(inner.kind, 'message');
  t.true(JSON.stringify(inner.kind === 'message' ? inner.message : {}).includes('"tlsMinimumProtocolVersion":4'));
});

const refused: readonly (readonly [string, object, string])[] = [
  [
    'an unknown field deep inside an Any',
    bootstrapWithHcm({ stat_prefix: 'x', foo: 1 }),
    'static_resources.listeners[0].filter_chains[0].filters[0].typed_config.foo: unknown field in envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
  ],
  [
    'an unknown @type',
    { static_resources: { clusters: [{ transport_socket: { typed_config: { '@type': 'x/y.Z' } } }] } },
    "static_resources.clusters[0].transport_socket.typed_config: unknown type 'x/y.Z'",
  ],
  [
    'an Any without @type',
    { static_resources: { clusters: [{ transport_socket: { typed_config: {} } }] } },
    'static_resources.clusters[0].transport_socket.typed_config: missing "@type"',
  ],
  [
    'an unknown enum value',
    { static_resources: { clusters: [{ lb_policy: 'FASTEST' }] } },
    "static_resources.clusters[0].lb_policy: unknown value 'FASTEST' of envoy.config.cluster.v3.Cluster.LbPolicy",
  ],
  [
    'a bad duration',
    { static_resources: { clusters: [{ connect_timeout: '250ms' }] } },
    'static_resources.clusters[0].connect_timeout: expected a duration such as \'1.5s\', got "250ms"',
  ],
  [
    'text for a number',
    { admin: { address: { socket_address: { port_value: 'http' } } } },
    'admin.address.socket_address.port_value: expected a whole number, got "http"',
  ],
  [
    'a number out of range',
    { static_resources: { clusters: [{ per_connection_buffer_limit_bytes: -1 }] } },
    'static_resources.clusters[0].per_connection_buffer_limit_bytes: expected a number from 0 to 4294967295, got -1',
  ],
  [
    'an unknown field of the one item of a list',
    { static_resources: { clusters: { nam: 'a' } } },
    'static_resources.clusters.nam: unknown field',
  ],
  [
    'a list for one item',
    { admin: { address: [] } },
    'admin.address: expected an object (envoy.config.core.v3.Address), got a list',
  ],
  [
    "a field beside the 'value' of a well-known type in an Any",
    {
      static_resources: {
        clusters: [
          { transport_socket: { typed_config: { '@type': 'a/google.protobuf.Duration', value: '1s', x: 1 } } },
        ],
      },
    },
    "static_resources.clusters[0].transport_socket.typed_config.x: unknown field beside 'value'",
  ],
  ['half a character', { node: { id: '\ud800' } }, 'node.id: expected text'],
  [
    'a duration of more than ten thousand years',
    { static_resources: { clusters: [{ connect_timeout: '315576000001s' }] } },
    'static_resources.clusters[0].connect_timeout: expected a duration',
  ],
  [
    'a number that is no JSON, where JSON is wanted',
    { node: { metadata: { a: [Number.NaN] } } },
    'node.metadata: {"a":[null]} is not a google.protobuf.Struct',
  ],
  [
    'an enum as a number that has no place',
    { static_resources: { clusters: [{ lb_policy: 2 ** 31 }] } },
    'static_resources.clusters[0].lb_policy: expected a number from -2147483648 to 2147483647',
  ],
  [
    'two members of a oneof',
    { static_resources: { clusters: [{ type: 'EDS', cluster_type: { name: 'x' } }] } },
    'static_resources.clusters[0].cluster_type: type is set already; only one of cluster_discovery_type may be',
  ],
  [
    'one field in both spellings',
    { static_resources: { clusters: [{ connect_timeout: '1s', connectTimeout: '1s' }] } },
    'static_resources.clusters[0].connect_timeout: given twice, as snake_case and as camelCase',
  ],
];

for (const [what, json, message] of refused) {
  test(`${what} is refused with its path`, (t) => {
    const error = t.throws(() => parseEnvoyJson(BootstrapSchema, json));
    t.true(error?.message.startsWith(message), error?.message);
  });
}

test('a text nested without end is refused, not followed', (t) => {
  let principal: object = { any: true };
  for (let i = 0; i < 200; i++) principal = { not_id: principal };
  const rbac = 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC';
  const config = { '@type': rbac, rules: { policies: { p: { principals: [principal] } } } };
  t.throws(() => parseEnvoyJson(BootstrapSchema, bootstrapWithHcm({ http_filters: [{ typed_config: config }] })), {
    message: /nested deeper than 100/,
  });
});

test('one item need not be in a list', (t) => {
  const cluster = { name: 'a', health_checks: { timeout: '1s' } };
  const { staticResources } = parseEnvoyJson(BootstrapSchema, { static_resources: { clusters: cluster } });
  t.deepEqual(
    staticResources?.clusters.map((c) => [c.name, c.healthChecks.length]),
    [['a', 1]],
  );
});
