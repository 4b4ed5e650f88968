/**
 * A cluster at run time in one worker: its hosts with their live state, the balancer, outlier detection and circuit
 * limits. State of a host is carried over an update by its address and TLS context.
 */

import type { ClusterSpec, EndpointSpec, EndpointsSpec, MetadataMatchSpec } from '../model/cluster.ts';
import type { AddressSpec } from '../model/listener.ts';
import type { UpstreamTlsSpec } from '../model/tls.ts';
import type { ClusterHosts } from '../model/update.ts';

/** What became of one attempt at a host, for outlier detection (Envoy's Outlier::Result). */
export type Outcome =
  | { readonly kind: 'response'; readonly status: number }
  | { readonly kind: 'local'; readonly cause: 'connect-failed' | 'connect-timeout' | 'timeout' | 'reset' };

export interface Host {
  readonly key: string;
  readonly address: AddressSpec;
  /** `ip:port`, as logged. */
  readonly label: string;
  readonly endpoint: EndpointSpec;
  readonly tls: UpstreamTlsSpec | null;
  /** Removed from the cluster: finish what is in flight, take nothing new, close idle connections. */
  readonly removed: boolean;
  readonly ejected: boolean;
  activeRequests: number;
  activeConnections: number;
  cxTotal: number;
  cxConnectFail: number;
  rqTotal: number;
  rqSuccess: number;
  rqError: number;
  rqTimeout: number;
  /** The connection pool that hangs on the host; the http and tcp code own what it is. */
  pool: HostPool | null;
  /** The pool of requests of HIGH priority, whose connections are counted apart. */
  highPool: HostPool | null;
  /** What the pools were made for: an update of the cluster may change its protocol. */
  poolProtocol: string;
  highPoolProtocol: string;
}

export interface HostPool {
  /** The host was removed or its TLS material changed: close idle connections, let busy ones finish. */
  drain(): void;
}

export interface PickContext {
  /** Hosts tried already by this request; avoided while others are there. */
  readonly tried: readonly Host[];
  /** For original_dst clusters. */
  readonly destination: AddressSpec | null;
  /** For consistent hashing; absent or null is any host. */
  readonly hash?: bigint | null;
  /** Which hosts the request asks for, where the cluster has subsets; absent or null is none in particular. */
  readonly subset?: MetadataMatchSpec | null;
}

export type Pick =
  | { readonly kind: 'host'; readonly host: Host }
  | { readonly kind: 'none-healthy' }
  | { readonly kind: 'no-destination' };

export type RoutingPriority = 'default' | 'high';

/** Where the hosts of a cluster's first priority are; the same object until something has changed. */
export interface LocalityView {
  /** Hosts by locality, whatever their health. */
  readonly hosts: ReadonlyMap<string, number>;
  readonly healthy: ReadonlyMap<string, number>;
  /** Percent of them that may be used. */
  readonly usablePercent: number;
}

export interface Cluster {
  readonly spec: ClusterSpec;
  readonly priority: RoutingPriority;
  /** The same cluster for requests of HIGH priority: with circuit breakers and pools of its own. */
  readonly high: Cluster;
  readonly name: string;
  /** First slot of the cluster's block in the worker's slots. */
  readonly stats: number;
  pick(context: PickContext): Pick;
  /** Absent where hosts have no localities. */
  localityView?(): LocalityView;
  /** To be called after each attempt. May eject the host. */
  record(host: Host, outcome: Outcome): void;
  /** Circuit breakers: false and counted when the limit is reached. Pair each true with release. */
  admitRequest(): boolean;
  releaseRequest(): void;
  admitConnection(): boolean;
  releaseConnection(): void;
  admitPending(): boolean;
  releasePending(): void;
  admitRetry(): boolean;
  releaseRetry(): void;
  /** New configuration with state carried over. */
  update(spec: ClusterSpec): void;
  setEndpoints(endpoints: EndpointsSpec): void;
  /** A secret changed: pools whose TLS contexts use it dial anew. */
  onSecretChanged(name: string): void;
  snapshot(): ClusterHosts;
  close(): void;
}
