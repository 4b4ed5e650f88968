/**
 * A client's HTTP/2 connection: gives each stream an exchange, and ends in a way that loses no request (GOAWAY twice)
 * when its time is over, it lies idle, or the agent is draining.
 */
import type { Head } from '../http1/head.ts';
import { Http2Connection, type Http2ConnectionEvents } from '../http2/connection.ts';
import { errorCode } from '../http2/frame.ts';
import type { Http2Host } from '../http2/host.ts';
import { http2HostOf } from '../http2/host-of.ts';
import type { Http2Stream } from '../http2/stream.ts';
import { type CloseReason, type Stream, sideOf } from '../net/stream.ts';
import { FreeList } from '../worker/free-list.ts';
import { perWorker } from '../worker/per-worker.ts';
import type { TimerHandle } from '../worker/runtime.ts';
import { countClosed, countEnd } from './connection-count.ts';
import { type ConnectionDeadlineOwner, ConnectionDeadlines } from './connection-deadlines.ts';
import type { Exchange } from './exchange.ts';
import type { ExchangePool } from './exchange-pool.ts';
import { FlushWatch } from './flush-watch.ts';
import { Http2DownstreamStream } from './http2-downstream-stream.ts';
import type { Manager } from './manager.ts';

const freeStreamsOf = perWorker(({ timers }) => new FreeList(() => new Http2DownstreamStream(), timers));

export class Http2Downstream implements Http2ConnectionEvents, ConnectionDeadlineOwner {
  readonly socket: Stream;
  readonly host: Http2Host;
  closed = false;
  readonly #manager: Manager;
  readonly #exchanges: ExchangePool;
  readonly #streams: FreeList<Http2DownstreamStream>;
  readonly #http2: Http2Connection;
  readonly #deadlines: ConnectionDeadlines;
  readonly #flushes: FlushWatch;
  #active = 0;
  #served = 0;
  #bytesCounted = 0;
  #draining = false;
  #drainTimer: TimerHandle | null = null;

  /** For a connection that is counted already. */
  constructor(socket: Stream, manager: Manager, exchanges: ExchangePool) {
    const { runtime, spec, at } = manager;
    this.socket = socket;
    this.host = http2HostOf(runtime);
    this.#manager = manager;
    this.#exchanges = exchanges;
    this.#bytesCounted = socket.bytesReceived;
    this.#streams = freeStreamsOf(runtime);
    this.#deadlines = new ConnectionDeadlines(runtime.clock, runtime.timers, this);
    this.#flushes = new FlushWatch(runtime.clock, runtime.timers, spec.streamIdleTimeoutMs, manager.http2Counters);
    manager.count(at.downstream_cx_http2_total);
    manager.count(at.downstream_cx_http2_active);
    this.#deadlines.setLife(spec.maxConnectionDurationMs);
    this.#deadlines.setIdle(spec.idleTimeoutMs);
    this.#http2 = new Http2Connection(this.host, socket, 'server', manager.http2, manager.http2Counters, this);
    this.#http2.start();
  }

  /** Bytes of the client that were read already, in [start, end) of the read buffer. */
  received(start: number, end: number): void {
    this.#http2.received(start, end);
  }

  onConnected(): void {}

  onCapacity(): void {}

  onGoaway(): void {}

  onStream(stream: Http2Stream, _head: Head, last: boolean): void {
    const own = this.#manager;
    const manager = own.latest;
    const max = own.spec.maxRequestsPerConnection;
    this.#active++;
    this.#served++;
    this.#deadlines.busy();
    if (max > 0 && this.#served === max) {
      own.count(own.at.downstream_cx_max_requests_reached);
      this.#drain();
    } else if (manager !== own) this.#drain();
    else this.#drainWithListener();
    this.#streams.take().begin(this, manager, stream, this.#exchanges.take(), last);
  }

  /** A final head is about to go out. */
  onAnswer(): void {
    this.#drainWithListener();
  }

  #drainWithListener(): void {
    const manager = this.#manager;
    if (this.#draining || !manager.draining) return;
    manager.count(manager.at.downstream_cx_drain_close);
    this.#drain();
  }

  streamDone(end: Http2DownstreamStream, stream: Http2Stream | null, exchange: Exchange): void {
    this.#streams.give(end);
    this.#exchanges.give(exchange);
    if (stream !== null) this.#flushes.watch(stream);
    this.#countBytes();
    if (--this.#active === 0 && !this.closed) this.#deadlines.setIdle(this.#manager.spec.idleTimeoutMs);
  }

  #countBytes(): void {
    const { bytesReceived } = this.socket;
    this.#manager.count(this.#manager.at.downstream_cx_rx_bytes_total, bytesReceived - this.#bytesCounted);
    this.#bytesCounted = bytesReceived;
  }

  #drain(): void {
    if (this.#draining || this.closed) return;
    this.#draining = true;
    this.#http2.drain();
    const { spec, runtime } = this.#manager;
    this.#drainTimer = runtime.timers.after(spec.drainTimeoutMs, () => {
      this.#drainTimer = null;
      this.#http2.finishDrain();
    });
  }

  onHeadTimeout(): void {}

  onIdle(): void {
    this.#manager.count(this.#manager.at.downstream_cx_idle_timeout);
    this.#drain();
  }

  onLifeEnd(): void {
    this.#manager.count(this.#manager.at.downstream_cx_max_duration_reached);
    this.#drain();
  }

  onEnding(_connection: Http2Connection, reason: CloseReason, code: number): void {
    const manager = this.#manager;
    countEnd(manager, sideOf(reason), this.#active > 0);
    if (code !== errorCode.noError) manager.count(manager.at.downstream_cx_protocol_error);
  }

  onClosed(): void {
    const manager = this.#manager;
    this.closed = true;
    this.#deadlines.stop();
    this.#flushes.stop();
    this.#drainTimer?.cancel();
    this.#drainTimer = null;
    this.#countBytes();
    countClosed(manager, this.socket);
    manager.count(manager.at.downstream_cx_http2_active, -1);
  }
}
