/**
 * Listener `inbound`: under STRICT only mutual TLS finds a filter chain, so plaintext is closed before a byte reaches
 * the application. PERMISSIVE adds chains for plaintext and for the application's own TLS, both without an identity.
 */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { ports, xdsNames } from '@chainmail/runtime';
import { TrafficDirection } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import { type Listener, ListenerSchema } from '@chainmail/xds/proto/envoy/config/listener/v3/listener';
import type {
  FilterChainMatchSchema,
  FilterChainSchema,
  FilterSchema,
} from '@chainmail/xds/proto/envoy/config/listener/v3/listener_components';
import type { Denial } from '../translate/authorization.ts';
import type { InboundModel, InboundPort } from '../translate/inbound-model.ts';
import { inboundName, otherInbound } from '../translate/resource-names.ts';
import { detectionTimeout, socketAddress } from './address.ts';
import { duration } from './any.ts';
import { httpConnectionManager, originalDst, tcpProxy, tlsInspector } from './filters.ts';
import { httpRbac, networkRbac } from './rbac.ts';
import { downstreamTls, multiplexedDownstreamTls } from './tls.ts';

type FilterChain = MessageInitShape<typeof FilterChainSchema>;
type Match = MessageInitShape<typeof FilterChainMatchSchema>;
type TransportSocket = typeof downstreamTls;
type Filter = MessageInitShape<typeof FilterSchema>;

function httpFilters(p: InboundPort): Filter[] {
  const name = inboundName(p.port);
  const route = {
    name: 'default',
    match: { pathSpecifier: { case: 'prefix', value: '/' } },
    action: {
      case: 'route',
      value: { clusterSpecifier: { case: 'cluster', value: name }, timeout: duration(0) },
    },
  } as const;
  return [
    httpConnectionManager({
      direction: 'inbound',
      statPrefix: `inbound_${p.port}`,
      routes: {
        case: 'routeConfig',
        value: { name, virtualHosts: [{ name, domains: ['*'], routes: [route] }] },
      },
      filters: httpRbac(p.denials),
      rejectEscapedSlashes: p.rejectEscapedSlashes,
    }),
  ];
}

function opaqueFilters(stat: string, cluster: string, denials: readonly Denial[], anyPort: boolean): Filter[] {
  return [...networkRbac(stat, denials, anyPort), tcpProxy('inbound', stat, cluster)];
}

interface Entrance {
  readonly name: string;
  readonly match: Match;
  readonly filters: Filter[];
  readonly tls: TransportSocket;
  /** For the application's own TLS, which stays opaque. */
  readonly opaque: Filter[];
}

function entrances(model: InboundModel): Entrance[] {
  const declared = model.ports.map((p) => {
    const stat = `inbound_${p.port}`;
    const opaque = opaqueFilters(stat, inboundName(p.port), p.opaqueDenials, false);
    const match = { destinationPort: p.port };
    const tls = p.http && model.multiplexed ? multiplexedDownstreamTls : downstreamTls;
    return { name: inboundName(p.port), match, filters: p.http ? httpFilters(p) : opaque, tls, opaque };
  });
  const rest = opaqueFilters('inbound_any', otherInbound, model.otherDenials, true);
  return [...declared, { name: otherInbound, match: {}, filters: rest, tls: downstreamTls, opaque: rest }];
}

function strict(e: Entrance): FilterChain[] {
  const filterChainMatch = { ...e.match, transportProtocol: 'tls' };
  return [{ name: e.name, filterChainMatch, transportSocket: e.tls, filters: e.filters }];
}

function permissive(e: Entrance): FilterChain[] {
  const { name, match, filters, tls, opaque } = e;
  const mesh = { ...match, transportProtocol: 'tls', applicationProtocols: [xdsNames.meshAlpn] };
  return [
    { name, filterChainMatch: mesh, transportSocket: tls, filters },
    { name: `${name}|foreign-tls`, filterChainMatch: { ...match, transportProtocol: 'tls' }, filters: opaque },
    { name: `${name}|plaintext`, filterChainMatch: { ...match, transportProtocol: 'raw_buffer' }, filters },
  ];
}

export function inboundListener(model: InboundModel): Listener {
  const chains = model.mode === 'STRICT' ? strict : permissive;
  return create(ListenerSchema, {
    name: xdsNames.inboundListener,
    trafficDirection: TrafficDirection.INBOUND,
    address: socketAddress('0.0.0.0', ports.agentInbound),
    additionalAddresses: [{ address: socketAddress('::', ports.agentInbound) }],
    listenerFilters: [originalDst, tlsInspector],
    listenerFiltersTimeout: detectionTimeout,
    continueOnListenerFiltersTimeout: true,
    filterChains: entrances(model).flatMap(chains),
  });
}
