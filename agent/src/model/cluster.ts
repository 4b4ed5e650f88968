/** A cluster and its endpoints, compiled from Envoy's Cluster and ClusterLoadAssignment. */
import type { HeadLimits } from '../http1/parse-head.ts';
import type { Http2Options } from '../http2/options.ts';
import type { EndpointCheckSpec, HealthCheckSpec } from './health-check.ts';
import type { AddressSpec } from './listener.ts';
import type { UpstreamTlsSpec } from './tls.ts';

export interface ClusterSpec {
  readonly name: string;
  /** First slot of the ClusterStat block. */
  readonly stats: number;
  /** DNS and EDS clusters get their endpoints from the main thread; original_dst takes the connection's own. */
  readonly type: 'static' | 'strict_dns' | 'logical_dns' | 'eds' | 'original_dst';
  readonly lb: 'round_robin' | 'least_request' | 'random' | 'ring_hash' | 'maglev' | 'cluster_provided';
  readonly leastRequestChoices: number;
  /** least_request with unequal weights: weight / (requests in flight + 1) ^ bias; absent is 1. */
  readonly activeRequestBias?: number;
  /** For ring_hash and maglev. */
  readonly hashing?: HashingSpec | null;
  /** For round_robin and least_request; absent or null: a new host gets its whole share at once. */
  readonly slowStart?: SlowStartSpec | null;
  /** locality_weighted_lb_config: localities of a priority are chosen by their weights first. */
  readonly localityWeighted?: boolean;
  /** Zone-aware routing; absent or null without a local cluster, and where consistent hashing decides. */
  readonly zones?: ZoneRoutingSpec | null;
  /** fail_traffic_on_panic: no host at all where otherwise health would be disregarded. */
  readonly failOnPanic?: boolean;
  /** Only some of the hosts for a request that asks for them by metadata_match; absent or null: all always. */
  readonly subsets?: SubsetsSpec | null;
  /** Percent; below this share of healthy hosts all are used. Default 50. */
  readonly panicThreshold: number;
  readonly connectTimeoutMs: number;
  readonly bufferLimitBytes: number;
  /** Context of hosts that no match below fits; null is plaintext. */
  readonly tls: UpstreamTlsSpec | null;
  /** First one whose labels are all in the endpoint's envoy.transport_socket_match wins. */
  readonly tlsMatches: readonly TransportSocketMatchSpec[];
  /** Tells each host about the client with this version's header, before anything else; null without. */
  readonly proxyProtocol?: 'v1' | 'v2' | null;
  readonly circuit: CircuitSpec;
  /** Limits of the HIGH routing priority; absent is Envoy's defaults. */
  readonly highCircuit?: CircuitSpec;
  readonly outlier: OutlierSpec | null;
  readonly healthCheck?: HealthCheckSpec | null;
  /** Source addresses for connections to hosts of each family, or null. */
  readonly bindV4: string | null;
  readonly bindV6: string | null;
  readonly tcpKeepalive: { readonly probes: number; readonly timeS: number; readonly intervalS: number } | null;
  /** 'downstream' follows the client's protocol; 'auto' what ALPN has chosen, HTTP/1.1 without TLS. */
  readonly protocol: 'http1' | 'http2' | 'downstream' | 'auto';
  /** http2_protocol_options with the limits of heads; absent: Envoy's defaults. */
  readonly http2?: Http2Options;
  /** Of answers over HTTP/1.1; absent: Envoy's defaults. */
  readonly responseLimits?: HeadLimits;
  /** Idle pooled connections are closed after this; default 1 h. */
  readonly idleTimeoutMs: number;
  readonly maxRequestsPerConnection: number;
}

/** Sizes of consistent hashing; Envoy: 1024, 8 Mi, 65,537. */
export interface HashingSpec {
  readonly minRingSize: number;
  readonly maxRingSize: number;
  readonly tableSize: number;
  readonly byHostname: boolean;
  /** Which hash places hosts on the ring; absent is xxHash64. Requests are hashed by that alone. */
  readonly ringHash?: 'xx' | 'murmur';
  /** hash_balance_factor in percent; absent or 0: loads are not bounded. */
  readonly balanceFactor?: number;
}

export interface TransportSocketMatchSpec {
  readonly name: string;
  readonly match: Readonly<Record<string, string>>;
  readonly tls: UpstreamTlsSpec | null;
}

/** Envoy's SlowStartConfig: a host's weight grows from the minimum to its own within the window. */
export interface SlowStartSpec {
  readonly windowMs: number;
  /** Above 1 the weight grows faster at the beginning, below 1 slower; 1 is linear. */
  readonly aggression: number;
  /** Share of the weight, 0 to 1. */
  readonly minShare: number;
}

/** Envoy's ZoneAwareLbConfig: as much as possible stays in the agent's own locality. */
export interface ZoneRoutingSpec {
  /** The cluster of which this agent is a host: it says how the load comes from the localities. */
  readonly localCluster: string;
  /** The agent's own, as endpoints have it. */
  readonly locality: string;
  /** Share of the requests that are routed so, in whole percent. */
  readonly routingPercent: number;
  /** With fewer healthy hosts nothing is done; Envoy: 6. */
  readonly minClusterSize: number;
  /** Everything stays in the own locality, however much it has to carry. */
  readonly direct: boolean;
}

/** What a request asks of its host (envoy.lb of metadata_match): the names, sorted, and their values in that order. */
export interface MetadataMatchSpec {
  readonly names: readonly string[];
  readonly values: readonly string[];
  /** Each list as one text, to look things up by. */
  readonly namesKey: string;
  readonly valuesKey: string;
  /** What to try in this order, for clusters that take `fallback_list` as such; absent without that name. */
  readonly variants?: readonly MetadataMatchSpec[];
}

/** Envoy's LbSubsetConfig. */
export interface SubsetsSpec {
  readonly fallback: 'none' | 'any' | 'default';
  readonly defaultSubset: MetadataMatchSpec;
  readonly selectors: readonly SubsetSelectorSpec[];
  /** When the fallback has no host either, any host will do. */
  readonly panicModeAny: boolean;
  /** A list in a host's metadata stands for each of its items. */
  readonly listAsAny: boolean;
  /** Locality weights count within a subset; scaled: by the share of the locality's hosts that are in it. */
  readonly localityWeightAware: boolean;
  readonly scaleLocalityWeight: boolean;
  /** metadata_fallback_policy FALLBACK_LIST: a request's variants are tried one after the other. */
  readonly fallbackList?: boolean;
}

export interface SubsetSelectorSpec {
  /** Sorted. */
  readonly keys: readonly string[];
  readonly fallback: 'not-defined' | 'none' | 'any' | 'default' | 'keys';
  readonly fallbackKeys: readonly string[];
  readonly singleHost: boolean;
}

/** Limits of one routing priority; Envoy: 1024, 1024, 1024, 3. */
export interface CircuitSpec {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  /** Replaces maxRetries: retries may be this share of the requests in flight, but at least minRetries. */
  readonly retryBudget?: { readonly percent: number; readonly minRetries: number } | null;
}

/** Envoy's OutlierDetection with its defaults filled in. */
export interface OutlierSpec {
  readonly consecutive5xx: number;
  readonly enforcingConsecutive5xx: number;
  readonly consecutiveGatewayFailure: number;
  readonly enforcingConsecutiveGatewayFailure: number;
  readonly consecutiveLocalOriginFailure: number;
  readonly enforcingConsecutiveLocalOriginFailure: number;
  readonly splitExternalLocalOriginErrors: boolean;
  readonly intervalMs: number;
  readonly baseEjectionTimeMs: number;
  readonly maxEjectionTimeMs: number;
  readonly maxEjectionPercent: number;
  /** Checked at the end of each interval; absent is off. */
  readonly successRate?: SuccessRateSpec | null;
  readonly failurePercentage?: FailurePercentageSpec | null;
  /** A passing active health check does not end an ejection. */
  readonly ignoreHealthChecks?: boolean;
}

/** Enforcing in percent; the local ones count with split errors only. */
export interface SuccessRateSpec {
  readonly minimumHosts: number;
  readonly requestVolume: number;
  readonly stdevFactor: number;
  readonly enforcing: number;
  readonly enforcingLocal: number;
}

export interface FailurePercentageSpec {
  readonly threshold: number;
  readonly minimumHosts: number;
  readonly requestVolume: number;
  readonly enforcing: number;
  readonly enforcingLocal: number;
}

export interface EndpointsSpec {
  readonly cluster: string;
  readonly endpoints: readonly EndpointSpec[];
}

export interface EndpointSpec {
  readonly address: AddressSpec;
  readonly hostname: string;
  readonly health: 'healthy' | 'unhealthy' | 'draining' | 'degraded';
  readonly weight: number;
  readonly priority: number;
  readonly locality: string;
  /** envoy.transport_socket_match of the endpoint's metadata. */
  readonly socketMatch: Readonly<Record<string, string>>;
  /** envoy.lb hash_key: where consistent hashing places it instead of by its address. */
  readonly hashKey?: string;
  /** envoy.lb metadata, for subsets: each value, or each item of a list, as canonical JSON. */
  readonly metadata?: Readonly<Record<string, MetadataValueSpec>>;
  /** How it is asked whether it is well, where it says so itself. */
  readonly check?: EndpointCheckSpec;
  /** Of its locality; absent is none, which takes no traffic where localities are weighted. */
  readonly localityWeight?: number;
}

export interface MetadataValueSpec {
  readonly value: string;
  /** Items of a list; absent for anything else. */
  readonly items?: readonly string[];
}
