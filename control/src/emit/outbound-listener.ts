/**
 * Listener `outbound`: the original destination picks the Service by cluster IP and port, or the service account by
 * pod address; everything else passes through as it is.
 */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { ports, xdsNames } from '@chainmail/runtime';
import { TrafficDirection } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import { type Listener, ListenerSchema } from '@chainmail/xds/proto/envoy/config/listener/v3/listener';
import type { FilterChainSchema } from '@chainmail/xds/proto/envoy/config/listener/v3/listener_components';
import type { DirectChain, OutboundModel, VipChain } from '../translate/outbound-model.ts';
import { passthrough } from '../translate/resource-names.ts';
import { detectionTimeout, host, socketAddress } from './address.ts';
import { httpConnectionManager, httpInspector, originalDst, tcpProxy, tlsInspector } from './filters.ts';
import { fromAds } from './tls.ts';

type FilterChain = MessageInitShape<typeof FilterChainSchema>;

/** What http_inspector calls the protocols it knows. */
const httpProtocols = ['http/1.0', 'http/1.1', 'h2c'];

function vipChains(chain: VipChain): FilterChain[] {
  const { name, port, protocol } = chain;
  const match = { destinationPort: port, prefixRanges: chain.vips.map(host) };
  const opaque: FilterChain = { name, filterChainMatch: match, filters: [tcpProxy('outbound', 'outbound', name)] };
  if (protocol === 'tcp') return [opaque];
  const http = httpConnectionManager({
    direction: 'outbound',
    statPrefix: 'outbound',
    routes: { case: 'rds', value: { routeConfigName: name, configSource: fromAds } },
    filters: [],
    rejectEscapedSlashes: false,
  });
  if (protocol !== 'auto') return [{ name, filterChainMatch: match, filters: [http] }];
  const sniffed = { ...match, applicationProtocols: httpProtocols };
  return [{ name: `${name}|http`, filterChainMatch: sniffed, filters: [http] }, opaque];
}

/** Once without a port, and once for each port of a Service: a chain for a port hides those without one. */
function directChains(chain: DirectChain, servicePorts: readonly number[]): FilterChain[] {
  const { cluster } = chain;
  const prefixRanges = chain.addresses.map(host);
  const filters = [tcpProxy('outbound', 'outbound', cluster)];
  return [
    { name: cluster, filterChainMatch: { prefixRanges }, filters },
    ...servicePorts.map((destinationPort) => ({
      name: cluster.replace('||', `|${destinationPort}|`),
      filterChainMatch: { destinationPort, prefixRanges },
      filters,
    })),
  ];
}

export function outboundListener(model: OutboundModel): Listener {
  return create(ListenerSchema, {
    name: xdsNames.outboundListener,
    trafficDirection: TrafficDirection.OUTBOUND,
    address: socketAddress('127.0.0.1', ports.agentOutbound),
    additionalAddresses: [{ address: socketAddress('::1', ports.agentOutbound) }],
    listenerFilters: [originalDst, tlsInspector, httpInspector],
    listenerFiltersTimeout: detectionTimeout,
    continueOnListenerFiltersTimeout: true,
    filterChains: [...model.vips.flatMap(vipChains), ...model.direct.flatMap((d) => directChains(d, model.ports))],
    defaultFilterChain: { name: passthrough, filters: [tcpProxy('outbound', passthrough, passthrough)] },
  });
}
