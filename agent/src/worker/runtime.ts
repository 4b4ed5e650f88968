/**
 * What a worker offers to the protocols that run in it: the loop's clock and timers, statistics, the tables of
 * clusters, routes and secrets, the shared buffers, and dialling. One object per worker, handed to constructors.
 */
import type { Cluster } from '../cluster/cluster.ts';
import type { LogRecord } from '../http/request-view.ts';
import type { AddressSpec } from '../model/listener.ts';
import type { AccessLogSpec } from '../model/log.ts';
import type { UpstreamTlsSpec } from '../model/tls.ts';
import type { ConnectionInfo, Stream, StreamHandler } from '../net/stream.ts';
import type { RouteTable } from '../route/route-table.ts';

/** A timer of the wheel (resolution 10 ms, late rather than early). Cancel is O(1); handles are reused after firing. */
export interface TimerHandle {
  cancel(): void;
}

export interface LoopClock {
  /** Monotonic milliseconds, read once per turn of the loop: free. */
  readonly nowMs: number;
  /** Wall-clock milliseconds of this turn. */
  readonly wallMs: number;
}

export interface Timers {
  after(delayMs: number, call: () => void): TimerHandle;
}

export interface DialOptions {
  readonly address: AddressSpec;
  /** null is plaintext. */
  readonly tls: UpstreamTlsSpec | null;
  readonly sni: string;
  readonly connectTimeoutMs: number;
  readonly bufferLimitBytes: number;
  /** Source address, or null. */
  readonly bind: string | null;
  readonly keepalive: { readonly probes: number; readonly timeS: number; readonly intervalS: number } | null;
  /** Offered in the TLS handshake instead of what the context says; absent leaves it. */
  readonly alpn?: readonly string[];
  /** For the edge table: the cluster's name. */
  readonly target: string;
  /** For whom: a cluster that sends a PROXY header needs to know. Absent where one connection serves many. */
  readonly downstream?: ConnectionInfo;
}

export interface WorkerRuntime {
  readonly clock: LoopClock;
  readonly timers: Timers;
  /** [0, 1); seeded in tests. */
  readonly random: () => number;
  readonly slots: Float64Array;
  /** The shared read buffer, readHeadroom + readCapacity + readTailroom bytes. */
  readonly readBuffer: Buffer;
  cluster(name: string): Cluster | undefined;
  routes(name: string): RouteTable | undefined;
  /** Never throws: a failure comes as onClosed in a later turn. */
  dial(options: DialOptions, handler: StreamHandler): Stream;
  /** Runs at the end of this turn, when no handler is at work in the read buffer. */
  defer(work: () => void): void;
  /** Puts one line for each sink in the log ring; a full ring drops and counts. */
  logAccess(sinks: readonly AccessLogSpec[], record: LogRecord): void;
  /** A line about what every worker sees, told by one of them, to a path as of an access log. */
  logEvent(path: string, line: string): void;
  /** Whether new requests on connections of this direction should be answered with Connection: close. */
  draining(direction: 'inbound' | 'outbound' | 'unspecified'): boolean;
}
