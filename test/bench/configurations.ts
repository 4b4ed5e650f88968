/**
 * The same proxy, said in each peer's language: one plain hop, or the two ends of a mutual-TLS hop. Envoy and the
 * agent read the very same file. "rich" adds what a mesh runs: RBAC, a retry policy, a JSON access log.
 */
import type { BenchCertificates } from './certificates.ts';

export type Role = 'plain' | 'egress' | 'ingress';

export interface Hop {
  readonly role: Role;
  readonly listen: number;
  readonly upstream: number;
  readonly certs: BenchCertificates;
  readonly rich: boolean;
  /** HTTP/2 in and out. */
  readonly http2?: boolean;
  /** What Envoy speaks between an egress and an ingress hop. */
  readonly between?: 'h1' | 'h2';
  /** Where logs and pid files go. */
  readonly dir: string;
}

/** haproxy logs to a syslog only, which nobody reads here: it is told to write none. */
export const logsToFile = (peer: string): boolean => peer !== 'haproxy';

/** Where a hop of that peer writes its access log, if it writes one. */
export const accessLogOf = (peer: string, hop: Hop): string | null =>
  hop.rich && logsToFile(peer) ? `${hop.dir}/${peer}-${hop.listen}.access.log` : null;

export function nginxConfig(hop: Hop): string {
  const { certs } = hop;
  const server =
    hop.role === 'ingress'
      ? `listen 127.0.0.1:${hop.listen} ssl reuseport; ssl_certificate ${certs.server.cert}; ssl_certificate_key ${certs.server.key};
    ssl_client_certificate ${certs.ca}; ssl_verify_client on; ssl_protocols TLSv1.3; ssl_session_tickets off;`
      : `listen 127.0.0.1:${hop.listen} reuseport;`;
  const upstream =
    hop.role === 'egress'
      ? `proxy_pass https://up; proxy_ssl_certificate ${certs.client.cert}; proxy_ssl_certificate_key ${certs.client.key};
      proxy_ssl_trusted_certificate ${certs.ca}; proxy_ssl_verify on; proxy_ssl_name mesh.local; proxy_ssl_protocols TLSv1.3;`
      : 'proxy_pass http://up;';
  return `worker_processes 1; daemon off; pid ${hop.dir}/nginx-${hop.listen}.pid; error_log ${hop.dir}/nginx-${hop.listen}.log;
events { worker_connections 4096; }
http {
  access_log ${accessLogOf('nginx', hop) ?? 'off'}; keepalive_requests 1000000000;
  upstream up { server 127.0.0.1:${hop.upstream}; keepalive 256; keepalive_requests 1000000000; }
  server {
    ${server}
    location / { ${upstream} proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Request-Id $request_id; }
  }
}
`;
}

export function haproxyConfig(hop: Hop): string {
  const { certs } = hop;
  const bind =
    hop.role === 'ingress'
      ? ` ssl crt ${hop.dir}/server.pem ca-file ${certs.ca} verify required ssl-min-ver TLSv1.3${hop.http2 ? ' alpn h2' : ''}`
      : hop.http2
        ? ' proto h2'
        : '';
  const server =
    hop.role === 'egress'
      ? ` ssl crt ${hop.dir}/client.pem ca-file ${certs.ca} verify required verifyhost mesh.local${hop.http2 ? ' alpn h2' : ''}`
      : hop.http2
        ? ' proto h2'
        : '';
  return `global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout client 1h
  timeout server 1h
  timeout connect 5s
  http-reuse always
frontend in
  bind 127.0.0.1:${hop.listen}${bind}
  unique-id-format %[uuid()]
  unique-id-header X-Request-Id
  default_backend up
backend up
  server s 127.0.0.1:${hop.upstream}${server} pool-max-conn 256
`;
}

/** nghttpx is told everything by its command line. */
export function nghttpxCommand(hop: Hop): readonly string[] {
  const { certs, dir } = hop;
  const log = accessLogOf('nghttpx', hop);
  const tlsIn = hop.role === 'ingress';
  const tlsOut = hop.role === 'egress';
  const identity = [`--client-cert-file=${certs.client.cert}`, `--client-private-key-file=${certs.client.key}`];
  return [
    'nghttpx',
    '--conf=/dev/null',
    '--workers=1',
    `--frontend=127.0.0.1,${hop.listen}${tlsIn ? '' : ';no-tls'}`,
    `--backend=127.0.0.1,${hop.upstream};;proto=h2${tlsOut ? ';tls;sni=mesh.local' : ''}`,
    `--cacert=${certs.ca}`,
    '--tls-min-proto-version=TLSv1.3',
    '--backend-connections-per-host=8',
    `--errorlog-file=${dir}/nghttpx-${hop.listen}.log`,
    ...(log === null ? [] : [`--accesslog-file=${log}`]),
    ...(tlsOut ? identity : []),
    ...(tlsIn ? ['--verify-client', `--verify-client-cacert=${certs.ca}`, certs.server.key, certs.server.cert] : []),
  ];
}

const jsonLog = {
  start_time: '%START_TIME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  authority: '%REQ(:AUTHORITY)%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_cluster: '%UPSTREAM_CLUSTER%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  peer: '%DOWNSTREAM_PEER_URI_SAN%',
  route_name: '%ROUTE_NAME%',
};

const type = (name: string): string => `type.googleapis.com/envoy.${name}`;
const file = (filename: string): object => ({ filename });

function tlsCommon(
  certs: BenchCertificates,
  own: 'client' | 'server',
  peer: 'client' | 'server',
  http2: boolean,
): object {
  return {
    ...(http2 ? { alpn_protocols: ['h2'] } : {}),
    tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
    tls_certificates: [{ certificate_chain: file(certs[own].cert), private_key: file(certs[own].key) }],
    validation_context: {
      trusted_ca: file(certs.ca),
      match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: certs[peer].id } }],
    },
  };
}

function httpFilters(hop: Hop): object[] {
  const router = { name: 'router', typed_config: { '@type': type('extensions.filters.http.router.v3.Router') } };
  if (!hop.rich) return [router];
  const principals =
    hop.role === 'ingress' ? [{ authenticated: { principal_name: { exact: hop.certs.client.id } } }] : [{ any: true }];
  const permissions = [
    {
      and_rules: {
        rules: [
          { header: { name: ':method', string_match: { exact: hop.http2 === true ? 'POST' : 'GET' } } },
          { url_path: { path: { prefix: '/' } } },
        ],
      },
    },
  ];
  const rules = { action: 'ALLOW', policies: { readers: { permissions, principals } } };
  return [{ name: 'rbac', typed_config: { '@type': type('extensions.filters.http.rbac.v3.RBAC'), rules } }, router];
}

const http2Upstream = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': type('extensions.upstreams.http.v3.HttpProtocolOptions'),
    explicit_http_config: { http2_protocol_options: {} },
  },
};

/** The file that Envoy and the agent both take with -c, as JSON (which is YAML). */
export function envoyConfig(hop: Hop, admin: number, log: string | null): string {
  const address = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } });
  const route = {
    cluster: 'up',
    timeout: '15s',
    ...(hop.rich ? { retry_policy: { retry_on: 'connect-failure,reset', num_retries: 2 } } : {}),
  };
  const hcm = {
    '@type': type('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'bench',
    route_config: {
      name: 'r',
      virtual_hosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route }] }],
    },
    http_filters: httpFilters(hop),
    ...(log !== null
      ? {
          access_log: [
            {
              name: 'file',
              typed_config: {
                '@type': type('extensions.access_loggers.file.v3.FileAccessLog'),
                path: log,
                log_format: { json_format: jsonLog },
              },
            },
          ],
        }
      : {}),
  };
  const downstream = {
    name: 'tls',
    typed_config: {
      '@type': type('extensions.transport_sockets.tls.v3.DownstreamTlsContext'),
      require_client_certificate: true,
      common_tls_context: tlsCommon(hop.certs, 'server', 'client', hop.http2 === true),
    },
  };
  const upstream = {
    name: 'tls',
    typed_config: {
      '@type': type('extensions.transport_sockets.tls.v3.UpstreamTlsContext'),
      common_tls_context: tlsCommon(hop.certs, 'client', 'server', hop.http2 === true),
    },
  };
  const cluster = {
    name: 'up',
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: {
      cluster_name: 'up',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(hop.upstream) } }] }],
    },
    ...(hop.role === 'egress' ? { transport_socket: upstream } : {}),
    ...(hop.http2 === true || (hop.role === 'egress' && hop.between === 'h2')
      ? { typed_extension_protocol_options: http2Upstream }
      : {}),
  };
  const chain = {
    filters: [{ name: 'hcm', typed_config: hcm }],
    ...(hop.role === 'ingress' ? { transport_socket: downstream } : {}),
  };
  return JSON.stringify(
    {
      admin: { address: address(admin) },
      static_resources: {
        listeners: [{ name: 'in', address: address(hop.listen), filter_chains: [chain] }],
        clusters: [cluster],
      },
    },
    null,
    1,
  );
}
