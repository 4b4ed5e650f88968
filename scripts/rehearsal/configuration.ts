/**
 * What the agent rehearses with, as a bootstrap: the two ends of a hop between pods in one process, a listener for an
 * app's requests and one for other agents, with what a mesh has on them: mutual TLS over HTTP/2, policy, retries, a log.
 */
import path from 'node:path';
import { accessLogFields, type Direction } from '../../control/src/emit/access-log.ts';
import type { Identity } from './identities.ts';

export interface Ports {
  readonly admin: number;
  readonly egress: number;
  readonly ingress: number;
  readonly http1App: number;
  readonly grpcApp: number;
}

const type = (name: string): string => `type.googleapis.com/envoy.${name}`;
const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

function tls(context: 'Upstream' | 'Downstream', { id, anchors, chain, key }: Identity) {
  return {
    name: 'tls',
    typed_config: {
      '@type': type(`extensions.transport_sockets.tls.v3.${context}TlsContext`),
      ...(context === 'Downstream' ? { require_client_certificate: true } : {}),
      common_tls_context: {
        alpn_protocols: ['h2'],
        tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
        tls_certificates: [{ certificate_chain: { filename: chain }, private_key: { filename: key } }],
        validation_context: {
          trusted_ca: { filename: anchors },
          match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: id } }],
        },
      },
    },
  };
}

function policy(principal: object) {
  const permissions = [{ and_rules: { rules: [{ url_path: { path: { prefix: '/' } } }] } }];
  const rules = { action: 'ALLOW', policies: { callers: { permissions, principals: [principal] } } };
  return { name: 'rbac', typed_config: { '@type': type('extensions.filters.http.rbac.v3.RBAC'), rules } };
}

interface Route {
  readonly match: object;
  readonly cluster: string;
}

const retries = { retry_on: 'connect-failure,reset,refused-stream', num_retries: 2 };

const logTo = (file: string, direction: Direction) => ({
  name: 'file',
  typed_config: {
    '@type': type('extensions.access_loggers.file.v3.FileAccessLog'),
    path: file,
    log_format: { json_format: accessLogFields[direction].http },
  },
});

function connectionManager(direction: Direction, dir: string, principal: object, routes: readonly Route[]) {
  const all = routes.map(({ match, cluster }) => ({
    match,
    route: { cluster, timeout: '15s', retry_policy: retries },
  }));
  const router = { name: 'router', typed_config: { '@type': type('extensions.filters.http.router.v3.Router') } };
  return {
    '@type': type('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: direction,
    route_config: { name: direction, virtual_hosts: [{ name: 'all', domains: ['*'], routes: all }] },
    http_filters: [policy(principal), router],
    access_log: [logTo(path.join(dir, `${direction}.log`), direction)],
  };
}

interface Chain {
  readonly manager: object;
  readonly socket?: object;
}

function listener(name: string, port: number, { manager, socket }: Chain) {
  const chain = { filters: [{ name: 'hcm', typed_config: manager }], ...(socket && { transport_socket: socket }) };
  return { name, address: address(port), filter_chains: [chain] };
}

const http2 = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': type('extensions.upstreams.http.v3.HttpProtocolOptions'),
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};

function cluster(name: string, port: number, more: object = {}) {
  const endpoints = [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }];
  const load_assignment = { cluster_name: name, endpoints };
  return { name, type: 'STATIC', connect_timeout: '5s', load_assignment, ...more };
}

/** JSON, which is YAML. dir: where its logs go. */
export function configuration(ports: Ports, identity: Identity, dir: string): string {
  const peer = { authenticated: { principal_name: { exact: identity.id } } };
  const all = { prefix: '/' };
  const egress = connectionManager('outbound', dir, { any: true }, [{ match: all, cluster: 'peer' }]);
  const ingress = connectionManager('inbound', dir, peer, [
    { match: { ...all, grpc: {} }, cluster: 'grpc-app' },
    { match: all, cluster: 'app' },
  ]);
  return JSON.stringify({
    admin: { address: address(ports.admin) },
    static_resources: {
      listeners: [
        listener('egress', ports.egress, { manager: egress }),
        listener('ingress', ports.ingress, { manager: ingress, socket: tls('Downstream', identity) }),
      ],
      clusters: [
        cluster('peer', ports.ingress, { ...http2, transport_socket: tls('Upstream', identity) }),
        cluster('app', ports.http1App),
        cluster('grpc-app', ports.grpcApp, http2),
      ],
    },
  });
}
