/** Short ways to compile one message from its Envoy JSON, for tests. */
import type { DescMessage } from '@bufbuild/protobuf';
import { parseEnvoyJson } from '@chainmail/xds';
import type { Bootstrap } from '@chainmail/xds/proto/envoy/config/bootstrap/v3/bootstrap';
import type { Cluster } from '@chainmail/xds/proto/envoy/config/cluster/v3/cluster';
import type { Listener } from '@chainmail/xds/proto/envoy/config/listener/v3/listener';
import type { RouteConfiguration } from '@chainmail/xds/proto/envoy/config/route/v3/route';
import { registry } from '@chainmail/xds/registry';
import { type CompiledBootstrap, compileBootstrap } from '../bootstrap.ts';
import type { CompileEnvironment } from '../compile-context.ts';
import {
  type ClusterResource,
  clusterResource,
  type ListenerResource,
  listenerResource,
  routeResource,
} from '../resources.ts';

export type Json = Readonly<Record<string, unknown>>;

const any = (name: string): string => `type.googleapis.com/envoy.extensions.${name}`;
export const types = {
  hcm: any('filters.network.http_connection_manager.v3.HttpConnectionManager'),
  router: any('filters.http.router.v3.Router'),
  httpRbac: any('filters.http.rbac.v3.RBAC'),
  networkRbac: any('filters.network.rbac.v3.RBAC'),
  connectionLimit: any('filters.network.connection_limit.v3.ConnectionLimit'),
  tcpProxy: any('filters.network.tcp_proxy.v3.TcpProxy'),
  lua: any('filters.http.lua.v3.Lua'),
  upstreamTls: any('transport_sockets.tls.v3.UpstreamTlsContext'),
  downstreamTls: any('transport_sockets.tls.v3.DownstreamTlsContext'),
  httpOptions: any('upstreams.http.v3.HttpProtocolOptions'),
  fileLog: any('access_loggers.file.v3.FileAccessLog'),
  stdoutLog: any('access_loggers.stream.v3.StdoutAccessLog'),
  tlsInspector: any('filters.listener.tls_inspector.v3.TlsInspector'),
  originalDst: any('filters.listener.original_dst.v3.OriginalDst'),
  upstreamProxy: any('transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport'),
  rawBuffer: any('transport_sockets.raw_buffer.v3.RawBuffer'),
  proxyProtocol: any('filters.listener.proxy_protocol.v3.ProxyProtocol'),
} as const;

/** A secret of the mesh identity. */
export const meshSds = (name: string): Json => ({
  name,
  sds_config: {
    api_config_source: { api_type: 'GRPC', grpc_services: [{ envoy_grpc: { cluster_name: 'identity' } }] },
  },
});

/** Blocks are numbered by their names, so that a test can tell them apart. */
export function environment(more: Partial<CompileEnvironment> = {}): CompileEnvironment {
  const block = (kind: string) => (name: string) => [...`${kind}${name}`].reduce((n, c) => n + c.charCodeAt(0), 0);
  return {
    stats: {
      listener: block('l'),
      http: block('h'),
      cluster: block('c'),
      tcp: block('t'),
      rbac: block('r'),
      virtualHost: (host, part, name) => block('vh')(`${host} ${part} ${name}`),
      connectionLimit: block('cl'),
      proxyProto: block('p'),
      listenerFilters: () => block('f')(''),
      http2: () => block('h2')(''),
    },
    limitCell: block('cell'),
    readFile: (path) => {
      throw new Error(`ENOENT: ${path}`);
    },
    hasIdentity: true,
    staticSecrets: new Set(),
    ...more,
  };
}

function parse(typeName: string, json: Json): unknown {
  const schema: DescMessage | undefined = registry.getMessage(typeName);
  if (schema === undefined) throw new Error(typeName);
  return parseEnvoyJson(schema, json);
}

export function listenerOf(json: Json, env = environment()): ListenerResource {
  return listenerResource(parse('envoy.config.listener.v3.Listener', json) as Listener, '', env);
}

export function clusterOf(json: Json, env = environment()): ClusterResource {
  return clusterResource(parse('envoy.config.cluster.v3.Cluster', json) as Cluster, '', env);
}

export function routesOf(json: Json, env = environment()): ReturnType<typeof routeResource> {
  const typeName = 'envoy.config.route.v3.RouteConfiguration';
  return routeResource(parse(typeName, json) as RouteConfiguration, '', env);
}

export function bootstrapOf(json: Json, env = environment()): CompiledBootstrap {
  return compileBootstrap(parse('envoy.config.bootstrap.v3.Bootstrap', json) as Bootstrap, env);
}

export const router = { name: 'router', typed_config: { '@type': types.router } };

export function hcm(config: Json = {}): Json {
  const routeConfig = { virtual_hosts: [] };
  return {
    name: 'http',
    typed_config: {
      '@type': types.hcm,
      stat_prefix: 'in',
      ...('rds' in config ? {} : { route_config: routeConfig }),
      http_filters: [router],
      ...config,
    },
  };
}

export function tcpProxy(config: Json = {}): Json {
  return { name: 'tcp', typed_config: { '@type': types.tcpProxy, stat_prefix: 'tcp', cluster: 'a', ...config } };
}

export const address = { socket_address: { address: '127.0.0.1', port_value: 8080 } };

export function listenerWith(filters: readonly Json[], chain: Json = {}, more: Json = {}): Json {
  return { name: 'l', address, filter_chains: [{ filters, ...chain }], ...more };
}

export const adsSource = { ads: {}, resource_api_version: 'V3' };
