/** Active health checks of a cluster, with Envoy's defaults filled in. */
import type { AddressSpec } from './listener.ts';

export interface HealthCheckSpec {
  readonly probe: HttpProbeSpec | TcpProbeSpec | GrpcProbeSpec;
  readonly timeoutMs: number;
  readonly intervalMs: number;
  readonly unhealthyIntervalMs: number;
  readonly noTrafficIntervalMs: number;
  readonly noTrafficHealthyIntervalMs: number;
  readonly unhealthyEdgeIntervalMs: number;
  readonly healthyEdgeIntervalMs: number;
  readonly initialJitterMs: number;
  readonly intervalJitterMs: number;
  readonly intervalJitterPercent: number;
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
  /** Offered in the TLS handshake of a check instead of what the cluster offers; absent leaves it. */
  readonly alpn?: readonly string[];
  /** Chooses among the cluster's transport sockets instead of the endpoint's labels. */
  readonly socketMatch?: Readonly<Record<string, string>>;
  readonly events?: HealthEventsSpec;
}

/** Where changes of a host's health are written. */
export interface HealthEventsSpec {
  readonly paths: readonly string[];
  /** Every failure, and every success, and not those alone that change something. */
  readonly allFailures: boolean;
  readonly allSuccesses: boolean;
}

export type ProbeHeaders = readonly (readonly [name: string, value: string])[];

export interface HttpProbeSpec {
  readonly kind: 'http';
  readonly codec: 'http1' | 'http2';
  readonly method: string;
  readonly path: string;
  /** For endpoints that say none of their own. */
  readonly host: string;
  readonly headers: ProbeHeaders;
  /** Statuses in [start, end). */
  readonly expected: readonly { readonly start: number; readonly end: number }[];
  /** These count like silence, up to the threshold; any other takes the host out at once. */
  readonly retriable: readonly { readonly start: number; readonly end: number }[];
}

/** grpc.health.v1.Health/Check; only SERVING passes. */
export interface GrpcProbeSpec {
  readonly kind: 'grpc';
  readonly service: string;
  /** For endpoints that say none of their own. */
  readonly authority: string;
  readonly headers: ProbeHeaders;
}

/** Payloads as hexadecimal digits; nothing to receive means that the connection is enough. */
export interface TcpProbeSpec {
  readonly kind: 'tcp';
  readonly send: string;
  readonly receive: readonly string[];
}

/** How one endpoint is asked, where it says so itself. */
export interface EndpointCheckSpec {
  /** null: the endpoint's own. */
  readonly address: AddressSpec | null;
  /** 0: that of the address. */
  readonly port: number;
  /** '' where the check decides. */
  readonly hostname: string;
  readonly disabled: boolean;
}
