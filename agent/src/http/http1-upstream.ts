/**
 * One HTTP/1.1 connection to an upstream: reads answers for the request it works for and says when it can take another.
 * Invariants: what comes without a request outstanding ends the connection; it goes back to the pool only when request
 * and answer are complete, nothing came behind the answer, and both sides want to keep it.
 */
import type { Head } from '../http1/head.ts';
import { method, token } from '../http1/known-headers.ts';
import { parseResponseHead } from '../http1/parse-head.ts';
import type { Edge } from '../net/edge.ts';
import { nobody } from '../net/nobody.ts';
import {
  type CloseReason,
  type ConnectionInfo,
  type Delivery,
  readCapacity,
  readEof,
  readHeadroom,
  type Side,
  type Stream,
  type StreamHandler,
  sideOf,
} from '../net/stream.ts';
import { clusterStat } from '../stats/layout.ts';
import type { TimerHandle } from '../worker/runtime.ts';
import type { Framing } from './body-framing.ts';
import { BodyReader } from './body-reader.ts';
import type { Http1Pool } from './http1-pool.ts';
import { usableIdleMs } from './keep-alive-hint.ts';
import { isIdempotent } from './retry-policy.ts';
import { Stash } from './stash.ts';
import type { UpstreamFailure } from './upstream-failure.ts';
import type { UpstreamRequest, UpstreamUser } from './upstream-request.ts';

/** How long the last bytes of a tunnel may take. */
const tunnelFlushMs = 1000;
/** A reset that answers a request comes within a round trip; an acknowledgement may take 40 ms, and makes none of it. */
const lateResetMs = 200;
/** How the end of the connection looks to the request at hand. */
const terminations = {
  none: 'unread',
  undecided: 'connection-termination',
  unknown: 'connection-termination',
} as const satisfies Record<Delivery, UpstreamFailure>;
const { at } = clusterStat;

export class Http1Upstream implements StreamHandler, UpstreamRequest {
  readonly pool: Http1Pool;
  readonly sni: string;
  /** Counted by the circuit breaker of the cluster. */
  readonly admitted: boolean;
  stream: Stream | null = null;
  idleSinceMs = 0;
  /** How long it may lie idle by the upstream's own word. */
  usableIdleMs = Number.POSITIVE_INFINITY;
  /** It has served a request before this one. */
  reused = false;
  /** A byte of the answer to the current request has come. */
  answered = false;
  readonly joinsRequest = true;
  readonly #body = new BodyReader();
  readonly #stash = new Stash();
  readonly #generation: number;
  readonly #startedMs: number;
  #user: UpstreamUser | null = null;
  /** How the request at hand is framed, and whether all of it was written. */
  #framing: Framing = 'none';
  #sent = false;
  #up = false;
  #headDone = false;
  #isTunnel = false;
  #keepAlive = false;
  #leftover = false;
  #served = 0;
  /** Of the stream, before the request at hand. */
  #sentBefore = 0;
  /** Runs while the upstream has ended and it is not known yet whether it has seen the request at hand. */
  #lateReset: TimerHandle | null = null;

  constructor(pool: Http1Pool, sni: string, admitted: boolean) {
    this.pool = pool;
    this.sni = sni;
    this.admitted = admitted;
    this.#generation = pool.generation;
    this.#startedMs = pool.runtime.clock.nowMs;
  }

  get info(): ConnectionInfo {
    return this.stream?.info ?? nobody;
  }

  get edge(): Edge | null {
    return this.stream?.edge ?? null;
  }

  get queued(): number {
    return this.stream?.queued ?? 0;
  }

  /** What is queued has paused the client already. */
  waitForRoom(): boolean {
    return false;
  }

  get trailers(): Head | null {
    return this.#body.trailers;
  }

  /** Starts to work for a request. */
  serve(user: UpstreamUser, reused: boolean): void {
    this.#user = user;
    this.reused = reused;
    this.answered = false;
    this.#sent = false;
    this.#headDone = false;
    this.#leftover = false;
    if (++this.#served === this.pool.cluster.spec.maxRequestsPerConnection)
      this.pool.count(at.upstream_cx_max_requests);
    this.#sentBefore = this.stream?.bytesSent ?? 0;
    user.onConnection(this);
  }

  /** Takes over a stream that is up. */
  adopt(stream: Stream): void {
    this.stream = stream;
    stream.handler = this;
    this.#up = true;
  }

  sendHead(
    head: Head,
    framing: Framing,
    from: Buffer,
    start: number,
    end: number,
    last: boolean,
    trailers: Head | null,
  ): void {
    const { stream, pool } = this;
    if (stream === null) return;
    this.#framing = framing;
    this.#sent = last;
    const { writer } = pool;
    const n =
      from === pool.runtime.readBuffer
        ? writer.head(stream, head, framing, start, end, last, trailers)
        : writer.headWith(stream, head, framing, from, start, end, last, trailers);
    pool.count(at.upstream_cx_tx_bytes_total, n);
  }

  sendData(from: Buffer, start: number, end: number, last: boolean, trailers: Head | null): void {
    const { stream, pool } = this;
    if (stream === null) return;
    this.#sent = last;
    const { writer } = pool;
    const n =
      from === pool.runtime.readBuffer
        ? writer.data(stream, this.#framing, start, end, last, trailers)
        : writer.dataOf(stream, this.#framing, from, start, end, last, trailers);
    pool.count(at.upstream_cx_tx_bytes_total, n);
    if (last && this.#isTunnel) stream.endWrite();
  }

  pauseAnswer(): void {
    this.stream?.pauseRead();
  }

  resumeAnswer(): void {
    this.stream?.resumeRead();
  }

  onConnected(): void {
    this.#up = true;
    this.pool.countConnect(this.#startedMs);
    this.pool.connected(this);
  }

  onReadable(stream: Stream): void {
    const buffer = this.pool.runtime.readBuffer;
    for (;;) {
      if (this.#headDone && this.#user?.waitsForDownstream() === true) {
        stream.pauseRead();
        return;
      }
      const n = stream.read(readHeadroom, readCapacity);
      if (n <= 0) {
        if (n === readEof) this.#onEof();
        return;
      }
      this.pool.count(at.upstream_cx_rx_bytes_total, n);
      const end = readHeadroom + n;
      if (this.#stash.length === 0) this.#consume(readHeadroom, end);
      else this.#resumeHead(buffer, end);
      if (stream.dead || stream.readPaused || stream.handler !== this || !stream.more(n, readCapacity)) return;
    }
  }

  /** The beginning of a head is kept; it is parsed again once another line has ended. */
  #resumeHead(buffer: Buffer, end: number): void {
    const stash = this.#stash;
    stash.push(buffer, readHeadroom, end);
    if (!stash.takeLineEnd() && stash.length <= this.pool.responseLimits.maxBytes) return;
    this.#consume(stash.popBefore(buffer, end), end);
  }

  #consume(start: number, end: number): void {
    let p = start;
    while (p < end && this.stream !== null) {
      const user = this.#user;
      if (user === null) {
        this.pool.count(at.upstream_cx_protocol_error);
        this.#dropIdle();
        return;
      }
      this.answered = true;
      p = this.#headDone ? this.#takeBody(user, p, end) : this.#takeHead(user, p, end);
      if (p < 0) return;
    }
  }

  /** Position after the head and the body bytes with it, or -1 when there is nothing more to do. */
  #takeHead(user: UpstreamUser, start: number, end: number): number {
    const buffer = this.pool.runtime.readBuffer;
    const head = user.responseHead;
    const length = parseResponseHead(buffer, start, end, head, this.pool.responseLimits);
    if (length === 0) {
      this.#stash.push(buffer, start, end);
      this.#stash.takeLineEnd();
      return -1;
    }
    if (length < 0) return this.#protocolError(user);
    head.take(buffer, start);
    const next = start + length;
    const isConnect = user.requestMethod === method.CONNECT;
    if (head.status === 101 && !isConnect) return this.#upgrade(user, next);
    if (head.status === 101) return this.#protocolError(user);
    if (head.status < 200) {
      user.onInformational();
      return next;
    }
    // A length means nothing here (RFC 9110 section 9.3.6).
    if (isConnect && head.status < 300) return this.#upgrade(user, next);
    this.#headDone = true;
    const framing = this.#framingOf(head, user.requestMethod);
    this.#keepAlive = framing !== 'close' && !head.connectionClose && (head.version === 11 || head.connectionKeepAlive);
    if (head.connectionClose || (head.version === 10 && !head.connectionKeepAlive)) {
      this.pool.count(at.upstream_cx_close_notify);
    }
    this.usableIdleMs = usableIdleMs(head);
    this.#body.begin(framing, head.contentLength);
    const after = this.#body.take(buffer, next, end, this.pool.responseLimits);
    if (after < 0) return this.#protocolError(user);
    const last = this.#body.done;
    this.#leftover = last && after < end;
    user.onResponseHead(framing, this.#body.start, this.#body.end, last);
    return last ? -1 : after;
  }

  #framingOf(head: Head, requestMethod: number): Framing {
    if (requestMethod === method.HEAD || head.status === 204 || head.status === 304) return 'none';
    if (head.chunked) return 'chunked';
    return head.contentLength >= 0 ? 'length' : 'close';
  }

  /** What follows are the bytes of a tunnel. */
  #upgrade(user: UpstreamUser, next: number): number {
    if (!user.wantsUpgrade) return this.#protocolError(user);
    this.#isTunnel = true;
    this.#headDone = true;
    this.#keepAlive = false;
    this.#framing = 'none';
    this.#body.begin('close', 0);
    user.responseHead.remove(token['content-length']);
    user.onUpgraded();
    return next;
  }

  #takeBody(user: UpstreamUser, start: number, end: number): number {
    const after = this.#body.take(this.pool.runtime.readBuffer, start, end, this.pool.responseLimits);
    if (after < 0) return this.#protocolError(user);
    const last = this.#body.done;
    this.#leftover = last && after < end;
    if (last || this.#body.end > this.#body.start) user.onResponseData(this.#body.start, this.#body.end, last);
    return last ? -1 : after;
  }

  #protocolError(user: UpstreamUser): number {
    this.pool.count(at.upstream_cx_protocol_error);
    this.closeLocal();
    user.onReset('protocol-error', '');
    return -1;
  }

  #detach(): void {
    this.#user = null;
    this.#lateReset?.cancel();
    this.#lateReset = null;
    this.#stash.clear();
  }

  #onEof(): void {
    const user = this.#user;
    if (user === null) {
      this.#dropIdle();
      return;
    }
    if (this.#headDone && this.#body.framing === 'close') {
      this.#keepAlive = false;
      user.onResponseData(readHeadroom, readHeadroom, true);
      return;
    }
    const delivered = this.#delivered();
    if (delivered === 'undecided' && this.#awaitsReset(user)) return;
    // As in Envoy, whose parser is told of the end: an answer that it cuts is malformed.
    if (this.#headDone || this.#stash.length > 0) this.pool.count(at.upstream_cx_protocol_error);
    this.#ended(user, this.#stash.length > 0 ? 'protocol-error' : terminations[delivered]);
  }

  #ended(user: UpstreamUser, failure: UpstreamFailure): void {
    this.#closed('remote');
    user.onReset(failure, '');
  }

  /** How much of the request at hand the upstream can have seen, now that its end was read. */
  #delivered(): Delivery {
    const { stream } = this;
    if (stream === null || !this.reused || this.answered) return 'unknown';
    return stream.delivered(stream.bytesSent - this.#sentBefore);
  }

  /** A request that does no harm twice need not wait: it is sent again in any case. */
  #awaitsReset(user: UpstreamUser): boolean {
    if (isIdempotent(user.requestHead.methodName())) return false;
    this.#lateReset ??= this.pool.runtime.timers.after(lateResetMs, () => {
      this.#lateReset = null;
      this.#ended(user, 'connection-termination');
    });
    return true;
  }

  #dropIdle(): void {
    this.pool.dropIdle(this);
    this.#closed('remote');
  }

  onClosed(stream: Stream, reason: CloseReason): void {
    const user = this.#user;
    if (!this.#up) {
      this.pool.connectFailed(this, reason, stream.failure);
      return;
    }
    const failure = terminations[this.#delivered()];
    this.pool.dropIdle(this);
    this.#detach();
    this.pool.countEnd(sideOf(reason), user !== null);
    this.pool.closed(this);
    if (user !== null) user.onReset(failure, stream.failure);
  }

  onDrained(): void {
    this.#user?.onUpstreamDrained();
  }

  /** The answer has been handed on: back to the pool, or the end. */
  release(): void {
    const stream = this.stream;
    if (this.#user === null || stream === null) return;
    this.#user = null;
    if (this.#isTunnel) {
      this.#closed('local', tunnelFlushMs);
      return;
    }
    const { maxRequestsPerConnection } = this.pool.cluster.spec;
    if (this.#leftover) this.pool.count(at.upstream_cx_protocol_error);
    const worn = maxRequestsPerConnection > 0 && this.#served >= maxRequestsPerConnection;
    const current = this.#generation === this.pool.generation;
    if (!this.#keepAlive || this.#leftover || worn || !current || !this.#sent || stream.queued > 0) {
      this.closeLocal();
      return;
    }
    if (stream.readPaused) stream.resumeRead();
    this.pool.release(this);
  }

  cancel(): void {
    // What had not arrived of a tunnel is missing at the other end, which has to notice.
    if (this.#isTunnel) this.stream?.reset();
    this.closeLocal();
  }

  /** The request was given up, or the connection is not wanted any more. */
  closeLocal(): void {
    this.#closed('local');
  }

  #closed(end: Side, flushMs = 0): void {
    const { stream } = this;
    const isCut = this.#user !== null;
    this.#detach();
    if (stream === null) return;
    this.stream = null;
    this.pool.countEnd(end, isCut);
    if (flushMs > 0) stream.closeAfterFlush(flushMs);
    else stream.close();
    this.pool.closed(this);
  }
}
