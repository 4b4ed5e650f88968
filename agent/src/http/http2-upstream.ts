/**
 * One HTTP/2 connection to an upstream: opens a stream for each request, and takes no more of
 * them once the peer says so, the cluster's limit is reached, or the host is gone.
 */
import type { Head } from '../http1/head.ts';
import { Http2Connection, type Http2ConnectionEvents } from '../http2/connection.ts';
import { errorCode } from '../http2/frame.ts';
import type { Http2Host } from '../http2/host.ts';
import { http2HostOf } from '../http2/host-of.ts';
import type { Http2Stream, Http2StreamEvents } from '../http2/stream.ts';
import { type CloseReason, type Stream, sideOf } from '../net/stream.ts';
import { clusterStat } from '../stats/layout.ts';
import { FreeList } from '../worker/free-list.ts';
import { perWorker } from '../worker/per-worker.ts';
import type { Http2Pool } from './http2-pool.ts';
import { Http2UpstreamStream } from './http2-upstream-stream.ts';
import { LazyTimer } from './lazy-timer.ts';
import type { UpstreamUser } from './upstream-request.ts';

const { at } = clusterStat;

const freeStreamsOf = perWorker(({ timers }) => new FreeList(() => new Http2UpstreamStream(), timers));

export class Http2Upstream implements Http2ConnectionEvents {
  readonly pool: Http2Pool;
  readonly sni: string;
  readonly admitted: boolean;
  readonly host: Http2Host;
  readonly stream: Stream;
  readonly #streams: FreeList<Http2UpstreamStream>;
  readonly #http2: Http2Connection;
  #idleTimer: LazyTimer | null = null;
  #active = 0;
  #served = 0;
  #rxCounted = 0;
  #txCounted = 0;

  /** admitted: counted by the circuit breaker of the cluster. */
  constructor(pool: Http2Pool, stream: Stream, sni: string, admitted: boolean) {
    this.pool = pool;
    this.stream = stream;
    this.sni = sni;
    this.admitted = admitted;
    this.host = http2HostOf(pool.runtime);
    this.#streams = freeStreamsOf(pool.runtime);
    this.#http2 = new Http2Connection(this.host, stream, 'client', pool.options, pool.counters, this);
    this.#http2.start();
    this.#becomeIdle();
  }

  /** How many requests it takes now. */
  get capacity(): number {
    return this.#http2.capacity;
  }

  /** Somebody waits: the pool hears of the next room from the codec, for which a stream may last longer than its request. */
  wantRoom(): void {
    this.#http2.wantCapacity();
  }

  /** Whether the peer has said what it allows. */
  get isSettled(): boolean {
    return this.#http2.gotSettings;
  }

  /** Whether the peer takes extended CONNECT. */
  get allowsConnect(): boolean {
    return this.#http2.peerAllowsConnect;
  }

  /** Serves nobody, and could. */
  get isIdle(): boolean {
    return this.#active === 0 && this.#http2.capacity > 0;
  }

  get hasServed(): boolean {
    return this.#served > 0;
  }

  get reused(): boolean {
    return this.#served > 1;
  }

  /** Begins a request. */
  open(head: Head, last: boolean, events: Http2StreamEvents): Http2Stream {
    const stream = this.#http2.open(head, last, events);
    // The pool gives a connection only as long as it has room.
    if (stream === null) throw new Error('HTTP/2 upstream: no room for a stream');
    return stream;
  }

  serve(user: UpstreamUser): void {
    this.#active++;
    this.#served++;
    this.#idleTimer?.set(Number.POSITIVE_INFINITY);
    this.#streams.take().begin(this, user);
    const { maxRequestsPerConnection } = this.pool.cluster.spec;
    if (maxRequestsPerConnection === 0 || this.#served !== maxRequestsPerConnection) return;
    this.pool.count(at.upstream_cx_max_requests);
    this.drain();
    this.pool.worn(this);
  }

  streamDone(end: Http2UpstreamStream): void {
    this.#streams.give(end);
    this.#active--;
    this.#countBytes();
    if (this.#active === 0) this.#becomeIdle();
  }

  #becomeIdle(): void {
    const { idleTimeoutMs } = this.pool.cluster.spec;
    if (idleTimeoutMs === 0) return;
    const { clock, timers } = this.pool.runtime;
    this.#idleTimer ??= new LazyTimer(clock, timers, () => {
      this.pool.count(at.upstream_cx_idle_timeout);
      this.drain();
    });
    this.#idleTimer.set(clock.nowMs + idleTimeoutMs);
  }

  #countBytes(): void {
    const { stream, pool } = this;
    pool.count(at.upstream_cx_rx_bytes_total, stream.bytesReceived - this.#rxCounted);
    pool.count(at.upstream_cx_tx_bytes_total, stream.bytesSent - this.#txCounted);
    this.#rxCounted = stream.bytesReceived;
    this.#txCounted = stream.bytesSent;
  }

  /** Takes no more requests, and ends with the last of those at hand. */
  drain(): void {
    this.#http2.drain();
  }

  onConnected(): void {}

  onStream(): void {}

  onCapacity(): void {
    this.pool.hasRoom(this);
  }

  /** An upgrade may have waited for them. */
  onSettings(): void {
    this.pool.runtime.defer(() => this.pool.hasRoom(this));
  }

  onGoaway(): void {
    this.pool.count(at.upstream_cx_close_notify);
    this.pool.worn(this);
  }

  onEnding(_connection: Http2Connection, reason: CloseReason, code: number): void {
    const { pool } = this;
    pool.countEnd(sideOf(reason), this.#active > 0);
    if (code !== errorCode.noError) pool.count(at.upstream_cx_protocol_error);
  }

  onClosed(): void {
    this.#idleTimer?.stop();
    this.#countBytes();
    this.pool.closed(this);
  }
}
