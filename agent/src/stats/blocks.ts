/**
 * The sorts of statistics blocks: how many slots one takes and how Envoy names what is in it, for people and for
 * Prometheus. A block's own name (cluster, listener, prefix) becomes a label, so the number of metrics stays fixed.
 */
import {
  type BlockLayout,
  clusterBlockSlots,
  clusterCodes,
  clusterHistogram,
  clusterStat,
  connectionLimitStat,
  http2Stat,
  httpBlockSlots,
  httpHistogram,
  httpStat,
  listenerBlockSlots,
  listenerFilterStat,
  listenerHistogram,
  listenerStat,
  proxyProtoStat,
  rbacStat,
  tcpStat,
  virtualHostCodes,
  virtualHostHistogram,
  virtualHostSlots,
  virtualHostStat,
  workerStat,
} from './layout.ts';

export type BlockKind =
  | 'proxy_proto'
  | 'listener_filters'
  | 'listener'
  | 'http'
  | 'cluster'
  | 'tcp'
  | 'rbac'
  | 'connection_limit'
  | 'http2'
  | 'virtual_host'
  | 'worker';

export interface Label {
  readonly name: string;
  readonly value: string;
}

export interface BlockNames {
  /** In front of each name, with the dot. */
  readonly prefix: string;
  /** In front of each name for Prometheus, without `envoy_`. */
  readonly family: string;
  readonly labels: readonly Label[];
}

export interface BlockSort {
  readonly slots: number;
  readonly layout: BlockLayout;
  /** First slot of the response codes, counted as upstream_rq_<code>; null without. */
  readonly codes: number | null;
  /** Name and first slot of each histogram. */
  readonly histograms: readonly (readonly [name: string, at: number])[];
  readonly names: (name: string) => BlockNames;
}

const simple = (layout: BlockLayout, names: BlockSort['names']): BlockSort => ({
  slots: layout.slots.length,
  layout,
  codes: null,
  histograms: [],
  names,
});

export const blockSorts: Readonly<Record<BlockKind, BlockSort>> = {
  listener: {
    slots: listenerBlockSlots,
    layout: listenerStat.layout,
    codes: null,
    histograms: Object.entries(listenerHistogram),
    names: (name) => ({
      prefix: `listener.${name}.`,
      family: 'listener_',
      labels: [{ name: 'envoy_listener_address', value: name }],
    }),
  },
  http: {
    slots: httpBlockSlots,
    layout: httpStat.layout,
    codes: null,
    histograms: Object.entries(httpHistogram),
    names: (name) => ({
      prefix: `http.${name}.`,
      family: 'http_',
      labels: [{ name: 'envoy_http_conn_manager_prefix', value: name }],
    }),
  },
  cluster: {
    slots: clusterBlockSlots,
    layout: clusterStat.layout,
    codes: clusterCodes,
    histograms: Object.entries(clusterHistogram),
    names: (name) => ({
      prefix: `cluster.${name}.`,
      family: 'cluster_',
      labels: [{ name: 'envoy_cluster_name', value: name }],
    }),
  },
  virtual_host: {
    slots: virtualHostSlots,
    layout: virtualHostStat.layout,
    codes: virtualHostCodes,
    histograms: Object.entries(virtualHostHistogram),
    names: virtualHostNames,
  },
  tcp: simple(tcpStat.layout, (name) => ({
    prefix: `tcp.${name}.`,
    family: 'tcp_',
    labels: [{ name: 'envoy_tcp_prefix', value: name }],
  })),
  proxy_proto: simple(proxyProtoStat.layout, (name) => ({
    prefix: name === '' ? 'proxy_proto.' : `proxy_proto.${name}.`,
    family: 'proxy_proto_',
    labels: name === '' ? [] : [{ name: 'envoy_proxy_protocol_prefix', value: name }],
  })),
  listener_filters: simple(listenerFilterStat.layout, () => ({ prefix: '', family: '', labels: [] })),
  http2: simple(http2Stat.layout, () => ({ prefix: 'http2.', family: 'http2_', labels: [] })),
  rbac: simple(rbacStat.layout, rbacNames),
  connection_limit: simple(connectionLimitStat.layout, (name) => ({
    prefix: `connection_limit.${name}.`,
    family: 'connection_limit_',
    labels: [{ name: 'envoy_connection_limit_prefix', value: name }],
  })),
  worker: simple(workerStat.layout, () => ({ prefix: 'server.worker.', family: 'server_worker_', labels: [] })),
};

/** A name that is any three texts in one. */
export const virtualHostBlock = (virtualHost: string, part: 'vcluster' | 'route', name: string): string =>
  JSON.stringify([virtualHost, part, name]);

function virtualHostNames(block: string): BlockNames {
  const [virtualHost = '', part = '', name = ''] = JSON.parse(block) as readonly string[];
  return {
    prefix: `vhost.${virtualHost}.${part}.${name}.`,
    family: `vhost_${part}_`,
    labels: [
      { name: 'envoy_virtual_host', value: virtualHost },
      { name: part === 'route' ? 'envoy_route' : 'envoy_virtual_cluster', value: name },
    ],
  };
}

/** The HTTP filter's prefix is the connection manager's, `http.X`; the network filter has one of its own. */
function rbacNames(prefix: string): BlockNames {
  const manager = /^http\.(.+)$/s.exec(prefix)?.[1];
  return {
    prefix: `${prefix}.rbac.`,
    family: manager === undefined ? 'rbac_' : 'http_rbac_',
    labels: [
      manager === undefined
        ? { name: 'envoy_rbac_prefix', value: prefix }
        : { name: 'envoy_http_conn_manager_prefix', value: manager },
    ],
  };
}
