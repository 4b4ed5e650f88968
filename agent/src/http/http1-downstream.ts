/**
 * A client's HTTP/1.1 connection: takes requests out of its bytes, one at a time, and hands each to an exchange. Longer
 * than most files because it is one state machine; how answers go out stands in http1-answer.ts.
 * Invariants: there is at most one exchange; bytes behind a complete request are held until its answer is out, and then
 * parsed and authorised like any others; nothing goes on after an answer that closes.
 */
import type { Head } from '../http1/head.ts';
import { token } from '../http1/known-headers.ts';
import { parseRequestHead } from '../http1/parse-head.ts';
import { rejected } from '../http1/rejection.ts';
import type { Edge } from '../net/edge.ts';
import {
  type CloseReason,
  type ConnectionInfo,
  readCapacity,
  readEof,
  readHeadroom,
  type Side,
  type Stream,
  type StreamHandler,
  sideOf,
} from '../net/stream.ts';
import type { Framing } from './body-framing.ts';
import { BodyReader } from './body-reader.ts';
import { countClosed, countEnd, countOpened } from './connection-count.ts';
import { ConnectionDeadlines } from './connection-deadlines.ts';
import type { Downstream, ExchangeEnd } from './downstream.ts';
import type { Exchange } from './exchange.ts';
import type { ExchangePool } from './exchange-pool.ts';
import { Http1Answer } from './http1-answer.ts';
import { Http2Downstream } from './http2-downstream.ts';
import { matchPreface } from './http2-preface.ts';
import type { Manager } from './manager.ts';
import { serve } from './serve.ts';
import { Stash } from './stash.ts';
import { upgradeOf } from './upgrade-of.ts';

/** More than this is not held for later; the client waits. */
const maxHeldBytes = 65_536;

export class Http1Downstream implements StreamHandler, Downstream {
  readonly protocol = 'http1';
  readonly joinsAnswer = true;
  readonly stream: Stream;
  readonly #manager: Manager;
  readonly #exchanges: ExchangePool;
  readonly #body = new BodyReader();
  readonly #stash = new Stash();
  readonly #answer: Http1Answer;
  readonly #deadlines: ConnectionDeadlines;
  #exchange: Exchange | null = null;
  #consuming = false;
  closed = false;
  #served = 0;
  #sniffs: boolean;
  #counted = false;
  #draining = false;
  #requestClose = false;
  /** A first answer of 101 holds what the client sends ahead. */
  #holdAhead = false;

  /** sniffs: a client that begins with the preface of HTTP/2 gets that. */
  constructor(stream: Stream, manager: Manager, exchanges: ExchangePool, sniffs: boolean) {
    const { runtime, spec } = manager;
    this.stream = stream;
    this.#manager = manager;
    this.#exchanges = exchanges;
    this.#sniffs = sniffs;
    this.#answer = new Http1Answer(stream, manager.http1Writer);
    this.#deadlines = new ConnectionDeadlines(runtime.clock, runtime.timers, this);
    countOpened(manager, stream);
    if (!sniffs) this.#countProtocol();
    this.#deadlines.setLife(spec.maxConnectionDurationMs);
    this.#deadlines.setIdle(spec.idleTimeoutMs);
  }

  #countProtocol(): void {
    const manager = this.#manager;
    this.#sniffs = false;
    this.#counted = true;
    manager.count(manager.at.downstream_cx_http1_total);
    manager.count(manager.at.downstream_cx_http1_active);
  }

  get readBuffer(): Buffer {
    return this.#manager.runtime.readBuffer;
  }

  get info(): ConnectionInfo {
    return this.stream.info;
  }

  get edge(): Edge | null {
    return this.stream.edge;
  }

  get queued(): number {
    return this.stream.queued;
  }

  /** What is queued has paused the upstream already. */
  waitForRoom(): boolean {
    return false;
  }

  get requestComplete(): boolean {
    return this.#body.done;
  }

  /** Body bytes come in no frames. */
  joinRequest(): void {}

  pauseRequest(): void {
    this.stream.pauseRead();
  }

  resumeRequest(): void {
    this.stream.resumeRead();
  }

  settleClose(asked: boolean): boolean {
    const answer = this.#answer;
    const { manager } = this.#current();
    if (asked || this.#wantsClose() || !this.#body.done) answer.closes = true;
    else if (manager.draining) {
      manager.count(manager.at.downstream_cx_drain_close);
      answer.closes = true;
    }
    return answer.closes;
  }

  #wantsClose(): boolean {
    const max = this.#manager.spec.maxRequestsPerConnection;
    return this.#requestClose || this.#draining || (max > 0 && this.#served >= max);
  }

  #current(): Exchange {
    if (this.#exchange === null) throw new Error('downstream connection: an answer without a request');
    return this.#exchange;
  }

  sendInformational(head: Head): void {
    this.#answer.informational(head);
  }

  sendReply(head: Head, body: Uint8Array): void {
    this.#answer.reply(head, body);
  }

  sendHead(_head: Head, framing: Framing, start: number, end: number, last: boolean, trailers: Head | null): void {
    this.#answer.head(this.#current(), framing, start, end, last, trailers);
  }

  sendData(start: number, end: number, last: boolean, trailers: Head | null): void {
    this.#answer.data(start, end, last, trailers);
  }

  sendUpgrade(head: Head): void {
    this.#answer.upgrade(head);
    this.#body.begin('close', 0);
    this.#holdAhead = false;
    this.#goOnLater();
  }

  onConnected(): void {}

  onReadable(stream: Stream): void {
    for (;;) {
      if (this.#exchange?.router.waitsForUpstream() === true) {
        stream.pauseRead();
        return;
      }
      const n = stream.read(readHeadroom, readCapacity);
      if (n <= 0) {
        if (n === readEof) this.#onEof();
        return;
      }
      this.#manager.count(this.#manager.at.downstream_cx_rx_bytes_total, n);
      this.#received(readHeadroom, readHeadroom + n);
      if (stream.handler !== this) {
        if (!stream.dead && stream.more(n, readCapacity)) stream.handler.onReadable(stream);
        return;
      }
      if (this.closed || stream.readPaused || !stream.more(n, readCapacity)) return;
    }
  }

  #received(start: number, end: number): void {
    const stash = this.#stash;
    if (this.#sniffs) {
      this.#sniff(start, end);
      return;
    }
    if (stash.length === 0) {
      this.#consume(start, end);
      return;
    }
    stash.push(this.readBuffer, start, end);
    if (this.#exchange !== null) this.#pauseWhenFull();
    else if (stash.takeLineEnd() || stash.length > this.#manager.limits.maxBytes) {
      this.#consume(stash.popBefore(this.readBuffer, end), end);
    }
  }

  /** The first bytes decide between the versions of HTTP. */
  #sniff(start: number, end: number): void {
    const stash = this.#stash;
    const from = stash.popBefore(this.readBuffer, start);
    const verdict = matchPreface(this.readBuffer, from, end);
    if (verdict === 'part') {
      stash.push(this.readBuffer, from, end);
      this.#deadlines.startHead(this.#manager.spec.requestHeadersTimeoutMs);
    } else if (verdict === 'no') {
      this.#countProtocol();
      this.#consume(from, end);
    } else {
      this.closed = true;
      this.#deadlines.stop();
      new Http2Downstream(this.stream, this.#manager, this.#exchanges).received(from, end);
    }
  }

  /** Works off [start, end) of the read buffer as far as possible and keeps the rest. */
  #consume(start: number, end: number): void {
    this.#consuming = true;
    let p = start;
    while (p < end && !this.closed) {
      if (this.#exchange === null) p = this.#beginRequest(p, end);
      else if (!this.#body.done) p = this.#continueBody(this.#exchange, p, end);
      else {
        this.#stash.push(this.readBuffer, p, end);
        this.#pauseWhenFull();
        break;
      }
    }
    this.#consuming = false;
  }

  #pauseWhenFull(): void {
    if (this.#holdAhead || this.#stash.length >= maxHeldBytes) this.stream.pauseRead();
  }

  /** The position after the head and what of its body is there; `end` when everything was kept or dropped. */
  #beginRequest(from: number, end: number): number {
    const buffer = this.readBuffer;
    const start = this.#skipLineEnds(from, end);
    if (start >= end) return end;
    const exchange = this.#exchanges.take();
    const head = exchange.requestHead;
    const length = parseRequestHead(buffer, start, end, head, this.#manager.limits);
    if (length === 0) {
      this.#exchanges.give(exchange);
      this.#holdHead(start, end);
      return end;
    }
    this.#start(exchange);
    if (length < 0) {
      this.#refuse(exchange, length);
      return end;
    }
    head.take(buffer, start);
    return this.#serve(exchange, head, start + length, end);
  }

  /** Empty lines before a request are passed over (RFC 9112 section 2.2). */
  #skipLineEnds(from: number, end: number): number {
    const buffer = this.readBuffer;
    let p = from;
    while (p + 1 < end && buffer[p] === 13 && buffer[p + 1] === 10) p += 2;
    if (p + 1 !== end || buffer[p] !== 13) return p;
    this.#stash.push(buffer, p, end);
    return end;
  }

  #holdHead(start: number, end: number): void {
    this.#stash.push(this.readBuffer, start, end);
    this.#stash.takeLineEnd();
    this.#deadlines.startHead(this.#manager.spec.requestHeadersTimeoutMs);
  }

  #start(exchange: Exchange): void {
    const manager = this.#manager.latest;
    const { spec } = manager;
    this.#exchange = exchange;
    const own = this.#manager;
    if (++this.#served === own.spec.maxRequestsPerConnection) own.count(own.at.downstream_cx_max_requests_reached);
    this.#deadlines.busy();
    this.#answer.begin();
    this.#requestClose = false;
    this.#holdAhead = false;
    exchange.begin(manager, this);
    manager.count(manager.at.downstream_rq_http1_total);
    if (manager !== this.#manager) exchange.closeAfter();
    exchange.deadlines.begin(spec.requestTimeoutMs, spec.streamIdleTimeoutMs);
    if (spec.maxStreamDurationMs) exchange.deadlines.setLife(spec.maxStreamDurationMs);
  }

  #refuse(exchange: Exchange, code: number): void {
    this.#body.begin('close', 0);
    exchange.reject(code);
  }

  #serve(exchange: Exchange, head: Head, next: number, end: number): number {
    const { spec, limits } = this.#manager;
    exchange.parsed();
    if (head.version === 10) {
      this.#answer.asHttp10();
      if (!spec.acceptHttp10) {
        this.#refuse(exchange, rejected.lowVersion);
        return end;
      }
      if (!head.has(token.host)) {
        if (spec.defaultHostForHttp10 === '') {
          this.#refuse(exchange, rejected.missingHost);
          return end;
        }
        head.add('host', spec.defaultHostForHttp10);
      }
    }
    this.#requestClose = head.connectionClose || (head.version === 10 && !head.connectionKeepAlive);
    const framing: Framing = head.chunked ? 'chunked' : head.contentLength >= 0 ? 'length' : 'none';
    const body = this.#body;
    body.begin(framing, head.contentLength);
    const after = body.take(this.readBuffer, next, end, limits);
    if (after < 0) {
      this.#refuse(exchange, after);
      return end;
    }
    exchange.bytesReceived += body.end - body.start;
    if (body.done) this.#requestDone(exchange);
    const upgrade = upgradeOf(head);
    this.#holdAhead = upgrade !== '';
    serve(exchange, { framing, start: body.start, end: body.end, last: body.done }, upgrade);
    return after;
  }

  #requestDone(exchange: Exchange): void {
    exchange.requestTrailers = this.#body.trailers;
    exchange.requestDone();
  }

  #continueBody(exchange: Exchange, start: number, end: number): number {
    const body = this.#body;
    const after = body.take(this.readBuffer, start, end, this.#manager.limits);
    if (after < 0) {
      this.#onBadBody(exchange, after);
      return end;
    }
    exchange.bytesReceived += body.end - body.start;
    exchange.deadlines.touch();
    if (body.done) this.#requestDone(exchange);
    if (body.done || body.end > body.start) exchange.router.requestData(body.start, body.end, body.done);
    return after;
  }

  #onBadBody(exchange: Exchange, code: number): void {
    if (exchange.responseStarted) {
      this.#manager.count(this.#manager.at.downstream_cx_protocol_error);
      exchange.abort('DPE', 'http1.codec_error');
    } else exchange.reject(code);
  }

  exchangeDone(end: ExchangeEnd): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    this.#exchange = null;
    this.#exchanges.give(exchange);
    // An end of the connection would look like the end of such a body; a reset does not.
    if (end === 'aborted' && this.#answer.endsByClosing) this.stream.reset();
    if (end !== 'answered' || this.#answer.closes || !this.#body.done || this.closed) {
      this.#close(end === 'gone');
      return;
    }
    this.#deadlines.setIdle(this.#manager.spec.idleTimeoutMs);
    if (!this.#consuming) this.#goOnLater();
  }

  /** The next request may be here already. Others may be at work in the read buffer, so it has to wait for its turn. */
  #goOnLater(): void {
    if (this.#stash.length > 0) this.#manager.runtime.defer(() => this.#goOn());
    else if (this.stream.readPaused) this.stream.resumeRead();
  }

  #goOn(): void {
    if (this.closed) return;
    if (this.#stash.length > 0 && (this.#exchange === null || !this.#body.done)) {
      const end = readHeadroom + readCapacity;
      this.#consume(this.#stash.lendBefore(this.readBuffer, end), end);
      this.#stash.release();
    }
    if (!this.closed && this.stream.readPaused && (this.#exchange === null || !this.#body.done)) {
      this.stream.resumeRead();
    }
  }

  /**
   * Lets the answer out first; a client that may still send is listened to until it has read it (RFC 9112 section 9.6).
   * Nothing more comes from one that asked for the close.
   */
  #close(isGone: boolean): void {
    if (this.closed) return;
    const isOver = this.#requestClose && this.#body.done && this.#stash.length === 0;
    this.#forget(isGone ? 'remote' : 'local', isGone);
    this.stream.closeAfterFlush(isOver ? 0 : this.#manager.spec.delayedCloseTimeoutMs);
  }

  #closeNow(end: Side): void {
    if (this.closed) return;
    this.#forget(end, false);
    this.stream.close();
  }

  #forget(end: Side, isCut: boolean): void {
    const manager = this.#manager;
    this.closed = true;
    this.#deadlines.stop();
    this.#stash.clear();
    countEnd(manager, end, isCut);
    countClosed(manager, this.stream);
    if (this.#counted) manager.count(manager.at.downstream_cx_http1_active, -1);
  }

  /** A client that ends its side takes no answer any more, as with Envoy. */
  #onEof(): void {
    const exchange = this.#exchange;
    if (exchange === null) {
      this.#closeNow('remote');
      return;
    }
    if (this.#answer.isTunnel) {
      this.#endTunnelled(exchange);
      return;
    }
    exchange.downstreamGone('DC', 'downstream_remote_disconnect');
  }

  /** What a client sends through a tunnel ends for itself. */
  #endTunnelled(exchange: Exchange): void {
    this.#body.done = true;
    exchange.router.requestData(readHeadroom, readHeadroom, true);
  }

  onClosed(_stream: Stream, reason: CloseReason): void {
    const exchange = this.#exchange;
    if (!this.closed) this.#forget(sideOf(reason), exchange !== null);
    exchange?.downstreamGone('DC', 'downstream_remote_disconnect');
  }

  onDrained(): void {
    this.#exchange?.router.onDownstreamDrained();
  }

  onHeadTimeout(): void {
    const { at } = this.#manager;
    this.#manager.count(at.downstream_rq_header_timeout);
    const exchange = this.#exchanges.take();
    exchange.requestHead.reset();
    this.#start(exchange);
    this.#body.begin('close', 0);
    exchange.reply({ status: 408, body: 'request header timeout' }, '', 'request_header_timeout');
  }

  /** A connection that has served gets the drain time on top, so that a request on its way is still answered. */
  onIdle(): void {
    if (this.#served > 0 && !this.#draining) {
      this.#draining = true;
      this.#deadlines.setIdle(this.#manager.spec.drainTimeoutMs);
      return;
    }
    this.#manager.count(this.#manager.at.downstream_cx_idle_timeout);
    this.#closeNow('local');
  }

  /** The next answer closes the connection. */
  onLifeEnd(): void {
    this.#draining = true;
    if (this.#exchange === null) this.#deadlines.setIdle(this.#manager.spec.drainTimeoutMs);
  }
}
