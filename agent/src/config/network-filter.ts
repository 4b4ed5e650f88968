/**
 * The network filters that are implemented: rbac and connection_limit before one terminal filter, tcp_proxy or
 * http_connection_manager.
 */
import type { Filter } from '@chainmail/xds/proto/envoy/config/listener/v3/listener_components';
import type { ConnectionLimit } from '@chainmail/xds/proto/envoy/extensions/filters/network/connection_limit/v3/connection_limit';
import type { HttpConnectionManager } from '@chainmail/xds/proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import type { RBAC } from '@chainmail/xds/proto/envoy/extensions/filters/network/rbac/v3/rbac';
import type { TcpProxy } from '@chainmail/xds/proto/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy';
import type {
  ConnectionLimitSpec,
  FilterChainSpec,
  NetworkRbacSpec,
  TcpProxySpec,
  WeightedClusterSpec,
} from '../model/listener.ts';
import { readAccessLog } from './access-log.ts';
import type { CompileContext } from './compile-context.ts';
import { readFeatureFlag } from './fraction.ts';
import { readHttpConnectionManager } from './http-connection-manager.ts';
import { type Extension, extension, type MessageReader } from './message-reader.ts';
import { readMetadataMatch, subsetOf } from './metadata.ts';
import { readRbac } from './rbac.ts';

type NetworkFilter =
  | { readonly kind: 'rbac'; readonly spec: NetworkRbacSpec }
  /** null: switched off by the runtime. */
  | { readonly kind: 'connection_limit'; readonly spec: ConnectionLimitSpec | null }
  | { readonly kind: 'terminal'; readonly spec: FilterChainSpec['terminal'] };

/** Names made up for what belongs to one filter chain. */
export interface ChainNames {
  readonly inlineRoutes: string;
  readonly limit: string;
}

export function readNetworkFilter(r: MessageReader<Filter>, names: ChainNames, context: CompileContext): NetworkFilter {
  const config = r.take('configType');
  if (config.case === undefined) throw r.invalid('typedConfig', 'is required');
  if (config.case !== 'typedConfig') throw r.unsupported(config.case);
  const implemented: readonly Extension<NetworkFilter>[] = [
    extension<RBAC, NetworkFilter>('envoy.extensions.filters.network.rbac.v3.RBAC', (f) => ({
      kind: 'rbac',
      spec: readNetworkRbac(f, context),
    })),
    extension<ConnectionLimit, NetworkFilter>(
      'envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit',
      (f) => ({ kind: 'connection_limit', spec: readConnectionLimit(f, names.limit, context) }),
    ),
    extension<TcpProxy, NetworkFilter>('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', (f) => ({
      kind: 'terminal',
      spec: readTcpProxy(f, context),
    })),
    extension<HttpConnectionManager, NetworkFilter>(
      'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      (f) => ({ kind: 'terminal', spec: readHttpConnectionManager(f, names.inlineRoutes, context) }),
    ),
  ];
  return r.extension('typedConfig', config.value, implemented);
}

function readNetworkRbac(r: MessageReader<RBAC>, context: CompileContext): NetworkRbacSpec {
  // Rules look at the connection only, so once is as good as always.
  r.oneOf('enforcementType', { ONE_TIME_ON_FIRST_BYTE: null });
  const statPrefix = r.take('statPrefix').replace(/\.$/, '');
  return {
    statPrefix,
    stats: context.env.stats.rbac(statPrefix),
    rules: r.inside('rules', readRbac) ?? null,
    shadowRules: r.inside('shadowRules', readRbac) ?? null,
  };
}

function readConnectionLimit(
  r: MessageReader<ConnectionLimit>,
  name: string,
  context: CompileContext,
): ConnectionLimitSpec | null {
  const statPrefix = r.take('statPrefix').replace(/\.$/, '');
  const enabled = r.inside('runtimeEnabled', readFeatureFlag) ?? true;
  const maxConnections = Number(r.take('maxConnections') ?? 0);
  const delayMs = r.durationMs('delay') ?? 0;
  if (maxConnections < 1) throw r.invalid('maxConnections', 'is required and must be at least 1');
  if (!enabled) return null;
  return {
    statPrefix,
    stats: context.env.stats.connectionLimit(statPrefix),
    cell: context.limitCell(name),
    maxConnections,
    delayMs,
  };
}

function readTcpProxy(r: MessageReader<TcpProxy>, context: CompileContext): TcpProxySpec {
  const statPrefix = r.take('statPrefix');
  const log = r.inside('accessLogOptions', (o) => ({
    flushLogOnConnected: o.take('flushAccessLogOnConnected'),
    logIntervalMs: o.durationMs('accessLogFlushInterval') ?? 0,
  }));
  return {
    kind: 'tcp_proxy',
    statPrefix,
    stats: context.env.stats.tcp(statPrefix),
    clusters: readClusters(r),
    idleTimeoutMs: r.durationMs('idleTimeout') ?? 3_600_000,
    maxConnectAttempts: r.take('maxConnectAttempts') ?? 1,
    maxConnectionDurationMs: r.durationMs('maxDownstreamConnectionDuration') ?? 0,
    flushLogOnConnected: (log?.flushLogOnConnected ?? false) || r.take('flushAccessLogOnConnected'),
    logIntervalMs: log?.logIntervalMs ?? 0,
    accessLog: r.each('accessLog', (l) => readAccessLog(l, context)),
  };
}

function readClusters(r: MessageReader<TcpProxy>): readonly WeightedClusterSpec[] {
  const specifier = r.take('clusterSpecifier');
  const own = r.inside('metadataMatch', readMetadataMatch);
  switch (specifier.case) {
    case 'cluster':
      return [{ name: specifier.value, weight: 1, ...subsetOf(own) }];
    case 'weightedClusters':
      return r.within('weightedClusters', specifier.value, (w) =>
        w.each('clusters', (c) => ({
          name: c.take('name'),
          weight: c.take('weight'),
          ...subsetOf(own, c.inside('metadataMatch', readMetadataMatch)),
        })),
      );
    case undefined:
      throw r.invalid('clusterSpecifier', 'one of cluster, weighted_clusters is required');
  }
}
