/** One static configuration for both proxies: a listener and a cluster for each group. */
import { deadCluster, filterType, type Group, type Json, type JsonObject, upstreamOf } from './case.ts';

const address = (port: number, ip = '127.0.0.1'): JsonObject => ({
  socket_address: { address: ip, port_value: port },
});

const router: JsonObject = { name: 'router', typed_config: { '@type': filterType('router.v3.Router') } };

/** A connection for each request: which cases share one would be chance, and a broken one of its own is no race. */
const single: JsonObject = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      common_http_protocol_options: { max_requests_per_connection: 1 },
      explicit_http_config: { http_protocol_options: { enable_trailers: true } },
    },
  },
};

function cluster(name: string, port: number, more: JsonObject = {}): JsonObject {
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
    },
    ...single,
    ...more,
  };
}

/** Host n of a group listens on 127.0.0.n. */
function hostsOf({ name, hosts }: Group, port: number): JsonObject {
  if (hosts === undefined) return {};
  const endpoints = hosts.map((host, i) => ({
    ...(host.zone === undefined ? {} : { locality: { zone: host.zone } }),
    lb_endpoints: [
      {
        endpoint: { address: address(port, `127.0.0.${i + 1}`), hostname: host.name },
        metadata: { filter_metadata: { 'envoy.lb': host.metadata ?? {} } },
        health_status: host.health ?? 'UNKNOWN',
      },
    ],
  }));
  return { load_assignment: { cluster_name: upstreamOf(name), endpoints } };
}

/** The proxies as they know themselves: one in this zone, one in another. */
const local = 'local';

function localCluster(port: number): JsonObject {
  const inZone = (zone: string, ip: string): Json => ({
    locality: { zone },
    lb_endpoints: [{ endpoint: { address: address(port, ip) } }],
  });
  const endpoints = [inZone('here', '127.0.0.1'), inZone('there', '127.0.0.2')];
  return { load_assignment: { cluster_name: local, endpoints } };
}

export function managerOf(group: Group): JsonObject {
  const every: Json = [{ match: { prefix: '/' }, route: { cluster: upstreamOf(group.name) } }];
  const hosts: Json = [{ name: 'all', domains: ['*'], routes: group.routes ?? every }];
  return {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: group.name,
    route_config: { name: group.name, virtual_hosts: group.virtualHosts ?? hosts, ...group.routeConfig },
    http_filters: [...(group.filters ?? []), router],
    ...group.manager,
  };
}

/** For the keys that the group `runtime` names. */
const runtime: JsonObject = {
  oracle: {
    always: 100,
    never: 0,
    over: 250,
    text: 'x',
    million: { numerator: 1_000_000, denominator: 'MILLION' },
    none: { numerator: 0, denominator: 'HUNDRED' },
  },
};

export interface Ports {
  readonly admin: number;
  readonly upstream: number;
  readonly http2: number;
  readonly dead: number;
  readonly listen: (group: string) => number;
}

export function configuration(groups: readonly Group[], ports: Ports): JsonObject {
  return {
    admin: { address: address(ports.admin) },
    node: { id: 'one', cluster: 'proxies', locality: { zone: 'here' } },
    cluster_manager: { local_cluster_name: local },
    layered_runtime: { layers: [{ name: 'base', static_layer: runtime }] },
    static_resources: {
      listeners: groups.map((g) => ({
        name: g.name,
        address: address(ports.listen(g.name)),
        filter_chains: [{ filters: [{ name: 'hcm', typed_config: managerOf(g) }] }],
      })),
      clusters: [
        ...groups.map((g) => {
          const port = g.server === 'http2' ? ports.http2 : ports.upstream;
          return cluster(upstreamOf(g.name), port, { ...hostsOf(g, port), ...g.cluster });
        }),
        cluster(deadCluster, ports.dead),
        cluster(local, ports.dead, localCluster(ports.dead)),
      ],
    },
  };
}
