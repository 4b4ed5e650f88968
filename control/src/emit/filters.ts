/** The network filters that end a filter chain: the HTTP connection manager and the TCP proxy. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  FilterSchema,
  ListenerFilterSchema,
} from '@chainmail/xds/proto/envoy/config/listener/v3/listener_components';
import { RouterSchema } from '@chainmail/xds/proto/envoy/extensions/filters/http/router/v3/router';
import { HttpInspectorSchema } from '@chainmail/xds/proto/envoy/extensions/filters/listener/http_inspector/v3/http_inspector';
import { OriginalDstSchema } from '@chainmail/xds/proto/envoy/extensions/filters/listener/original_dst/v3/original_dst';
import { TlsInspectorSchema } from '@chainmail/xds/proto/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector';
import {
  HttpConnectionManager_PathWithEscapedSlashesAction as EscapedSlashes,
  HttpConnectionManagerSchema,
  type HttpFilterSchema,
  HttpConnectionManager_ServerHeaderTransformation as ServerHeader,
} from '@chainmail/xds/proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { TcpProxySchema } from '@chainmail/xds/proto/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy';
import { accessLogs, type Direction } from './access-log.ts';
import { duration, pack } from './any.ts';
import { http2ProtocolOptions } from './http2.ts';

type Filter = MessageInitShape<typeof FilterSchema>;
type HttpFilter = MessageInitShape<typeof HttpFilterSchema>;
type ListenerFilter = MessageInitShape<typeof ListenerFilterSchema>;
type RouteSpecifier = NonNullable<MessageInitShape<typeof HttpConnectionManagerSchema>['routeSpecifier']>;

const listenerFilter = (name: string, value: ReturnType<typeof pack>): ListenerFilter => ({
  name: `envoy.filters.listener.${name}`,
  configType: { case: 'typedConfig', value },
});

export const originalDst: ListenerFilter = listenerFilter('original_dst', pack(OriginalDstSchema));
export const tlsInspector: ListenerFilter = listenerFilter('tls_inspector', pack(TlsInspectorSchema));
export const httpInspector: ListenerFilter = listenerFilter('http_inspector', pack(HttpInspectorSchema));

const router: HttpFilter = {
  name: 'envoy.filters.http.router',
  configType: { case: 'typedConfig', value: pack(RouterSchema) },
};

/** A stream with no byte in either direction for an hour is gone, whatever the application believes. */
const streamIdleMs = 3_600_000;

export interface HttpChain {
  readonly direction: Direction;
  readonly statPrefix: string;
  readonly routes: RouteSpecifier;
  /** Before the router. */
  readonly filters: readonly HttpFilter[];
  readonly rejectEscapedSlashes: boolean;
}

/**
 * Paths are normalised before policy and forwarding alike, so both see one string. Escaped slashes are kept, since
 * registries and forges use them, but refused where a rule looks at paths.
 */
export function httpConnectionManager(chain: HttpChain): Filter {
  const value = pack(HttpConnectionManagerSchema, {
    statPrefix: chain.statPrefix,
    routeSpecifier: chain.routes,
    httpFilters: [...chain.filters, router],
    accessLog: [accessLogs[chain.direction].http],
    serverHeaderTransformation: ServerHeader.PASS_THROUGH,
    normalizePath: true,
    mergeSlashes: true,
    pathWithEscapedSlashesAction: chain.rejectEscapedSlashes
      ? EscapedSlashes.REJECT_REQUEST
      : EscapedSlashes.KEEP_UNCHANGED,
    streamIdleTimeout: duration(streamIdleMs),
    upgradeConfigs: [{ upgradeType: 'websocket' }],
    http2ProtocolOptions,
  });
  return { name: 'envoy.filters.network.http_connection_manager', configType: { case: 'typedConfig', value } };
}

export function tcpProxy(direction: Direction, statPrefix: string, cluster: string): Filter {
  const value = pack(TcpProxySchema, {
    statPrefix,
    clusterSpecifier: { case: 'cluster', value: cluster },
    accessLog: [accessLogs[direction].tcp],
  });
  return { name: 'envoy.filters.network.tcp_proxy', configType: { case: 'typedConfig', value } };
}
