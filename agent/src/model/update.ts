/** The messages between the main thread and a worker. */
import type { ClusterSpec, EndpointsSpec } from './cluster.ts';
import type { RouteConfigSpec } from './http.ts';
import type { ListenerSpec } from './listener.ts';
import type { SecretSpec } from './tls.ts';

/** One atomic change. A worker applies secrets, clusters, endpoints, routes, listeners in this order, then removals. */
export interface ConfigUpdate {
  readonly secrets: readonly SecretSpec[];
  readonly clusters: readonly ClusterSpec[];
  readonly endpoints: readonly EndpointsSpec[];
  readonly routes: readonly RouteConfigSpec[];
  readonly listeners: readonly ListenerSpec[];
  readonly removeClusters: readonly string[];
  readonly removeRoutes: readonly string[];
  readonly removeListeners: readonly string[];
}

export type ToWorker =
  | { readonly type: 'update'; readonly id: number; readonly update: ConfigUpdate }
  /** New connections are still accepted; responses carry Connection: close; deadlineMs later what is left is cut. */
  | { readonly type: 'drain'; readonly direction: 'inbound' | 'all'; readonly deadlineMs: number }
  /** Stops accepting. */
  | { readonly type: 'stop-listeners'; readonly direction: 'inbound' | 'all' }
  | { readonly type: 'query-hosts'; readonly id: number }
  /** Collect garbage: no configuration has come for a while. */
  | { readonly type: 'collect' }
  | { readonly type: 'exit' };

export type FromWorker =
  | { readonly type: 'ready' }
  /** errors: e.g. an address that is taken; the rest of the update was applied. */
  | { readonly type: 'applied'; readonly id: number; readonly errors: readonly string[] }
  | { readonly type: 'hosts'; readonly id: number; readonly clusters: readonly ClusterHosts[] }
  | { readonly type: 'edges'; readonly edges: readonly EdgeCount[] }
  | { readonly type: 'grpc-calls'; readonly calls: readonly GrpcCallCount[] }
  /** The ring of log lines is half full. */
  | { readonly type: 'log-pressure' }
  | {
      readonly type: 'log';
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly msg: string;
      readonly fields: Readonly<Record<string, string | number>>;
    };

/** What /clusters shows. */
export interface ClusterHosts {
  readonly cluster: string;
  readonly addedViaApi: boolean;
  readonly hosts: readonly HostState[];
}

export interface HostState {
  readonly address: string;
  readonly hostname: string;
  readonly weight: number;
  readonly priority: number;
  readonly locality: string;
  readonly flags: readonly (
    | 'failed_active_hc'
    | 'active_hc_timeout'
    | 'failed_outlier_check'
    | 'failed_eds_health'
    | 'degraded_eds_health'
    | 'eds_status_draining'
  )[];
  readonly cxActive: number;
  readonly cxTotal: number;
  readonly cxConnectFail: number;
  readonly rqActive: number;
  readonly rqTotal: number;
  readonly rqSuccess: number;
  readonly rqError: number;
  readonly rqTimeout: number;
  readonly ejections: number;
}

/** gRPC calls of a cluster's method since the worker's start; the worker sends those that changed about once a second. */
export interface GrpcCallCount {
  readonly cluster: string;
  /** '' for both where methods are not told apart. */
  readonly service: string;
  readonly method: string;
  readonly requestMessages: number;
  readonly responseMessages: number;
  readonly statuses: readonly (readonly [status: number, calls: number])[];
  /** Times of upstreams: how many in each bucket of stats/layout.ts, and their sum. Empty where they are not told. */
  readonly times: readonly (readonly [bucket: number, calls: number])[];
  readonly timesMs: number;
}

/** Who talked to whom over which transport: the worker sends its totals about once a second while they change. */
export interface EdgeCount {
  readonly direction: 'inbound' | 'outbound';
  readonly local: string;
  readonly peer: string;
  readonly target: string;
  readonly tls: string;
  readonly connections: number;
  readonly active: number;
  readonly requests: number;
  readonly failures: number;
}
