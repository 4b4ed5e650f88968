/**
 * Proxies in front of a server, one behind the other, each the agent or the real Envoy with the same file: a hop in
 * plaintext, or two with mutual TLS between them. HTTP/2 towards clients is detected, towards servers it is configured.
 */
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { freePorts } from '@chainmail/runtime/testing';
import type { BenchCertificates } from '../bench/certificates.ts';
import { commandOf, endProxy, type ProxyName, startProxy } from '../oracle/proxy.ts';

export type Protocol = 'h1' | 'h2';

export interface HopPlan {
  readonly proxy: ProxyName;
  /** What it speaks to the next hop or to the server. */
  readonly upstream: Protocol;
  /** Mutual TLS towards the next hop. */
  readonly tlsUp?: boolean;
  /** HTTP/2 and nothing else; otherwise the first bytes, or ALPN, tell what is spoken. */
  readonly only?: 'h2';
  /** tls: for any client; mutual: with a client certificate of ours. */
  readonly tlsDown?: 'tls' | 'mutual';
}

export interface Place {
  readonly dir: string;
  readonly certs: BenchCertificates;
}

type Json = Readonly<Record<string, unknown>>;

const type = (name: string): string => `type.googleapis.com/envoy.${name}`;
const address = (port: number): Json => ({ socket_address: { address: '127.0.0.1', port_value: port } });

function tlsCommon(certs: BenchCertificates, own: 'client' | 'server', peer: 'client' | 'server' | null): Json {
  const chain = { filename: certs[own].cert };
  const names = peer === null ? [] : [{ san_type: 'URI', matcher: { exact: certs[peer].id } }];
  const validation = { trusted_ca: { filename: certs.ca }, match_typed_subject_alt_names: names };
  return {
    tls_params: { tls_maximum_protocol_version: 'TLSv1_3' },
    alpn_protocols: ['h2', 'http/1.1'],
    tls_certificates: [{ certificate_chain: chain, private_key: { filename: certs[own].key } }],
    ...(peer === null ? {} : { validation_context: validation }),
  };
}

function downstreamTls(kind: 'tls' | 'mutual', certs: BenchCertificates): Json {
  return {
    name: 'tls',
    typed_config: {
      '@type': type('extensions.transport_sockets.tls.v3.DownstreamTlsContext'),
      require_client_certificate: kind === 'mutual',
      common_tls_context: tlsCommon(certs, 'server', kind === 'mutual' ? 'client' : null),
    },
  };
}

function upstreamTls(certs: BenchCertificates): Json {
  return {
    name: 'tls',
    typed_config: {
      '@type': type('extensions.transport_sockets.tls.v3.UpstreamTlsContext'),
      common_tls_context: tlsCommon(certs, 'client', 'server'),
    },
  };
}

const manager: Json = {
  '@type': type('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
  stat_prefix: 'conformance',
  route_config: {
    name: 'r',
    virtual_hosts: [
      {
        name: 'v',
        domains: ['*'],
        routes: [
          {
            match: { prefix: '/' },
            route: { cluster: 'up', timeout: '0s', max_stream_duration: { max_stream_duration: '0s' } },
          },
        ],
      },
    ],
  },
  http_filters: [{ name: 'router', typed_config: { '@type': type('extensions.filters.http.router.v3.Router') } }],
};

function protocolOptions(protocol: Protocol): Json {
  const chosen =
    protocol === 'h2' ? { http2_protocol_options: {} } : { http_protocol_options: { enable_trailers: true } };
  const options = type('extensions.upstreams.http.v3.HttpProtocolOptions');
  return {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': { '@type': options, explicit_http_config: chosen },
  };
}

export function configOf(
  hop: HopPlan,
  listen: number,
  upstream: number,
  admin: number,
  certs: BenchCertificates,
): Json {
  const chain = {
    filters: [{ name: 'hcm', typed_config: { ...manager, ...(hop.only === 'h2' ? { codec_type: 'HTTP2' } : {}) } }],
    ...(hop.tlsDown === undefined ? {} : { transport_socket: downstreamTls(hop.tlsDown, certs) }),
  };
  const cluster = {
    name: 'up',
    type: 'STATIC',
    connect_timeout: '2s',
    load_assignment: {
      cluster_name: 'up',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstream) } }] }],
    },
    typed_extension_protocol_options: protocolOptions(hop.upstream),
    ...(hop.tlsUp === true ? { transport_socket: upstreamTls(certs) } : {}),
  };
  return {
    admin: { address: address(admin) },
    static_resources: {
      listeners: [{ name: 'in', address: address(listen), filter_chains: [chain] }],
      clusters: [cluster],
    },
  };
}

export class Chain {
  /** Of the first proxy. */
  readonly port: number;
  /** Admin ports, first proxy first. */
  readonly admin: readonly number[];
  readonly #processes: readonly ChildProcess[];
  readonly #logs: readonly string[];

  private constructor(
    port: number,
    admin: readonly number[],
    processes: readonly ChildProcess[],
    logs: readonly string[],
  ) {
    this.port = port;
    this.admin = admin;
    this.#processes = processes;
    this.#logs = logs;
  }

  /** Starts the hops, the last one first. */
  static async start(hops: readonly HopPlan[], server: number, place: Place): Promise<Chain> {
    const processes: ChildProcess[] = [];
    const logs: string[] = [];
    const admin: number[] = [];
    let next = server;
    try {
      for (const hop of [...hops].reverse()) {
        const [listen = 0, adminPort = 0] = await freePorts(2);
        const file = path.join(place.dir, `${hop.proxy}-${listen}.json`);
        fs.writeFileSync(file, JSON.stringify(configOf(hop, listen, next, adminPort, place.certs), null, 1));
        const command = commandOf(hop.proxy, file);
        if ('missing' in command) throw new Error(command.missing);
        logs.unshift(`${file}.log`);
        processes.push(await startProxy(command, listen, `${file}.log`));
        admin.unshift(adminPort);
        next = listen;
      }
    } catch (error) {
      for (const p of processes) await endProxy(p);
      throw error;
    }
    return new Chain(next, admin, processes, logs);
  }

  /** Counters and gauges of a hop, by name. */
  async stats(hop = 0): Promise<ReadonlyMap<string, number>> {
    const response = await fetch(`http://127.0.0.1:${this.admin[hop] ?? 0}/stats?format=json`);
    const { stats } = (await response.json()) as { stats: readonly { name?: string; value?: number }[] };
    return new Map(stats.flatMap((s) => (s.name === undefined || s.value === undefined ? [] : [[s.name, s.value]])));
  }

  /** Why a hop is gone, or null while all of them live: a crash must not hide behind checks that expect an error. */
  dead(): string | null {
    const at = this.#processes.findIndex((p) => p.exitCode !== null || p.signalCode !== null);
    if (at < 0) return null;
    const log = this.#logs[this.#logs.length - 1 - at] ?? '';
    return `a proxy has ended\n${fs.readFileSync(log, 'utf8').slice(-2000)}`;
  }

  async stop(): Promise<void> {
    for (const p of this.#processes) await endProxy(p);
  }
}
