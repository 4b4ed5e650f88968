/** Cluster to ClusterSpec, with where its endpoints come from: here, DNS, EDS or the connection itself. */

import type {
  Cluster,
  Cluster_CommonLbConfig,
  Cluster_RefreshRate,
  Cluster_TransportSocketMatch,
  UpstreamConnectionOptions,
} from '@chainmail/xds/proto/envoy/config/cluster/v3/cluster';
import type { BindConfig, SocketAddress } from '@chainmail/xds/proto/envoy/config/core/v3/address';
import type { ClusterSpec, TransportSocketMatchSpec } from '../model/cluster.ts';
import type { HealthCheckSpec } from '../model/health-check.ts';
import { isIPv6 } from '../sys/ip-text.ts';
import { readSocketAddress } from './address.ts';
import { readCircuits, readOutlierDetection } from './cluster-limits.ts';
import { offeredAlpn, readBalancing, readProtocol } from './cluster-options.ts';
import type { CompileContext } from './compile-context.ts';
import { readAdsSource } from './config-source.ts';
import { defaultHashing, readCommonHashing } from './consistent-hashing.ts';
import { type NamedEndpoint, readAssignment } from './endpoints.ts';
import { readHealthCheck } from './health-check.ts';
import {
  defaultLocalityChoice,
  type LocalityChoice,
  localityBalancing,
  readLocalityChoice,
} from './locality-balancing.ts';
import { type MessageReader, readMessage } from './message-reader.ts';
import { readSubsets } from './subsets.ts';
import { readUpstreamSocket, type TlsWishes, type UpstreamSocket } from './tls-context.ts';

const plaintext: UpstreamSocket = { tls: null, proxyProtocol: null };

export interface DnsSpec {
  readonly endpoints: readonly NamedEndpoint[];
  /** strict uses every address, logical the first. */
  readonly all: boolean;
  readonly family: 'auto' | 'v4_only' | 'v6_only' | 'v4_preferred' | 'all';
  readonly refreshMs: number;
  /** dns_failure_refresh_rate: the time after a failure grows from base to max; null is a growing time of our own. */
  readonly failure: { readonly baseMs: number; readonly maxMs: number } | null;
  readonly respectTtl: boolean;
}

export type EndpointSource =
  | { readonly kind: 'static'; readonly endpoints: readonly NamedEndpoint[] }
  | { readonly kind: 'dns'; readonly dns: DnsSpec }
  | { readonly kind: 'eds'; readonly serviceName: string; readonly initialFetchTimeoutMs: number }
  | { readonly kind: 'original_dst' };

export interface CompiledCluster {
  readonly spec: ClusterSpec;
  readonly source: EndpointSource;
}

const types = {
  STATIC: 'static',
  STRICT_DNS: 'strict_dns',
  LOGICAL_DNS: 'logical_dns',
  EDS: 'eds',
  ORIGINAL_DST: 'original_dst',
} as const;

const families = {
  AUTO: 'auto',
  V4_ONLY: 'v4_only',
  V6_ONLY: 'v6_only',
  V4_PREFERRED: 'v4_preferred',
  ALL: 'all',
} as const;

/** @throws FieldError for what is wrong or not implemented */
export function compileCluster(message: Cluster, path: string, context: CompileContext): CompiledCluster {
  return readMessage(message, path, (r: MessageReader<Cluster>) => readCluster(r, context), context.env.runtime);
}

function readCluster(r: MessageReader<Cluster>, context: CompileContext): CompiledCluster {
  const name = r.take('name');
  const type = readType(r);
  const { protocol, http2, responseLimits, autoSni, common } = readProtocol(r);
  const tls: TlsWishes = { autoSni, alpn: offeredAlpn[protocol] };
  const { locality, ...balancing } = readBalancing(r);
  if ((type === 'original_dst') !== (balancing.lb === 'cluster_provided')) {
    throw r.invalid('lbPolicy', 'CLUSTER_PROVIDED and type ORIGINAL_DST belong together');
  }
  r.only('connectionPoolPerDownstreamConnection', false);
  const spec: ClusterSpec = {
    name,
    stats: context.env.stats.cluster(r.take('altStatName') || name),
    type,
    ...balancing,
    ...readCommonBalancing(r, { ...balancing, name, type }, locality, context),
    subsets: r.inside('lbSubsetConfig', readSubsets) ?? null,
    connectTimeoutMs: r.durationMs('connectTimeout') ?? 5_000,
    bufferLimitBytes: r.take('perConnectionBufferLimitBytes') ?? 1024 * 1024,
    ...(r.inside('transportSocket', (s) => readUpstreamSocket(s, tls, context)) ?? plaintext),
    tlsMatches: readSocketMatches(r, tls, context),
    ...readCircuits(r, name),
    outlier: r.inside('outlierDetection', readOutlierDetection) ?? null,
    healthCheck: readHealthChecks(r, type, name, protocol),
    ...(r.inside('upstreamBindConfig', readBind) ?? { bindV4: null, bindV6: null }),
    tcpKeepalive: r.inside('upstreamConnectionOptions', readConnectionOptions) ?? null,
    protocol,
    http2,
    responseLimits,
    idleTimeoutMs: common?.idleTimeoutMs ?? 3_600_000,
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? r.take('maxRequestsPerConnection') ?? 0,
  };
  return { spec, source: readSource(r, type, name) };
}

/** Several checks of a cluster would have to agree; Envoy too takes only one. */
function readHealthChecks(
  r: MessageReader<Cluster>,
  type: ClusterSpec['type'],
  name: string,
  protocol: ClusterSpec['protocol'],
): HealthCheckSpec | null {
  const [first, ...more] = r.each('healthChecks', (h) => readHealthCheck(h, name));
  if (more.length > 0) throw r.unsupported('healthChecks', 'multiple health checks are not supported');
  if (first !== undefined && type === 'original_dst') {
    throw r.unsupported('healthChecks', 'not for a cluster of type ORIGINAL_DST');
  }
  if (first?.probe.kind === 'grpc' && protocol === 'http1') {
    throw r.invalid('healthChecks', `${name} cluster must support HTTP/2 for gRPC healthchecking`);
  }
  return first ?? null;
}

function readType(r: MessageReader<Cluster>): ClusterSpec['type'] {
  const choice = r.take('clusterDiscoveryType');
  if (choice.case === 'clusterType') throw r.unsupported('clusterType');
  const name = r.enumNameOf('type', choice.value ?? 0);
  const type = (types as Readonly<Record<string, ClusterSpec['type']>>)[name];
  if (type === undefined) throw r.unsupported('type', `${name} is not implemented`);
  return type;
}

function readSource(r: MessageReader<Cluster>, type: ClusterSpec['type'], name: string): EndpointSource {
  const dns = readDns(r);
  const eds = r.inside('edsClusterConfig', (e) => ({
    initialFetchTimeoutMs: e.required('edsConfig', readAdsSource),
    serviceName: e.take('serviceName') || name,
  }));
  const usesNames = type === 'strict_dns' || type === 'logical_dns';
  const endpoints = r.inside('loadAssignment', (a) => readAssignment(a, usesNames));
  if (endpoints !== undefined && (type === 'eds' || type === 'original_dst')) {
    throw r.invalid('loadAssignment', `not for a cluster of type ${type}`);
  }
  switch (type) {
    case 'static':
      return { kind: 'static', endpoints: endpoints ?? [] };
    case 'strict_dns':
    case 'logical_dns':
      if (type === 'logical_dns' && endpoints?.length !== 1) {
        throw r.invalid('loadAssignment', 'a LOGICAL_DNS cluster must have exactly one endpoint');
      }
      return { kind: 'dns', dns: { ...dns, endpoints: endpoints ?? [], all: type === 'strict_dns' } };
    case 'eds':
      if (eds === undefined) throw r.invalid('edsClusterConfig', 'is required by type EDS');
      return { kind: 'eds', ...eds };
    case 'original_dst':
      return { kind: 'original_dst' };
  }
}

function readDns(r: MessageReader<Cluster>): Pick<DnsSpec, 'family' | 'refreshMs' | 'failure' | 'respectTtl'> {
  r.only('useTcpForDnsLookups', false);
  return {
    family: r.oneOf('dnsLookupFamily', families),
    refreshMs: r.durationMs('dnsRefreshRate') ?? 5_000,
    failure: r.inside('dnsFailureRefreshRate', readFailureRate) ?? null,
    respectTtl: r.take('respectDnsTtl'),
  };
}

function readFailureRate(r: MessageReader<Cluster_RefreshRate>): DnsSpec['failure'] {
  const baseMs = r.durationMs('baseInterval') ?? 0;
  const maxMs = r.durationMs('maxInterval') ?? baseMs * 10;
  if (maxMs < baseMs) throw r.invalid('maxInterval', 'must be greater than or equal to the base_interval');
  return { baseMs, maxMs };
}

type CommonBalancing = Pick<ClusterSpec, 'panicThreshold' | 'localityWeighted' | 'zones' | 'failOnPanic' | 'hashing'>;

const defaultPanicThreshold = 50;

/** @param extended what a load-balancing extension says about localities: it then counts alone, in all of this */
function readCommonBalancing(
  r: MessageReader<Cluster>,
  cluster: Pick<ClusterSpec, 'name' | 'type' | 'lb' | 'hashing'>,
  extended: LocalityChoice | undefined,
  { env }: CompileContext,
): CommonBalancing {
  const common = r.inside('commonLbConfig', (c: MessageReader<Cluster_CommonLbConfig>) => {
    c.only('closeConnectionsOnHostSetChange', false);
    return {
      hashing: c.inside('consistentHashingLbConfig', (h) => {
        if (h.message.useHostnameForHashing && cluster.type !== 'strict_dns') {
          throw h.invalid('useHostnameForHashing', `not for a cluster of type ${cluster.type}`);
        }
        return readCommonHashing(h);
      }),
      locality: readLocalityChoice(c),
      panicThreshold: c.inside('healthyPanicThreshold', (p) => p.take('value')) ?? defaultPanicThreshold,
    };
  });
  const hashing = extended === undefined ? common?.hashing : undefined;
  const choice = extended ?? common?.locality ?? defaultLocalityChoice;
  const panicThreshold = common?.panicThreshold ?? defaultPanicThreshold;
  return {
    panicThreshold: r.runtime.number('upstream.healthy_panic_threshold', panicThreshold),
    ...(hashing === undefined ? {} : { hashing: { ...(cluster.hashing ?? defaultHashing), ...hashing } }),
    ...localityBalancing(choice, cluster, env, r.runtime),
  };
}

function readSocketMatches(
  r: MessageReader<Cluster>,
  tls: TlsWishes,
  context: CompileContext,
): readonly TransportSocketMatchSpec[] {
  return r.each('transportSocketMatches', (m) => {
    const labels = Object.entries(m.take('match') ?? {}).map(([key, value]): [string, string] => {
      if (typeof value === 'string') return [key, value];
      throw m.unsupported('match', `'${key}': only text is implemented`);
    });
    return {
      name: m.take('name'),
      match: Object.fromEntries(labels),
      tls: readMatchedSocket(m, tls, context),
    };
  });
}

/** A PROXY header is a matter of the whole cluster here. */
function readMatchedSocket(
  r: MessageReader<Cluster_TransportSocketMatch>,
  tls: TlsWishes,
  context: CompileContext,
): TransportSocketMatchSpec['tls'] {
  const socket = r.inside('transportSocket', (s) => readUpstreamSocket(s, tls, context)) ?? plaintext;
  if (socket.proxyProtocol === null) return socket.tls;
  throw r.unsupported('transportSocket', 'a PROXY header is implemented in transport_socket, not in a match');
}

function readBind(r: MessageReader<BindConfig>): Pick<ClusterSpec, 'bindV4' | 'bindV6'> {
  r.only('freebind', false);
  const addresses = [
    r.inside('sourceAddress', readBindAddress),
    ...r.each('extraSourceAddresses', (e) => e.required('address', readBindAddress)),
    ...r.each('additionalSourceAddresses', readBindAddress),
  ].filter((a) => a !== undefined);
  const of = (six: boolean): string | null => {
    const [first, ...more] = addresses.filter((a) => isIPv6(a) === six);
    if (more.length > 0)
      throw r.unsupported('extraSourceAddresses', 'one source address for each family is implemented');
    return first ?? null;
  };
  return { bindV4: of(false), bindV6: of(true) };
}

function readBindAddress(r: MessageReader<SocketAddress>): string {
  const { host, port } = readSocketAddress(r);
  if (port !== 0) throw r.unsupported('portValue', 'a fixed source port is not implemented');
  return host;
}

function readConnectionOptions(r: MessageReader<UpstreamConnectionOptions>): ClusterSpec['tcpKeepalive'] {
  r.only('setLocalInterfaceNameOnUpstreamConnections', false);
  const keepalive = r.inside('tcpKeepalive', (k) => ({
    probes: k.take('keepaliveProbes') ?? 9,
    timeS: k.take('keepaliveTime') ?? 7200,
    intervalS: k.take('keepaliveInterval') ?? 75,
  }));
  return keepalive ?? null;
}
