/** Clusters: a Service's port through EDS, pods by address, the application behind the inbound side, and passthrough. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { inboundSource } from '@chainmail/runtime';
import type { CircuitBreakersSchema } from '@chainmail/xds/proto/envoy/config/cluster/v3/circuit_breaker';
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from '@chainmail/xds/proto/envoy/config/cluster/v3/cluster';
import type { OutlierDetectionSchema } from '@chainmail/xds/proto/envoy/config/cluster/v3/outlier_detection';
import type { TransportSocketSchema } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import { HttpProtocolOptionsSchema } from '@chainmail/xds/proto/envoy/extensions/upstreams/http/v3/http_protocol_options';
import type { AppProtocol } from '../model/app-protocol.ts';
import type { DirectCluster, ServiceCluster } from '../translate/outbound-model.ts';
import { inboundName, nowhere, otherInbound, passthrough } from '../translate/resource-names.ts';
import { type CircuitSettings, type OutlierSettings, trafficSettings } from '../translate/traffic-settings.ts';
import { duration, pack } from './any.ts';
import { http2ProtocolOptions } from './http2.ts';
import { fromAds, upstreamTls } from './tls.ts';

type Init = Exclude<MessageInitShape<typeof ClusterSchema>, Cluster>;

/** Below the 5 s after which Node closes an idle connection, so that the agent closes first and no request is lost. */
const applicationIdleMs = 3000;
const upstreamIdleMs = 3_600_000;
const defaults = trafficSettings(undefined);

const optionsName = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

type UpstreamProtocol = NonNullable<MessageInitShape<typeof HttpProtocolOptionsSchema>['upstreamProtocolOptions']>;

const asDownstream: UpstreamProtocol = {
  case: 'useDownstreamProtocolConfig',
  value: { httpProtocolOptions: {}, http2ProtocolOptions },
};
/** By ALPN; endpoints without TLS are spoken to in HTTP/1.1. */
const negotiated: UpstreamProtocol = {
  case: 'autoConfig',
  value: { httpProtocolOptions: {}, http2ProtocolOptions },
};
const http1: UpstreamProtocol = {
  case: 'explicitHttpConfig',
  value: { protocolConfig: { case: 'httpProtocolOptions', value: {} } },
};
const http2: UpstreamProtocol = {
  case: 'explicitHttpConfig',
  value: { protocolConfig: { case: 'http2ProtocolOptions', value: http2ProtocolOptions } },
};

function upstreamProtocol({ protocol, multiplexed }: ServiceCluster): UpstreamProtocol {
  switch (protocol) {
    case 'http':
      return multiplexed ? negotiated : http1;
    case 'http2':
      return http2;
    case 'auto':
    case 'tcp':
      return asDownstream;
  }
}

function protocolOptions(
  upstreamProtocolOptions: UpstreamProtocol,
  idleMs: number,
  maxRequests?: number,
): NonNullable<Init['typedExtensionProtocolOptions']> {
  return {
    [optionsName]: pack(HttpProtocolOptionsSchema, {
      commonHttpProtocolOptions: {
        idleTimeout: duration(idleMs),
        ...(maxRequests === undefined ? {} : { maxRequestsPerConnection: maxRequests }),
      },
      upstreamProtocolOptions,
    }),
  };
}

function circuitBreakers(c: CircuitSettings): MessageInitShape<typeof CircuitBreakersSchema> {
  const { maxConnections, maxPendingRequests, maxRequests, maxRetries } = c;
  // A pod of three that goes away turns a third of the requests into retries, until every agent knows of it.
  const retries =
    maxRetries === undefined
      ? { maxRetries: 4_294_967_295, retryBudget: { budgetPercent: { value: 50 }, minRetryConcurrency: 10 } }
      : { maxRetries };
  return { thresholds: [{ maxConnections, maxPendingRequests, maxRequests, ...retries }] };
}

function outlierDetection(o: OutlierSettings): MessageInitShape<typeof OutlierDetectionSchema> {
  return {
    consecutive5xx: o.consecutive5xx,
    interval: duration(o.intervalMs),
    baseEjectionTime: duration(o.baseEjectionMs),
    maxEjectionPercent: o.maxEjectionPercent,
    // Success rates compare replicas that serve different requests; nobody asked for that, so it stays off.
    enforcingSuccessRate: 0,
    ...(o.consecutiveGatewayFailure === undefined
      ? {}
      : { consecutiveGatewayFailure: o.consecutiveGatewayFailure, enforcingConsecutiveGatewayFailure: 100 }),
    ...(o.splitLocalOrigin ? { splitExternalLocalOriginErrors: true, enforcingLocalOriginSuccessRate: 0 } : {}),
    ...(o.consecutiveLocalOriginFailure === undefined
      ? {}
      : { consecutiveLocalOriginFailure: o.consecutiveLocalOriginFailure }),
    ...(o.failurePercentage === undefined
      ? {}
      : { failurePercentageThreshold: o.failurePercentage, enforcingFailurePercentage: 100 }),
  };
}

function offered({ protocol, multiplexed }: ServiceCluster): readonly string[] {
  if (!multiplexed) return [];
  return protocol === 'http2' ? ['h2'] : ['h2', 'http/1.1'];
}

export function serviceCluster(model: ServiceCluster): Cluster {
  const { settings } = model;
  return create(ClusterSchema, {
    name: model.name,
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: fromAds },
    connectTimeout: duration(settings.connectTimeoutMs),
    lbPolicy: settings.balancer === 'RoundRobin' ? Cluster_LbPolicy.ROUND_ROBIN : Cluster_LbPolicy.LEAST_REQUEST,
    outlierDetection: outlierDetection(settings.outlier),
    circuitBreakers: circuitBreakers(settings.circuit),
    ...(settings.panicThreshold === undefined
      ? {}
      : { commonLbConfig: { healthyPanicThreshold: { value: settings.panicThreshold } } }),
    ...(model.protocol === 'tcp'
      ? {}
      : {
          typedExtensionProtocolOptions: protocolOptions(
            upstreamProtocol(model),
            upstreamIdleMs,
            settings.circuit.maxRequestsPerConnection,
          ),
        }),
    transportSocketMatches: model.identities.map(({ identity, spiffeId }) => ({
      name: identity,
      match: { identity },
      transportSocket: upstreamTls(spiffeId, offered(model)),
    })),
  });
}

function originalDst(name: string, more: Init): Cluster {
  return create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.ORIGINAL_DST },
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    connectTimeout: duration(defaults.connectTimeoutMs),
    circuitBreakers: circuitBreakers(defaults.circuit),
    ...more,
  });
}

export function directCluster(model: DirectCluster): Cluster {
  const transportSocket: MessageInitShape<typeof TransportSocketSchema> = upstreamTls(model.spiffeId);
  return originalDst(model.name, { transportSocket });
}

export const passthroughCluster: Cluster = originalDst(passthrough, {});

export const nowhereCluster: Cluster = create(ClusterSchema, {
  name: nowhere,
  clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STATIC },
  connectTimeout: duration(defaults.connectTimeoutMs),
  loadAssignment: { clusterName: nowhere },
});

/** To the application at the pod's own address, from the source address that interception lets through. */
const toApplication: Init = {
  upstreamBindConfig: {
    sourceAddress: { address: inboundSource.v4, portSpecifier: { case: 'portValue', value: 0 } },
    extraSourceAddresses: [{ address: { address: inboundSource.v6, portSpecifier: { case: 'portValue', value: 0 } } }],
  },
};

/** The application hears what its port declares; where nothing is declared, what its caller speaks. */
const inboundProtocol = { http: http1, http2, auto: asDownstream } as const;

export function inboundCluster(port: number, protocol: AppProtocol): Cluster {
  const options =
    protocol === 'tcp'
      ? {}
      : { typedExtensionProtocolOptions: protocolOptions(inboundProtocol[protocol], applicationIdleMs) };
  return originalDst(inboundName(port), { ...toApplication, ...options });
}

export const otherInboundCluster: Cluster = originalDst(otherInbound, toApplication);
