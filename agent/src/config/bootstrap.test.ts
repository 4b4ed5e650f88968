import test from 'ava';
import {
  address,
  adsSource,
  bootstrapOf,
  environment,
  hcm,
  type Json,
  listenerWith,
  types,
} from './testing/compile.ts';

const cluster = { name: 'a', load_assignment: { cluster_name: 'a' } };
const routed = (name: string): Json =>
  listenerWith([
    hcm({
      route_config: {
        virtual_hosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: name } }] }],
      },
    }),
  ]);

const connectionMonitor = (limit: number): Json => ({
  name: 'envoy.resource_monitors.global_downstream_max_connections',
  typed_config: {
    '@type':
      'type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig',
    max_active_downstream_connections: limit,
  },
});

test('the limit on downstream connections', (t) => {
  t.is(bootstrapOf({ overload_manager: { resource_monitors: [connectionMonitor(5)] } }).maxConnections, 5);
  t.is(bootstrapOf({}).maxConnections, 0);
});

test('the local cluster and our own locality reach the clusters; it must be one of the static ones', (t) => {
  const own = { node: { id: 'i', cluster: 'n', locality: { region: 'r', zone: 'z' } } };
  const manager = { cluster_manager: { local_cluster_name: 'us' } };
  const both = bootstrapOf({ ...own, ...manager, static_resources: { clusters: [{ name: 'us' }, cluster] } });
  t.deepEqual(
    both.clusters.map((c) => c.spec.zones?.locality),
    [undefined, 'r/z/'],
  );
  t.like(both.own, { localCluster: 'us', node: { node: 'i', cluster: 'n', locality: 'r/z/' } });
  t.is(both.recompile().clusters[1]?.spec.zones?.localCluster, 'us');
  t.throws(() => bootstrapOf({ ...manager, static_resources: { clusters: [cluster] } }), {
    message: "cluster_manager.local_cluster_name: local cluster 'us' must be defined",
  });
  t.throws(() => bootstrapOf({ cluster_manager: { outlier_detection: { event_log_path: '/x' } } }), {
    message: /cluster_manager\.outlier_detection: not implemented/,
  });
});

test('nothing is a bootstrap too', (t) => {
  t.like(bootstrapOf({}), { admin: null, clusters: [], listeners: [], dynamic: { adsCluster: null } });
});

test('static resources, admin and fields that may be ignored', (t) => {
  const compiled = bootstrapOf({
    node: { id: 'n', cluster: 'c', metadata: { a: 1 } },
    admin: { access_log_path: '/dev/null', address },
    stats_flush_interval: '5s',
    static_resources: { clusters: [cluster], listeners: [routed('a')] },
  });
  t.deepEqual(compiled.admin, { kind: 'tcp', address: { ip: '127.0.0.1', port: 8080 } });
  t.is(compiled.listeners.length, 1);
});

test('the ADS cluster speaks HTTP/2, like any other that says so', (t) => {
  const http2 = {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': types.httpOptions,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
  const dynamic = {
    ads_config: {
      api_type: 'DELTA_GRPC',
      transport_api_version: 'V3',
      grpc_services: [{ envoy_grpc: { cluster_name: 'a' } }],
    },
    lds_config: adsSource,
    cds_config: adsSource,
  };
  const compiled = bootstrapOf({
    dynamic_resources: dynamic,
    static_resources: { clusters: [{ ...cluster, ...http2 }] },
  });
  t.deepEqual(compiled.dynamic, { adsCluster: 'a', lds: true, cds: true });
});

test('identity secrets need an identity', (t) => {
  const sds = {
    name: 'default',
    sds_config: {
      api_config_source: { api_type: 'GRPC', grpc_services: [{ envoy_grpc: { cluster_name: 'identity' } }] },
    },
  };
  const socket = {
    name: 'tls',
    typed_config: { '@type': types.upstreamTls, common_tls_context: { tls_certificate_sds_secret_configs: [sds] } },
  };
  const json = { static_resources: { clusters: [{ ...cluster, transport_socket: socket }] } };
  t.notThrows(() => bootstrapOf(json));
  t.throws(() => bootstrapOf(json, environment({ hasIdentity: false })), { message: /no mesh identity/ });
});

const refused: readonly (readonly [string, Json, string])[] = [
  [
    'a route to nowhere',
    { static_resources: { clusters: [cluster], listeners: [routed('nowhere')] } },
    "static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].route.cluster: route: unknown cluster 'nowhere'",
  ],
  [
    'a cluster twice',
    { static_resources: { clusters: [cluster, cluster] } },
    "static_resources.clusters: duplicate cluster 'a'",
  ],
  [
    'a stats sink',
    { stats_sinks: [{ name: 'x' }] },
    'stats_sinks: not implemented by this agent (field of envoy.config.bootstrap.v3.Bootstrap)',
  ],
  [
    'an overload manager',
    { overload_manager: { refresh_interval: '1s', resource_monitors: [connectionMonitor(5)] } },
    'overload_manager.refresh_interval: not implemented by this agent (field of envoy.config.overload.v3.OverloadManager)',
  ],
  [
    'a runtime layer on disk without its link',
    { layered_runtime: { layers: [{ name: 'l', disk_layer: {} }] } },
    'layered_runtime.layers[0].disk_layer.symlink_root: is required',
  ],
  [
    'state-of-the-world ADS',
    { dynamic_resources: { ads_config: { api_type: 'GRPC' } } },
    'dynamic_resources.ads_config.api_type: GRPC is not implemented (DELTA_GRPC are)',
  ],
  [
    'CDS by REST',
    { dynamic_resources: { cds_config: { api_config_source: { api_type: 'REST' } } } },
    'dynamic_resources.cds_config.api_config_source: only ads is implemented as a source',
  ],
  [
    'an admin log',
    { admin: { access_log_path: '/var/log/admin' } },
    'admin.access_log_path: only /dev/null is implemented',
  ],
];

for (const [what, json, message] of refused) {
  test(`${what} is refused by path and name`, (t) => {
    t.is(t.throws(() => bootstrapOf(json))?.message, message);
  });
}
