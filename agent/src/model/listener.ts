/**
 * What a listener is, compiled from Envoy's Listener by the main thread and cloned to the workers.
 * Invariant: plain data (structured clone), every default filled in, every reference resolved or refused.
 */
import type { MetadataMatchSpec } from './cluster.ts';
import type { HttpConnectionManagerSpec } from './http.ts';
import type { AccessLogSpec } from './log.ts';
import type { RbacSpec } from './rbac.ts';
import type { DownstreamTlsSpec } from './tls.ts';

/** An IP address in canonical text (IPv6 without brackets) and a port. */
export interface AddressSpec {
  readonly ip: string;
  readonly port: number;
}

export interface ListenerSpec {
  readonly name: string;
  /** Prefix of `listener.<prefix>.*`: stat_prefix or the address with `_` for `:`. */
  readonly statPrefix: string;
  /** First slot of the ListenerStat block (stats/layout.ts). */
  readonly stats: number;
  readonly addresses: readonly AddressSpec[];
  readonly direction: 'inbound' | 'outbound' | 'unspecified';
  /** Listener filter original_dst: look up SO_ORIGINAL_DST; a connection that was not redirected is closed. */
  readonly originalDst: boolean;
  /** Listener filter proxy_protocol; null without. It comes before every inspector. */
  readonly proxyProtocol?: ProxyProtocolSpec | null;
  readonly tlsInspector: boolean;
  readonly httpInspector: boolean;
  /** 0 waits for ever (Envoy: default 15 s). */
  readonly listenerFiltersTimeoutMs: number;
  /** After the timeout go on with what is known; otherwise close. */
  readonly continueOnListenerFiltersTimeout: boolean;
  /** per_connection_buffer_limit_bytes, default 1 MiB. */
  readonly bufferLimitBytes: number;
  /** Its connections are never refused for the limit over all listeners; they do count. */
  readonly ignoreGlobalLimit?: boolean;
  readonly backlog: number;
  /** max_connections_to_accept_per_socket_event: what one turn of the loop accepts; absent or 0 is our own number. */
  readonly acceptsPerTurn?: number;
  readonly chains: readonly FilterChainSpec[];
  readonly defaultChain: FilterChainSpec | null;
}

export interface ProxyProtocolSpec {
  /** First slots of the ProxyProtoStat and ListenerFilterStat blocks. */
  readonly stats: number;
  readonly errorStats: number;
  readonly allowWithout: boolean;
  readonly disallowed: readonly ('v1' | 'v2')[];
}

/** Envoy's FilterChainMatch; empty lists and null match everything. Criteria are tried in Envoy's order, without going back. */
export interface FilterChainMatchSpec {
  readonly destinationPort: number | null;
  /** Destination networks as `ip/len`. */
  readonly prefixRanges: readonly string[];
  readonly serverNames: readonly string[];
  readonly transportProtocol: '' | 'tls' | 'raw_buffer';
  readonly applicationProtocols: readonly string[];
  readonly sourceType: 'any' | 'same_ip_or_loopback' | 'external';
  readonly sourcePrefixRanges: readonly string[];
  readonly sourcePorts: readonly number[];
}

export interface FilterChainSpec {
  /** Hash of the whole content: a chain whose key stays keeps its connections over an update. */
  readonly key: string;
  readonly name: string;
  readonly match: FilterChainMatchSpec;
  /** null is plaintext. */
  readonly tls: DownstreamTlsSpec | null;
  /** Deadline for the TLS handshake, 0 for none; 15 s unless configured. */
  readonly transportSocketConnectTimeoutMs: number;
  /** Filters that limit connections: asked first of all, wherever they stand, as Envoy does. Absent: none. */
  readonly limits?: readonly ConnectionLimitSpec[];
  /** Network RBAC filters in order, before the terminal filter. */
  readonly rbac: readonly NetworkRbacSpec[];
  readonly terminal: TcpProxySpec | HttpConnectionManagerSpec;
}

export interface ConnectionLimitSpec {
  readonly statPrefix: string;
  /** First slot of the ConnectionLimitStat block. */
  readonly stats: number;
  /** Where its connections are counted over all workers (worker/connection-tallies.ts). */
  readonly cell: number;
  readonly maxConnections: number;
  /** How long a connection that is one too many is left waiting before it is closed. */
  readonly delayMs: number;
}

export interface NetworkRbacSpec {
  readonly statPrefix: string;
  /** First slot of the RbacStat block. */
  readonly stats: number;
  readonly rules: RbacSpec | null;
  readonly shadowRules: RbacSpec | null;
}

export interface WeightedClusterSpec {
  readonly name: string;
  readonly weight: number;
  /** Which of its hosts, where it has subsets; absent is none in particular. */
  readonly subset?: MetadataMatchSpec;
}

export interface TcpProxySpec {
  readonly kind: 'tcp_proxy';
  readonly statPrefix: string;
  /** First slot of the TcpStat block. */
  readonly stats: number;
  /** One entry for `cluster`. */
  readonly clusters: readonly WeightedClusterSpec[];
  /** Default 1 h; 0 is none. */
  readonly idleTimeoutMs: number;
  readonly maxConnectAttempts: number;
  /** max_downstream_connection_duration; 0 is none. */
  readonly maxConnectionDurationMs: number;
  /** One line more when the upstream is connected, and one at each interval (0: none). */
  readonly flushLogOnConnected: boolean;
  readonly logIntervalMs: number;
  readonly accessLog: readonly AccessLogSpec[];
}
