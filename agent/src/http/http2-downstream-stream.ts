/**
 * The client's side of one exchange on HTTP/2: one stream of a connection. Pooled. A request is served when its head has
 * come and whatever of its body came right behind it, so that both go on together.
 * Invariant: from `exchangeDone` on it belongs to nobody; what the codec still has queued goes out without it.
 */
import { Head } from '../http1/head.ts';
import { errorCode } from '../http2/frame.ts';
import type { HeldBack } from '../http2/host.ts';
import { type Http2Stream, type Http2StreamEvents, ignoringEvents, type ResetCause } from '../http2/stream.ts';
import type { Edge } from '../net/edge.ts';
import type { ConnectionInfo } from '../net/stream.ts';
import type { Framing } from './body-framing.ts';
import { dropForbiddenTrailers } from './body-reader.ts';
import type { Downstream, ExchangeEnd } from './downstream.ts';
import type { Exchange } from './exchange.ts';
import { asUpgrade } from './extended-connect.ts';
import type { Http2Downstream } from './http2-downstream.ts';
import type { Manager } from './manager.ts';
import { serve } from './serve.ts';

/** Not read from: the head of a request without a body goes out from a buffer of its own. */
const nowhere = 0;

export class Http2DownstreamStream implements Downstream, Http2StreamEvents, HeldBack {
  readonly protocol = 'http2';
  readonly joinsAnswer = false;
  requestComplete = false;
  #connection: Http2Downstream | null = null;
  #stream: Http2Stream | null = null;
  #exchange: Exchange | null = null;
  #trailers: Head | null = null;
  /** The request is not served yet. */
  #held = false;
  /** Told to whoever serves the request; good for that call. */
  readonly #body: { framing: Framing; start: number; end: number; last: boolean } = {
    framing: 'none',
    start: nowhere,
    end: nowhere,
    last: true,
  };

  /** Serves the request whose head the codec holds. */
  begin(connection: Http2Downstream, manager: Manager, stream: Http2Stream, exchange: Exchange, last: boolean): void {
    this.#connection = connection;
    this.#stream = stream;
    this.#exchange = exchange;
    this.requestComplete = last;
    stream.events = this;
    exchange.begin(manager, this);
    manager.count(manager.at.downstream_rq_http2_total);
    exchange.deadlines.begin(manager.spec.requestTimeoutMs, manager.spec.streamIdleTimeoutMs);
    if (manager.spec.maxStreamDurationMs) exchange.deadlines.setLife(manager.spec.maxStreamDurationMs);
    exchange.setRequestHead(connection.host.takeHead(exchange.requestHead));
    exchange.parsed();
    if (last) exchange.requestDone();
    const head = exchange.requestHead;
    const upgrade = asUpgrade(head, manager.runtime.random);
    this.#body.framing = head.contentLength >= 0 ? 'length' : last || upgrade !== '' ? 'none' : 'chunked';
    this.#held = !last && upgrade === '';
    if (this.#held) connection.host.holdBack(this);
    else this.#serve(exchange, nowhere, nowhere, last, upgrade);
  }

  #serve(exchange: Exchange, start: number, end: number, last: boolean, upgrade: string): void {
    this.#held = false;
    const body = this.#body;
    body.start = start;
    body.end = end;
    body.last = last;
    serve(exchange, body, upgrade);
  }

  /** Nothing of the body came along. */
  goOn(): void {
    const exchange = this.#exchange;
    if (this.#held && exchange !== null) this.#serve(exchange, nowhere, nowhere, false, '');
  }

  get info(): ConnectionInfo {
    return this.#owner().socket.info;
  }

  get edge(): Edge | null {
    return this.#owner().socket.edge;
  }

  get queued(): number {
    return this.#stream?.queued ?? 0;
  }

  waitForRoom(): boolean {
    return this.#stream?.waitForRoom() ?? false;
  }

  #owner(): Http2Downstream {
    if (this.#connection === null) throw new Error('HTTP/2 stream: used after its end');
    return this.#connection;
  }

  joinRequest(joins: boolean): void {
    if (this.#stream !== null) this.#stream.sink = joins ? 'bytes' : 'frames';
  }

  pauseRequest(): void {
    this.#stream?.pauseRead();
  }

  resumeRequest(): void {
    this.#stream?.resumeRead();
  }

  /** An answer ends its stream only; a connection that is to end says so in GOAWAY. */
  settleClose(_asked: boolean): boolean {
    this.#owner().onAnswer();
    return false;
  }

  sendInformational(head: Head): void {
    this.#stream?.sendHead(head, false);
  }

  sendReply(head: Head, body: Uint8Array): void {
    const stream = this.#stream;
    if (stream === null) return;
    stream.sendHead(head, body.length === 0);
    if (body.length > 0) stream.sendData(body as Buffer, 0, body.length, true);
  }

  sendHead(head: Head, _framing: Framing, start: number, end: number, last: boolean, trailers: Head | null): void {
    const stream = this.#stream;
    if (stream === null) return;
    const ends = last && end === start && trailers === null;
    stream.sendHead(head, ends);
    if (!ends && (last || end > start)) this.sendData(start, end, last, trailers);
  }

  sendData(start: number, end: number, last: boolean, trailers: Head | null): void {
    const stream = this.#stream;
    if (stream === null) return;
    const ends = last && trailers === null;
    if (end > start || ends) stream.sendData(this.#owner().host.readBuffer, start, end, ends);
    if (last && trailers !== null) stream.sendTrailers(trailers);
  }

  /** RFC 8441 section 5: a 200 is what 101 is in HTTP/1.1. */
  sendUpgrade(head: Head): void {
    const { status } = head;
    if (status === 101) head.status = 200;
    this.#stream?.sendHead(head, false);
    head.status = status;
  }

  exchangeDone(end: ExchangeEnd): void {
    const exchange = this.#exchange;
    const connection = this.#connection;
    const stream = this.#stream;
    if (exchange === null || connection === null) return;
    this.#exchange = null;
    this.#stream = null;
    this.#connection = null;
    this.#held = false;
    if (stream !== null) {
      stream.events = ignoringEvents;
      if (end === 'aborted' || end === 'refused') stream.reset(errorCode.internalError);
      else if (end === 'answered' && !this.requestComplete) stream.reset(errorCode.noError);
    }
    connection.streamDone(this, stream, exchange);
  }

  onHead(): void {}

  onData(_stream: Http2Stream, start: number, end: number, last: boolean): void {
    // An end by itself stays one: there are gRPC servers that wait for it, whatever the head said.
    if (start === end) this.goOn();
    const exchange = this.#exchange;
    if (exchange === null) return;
    exchange.bytesReceived += end - start;
    exchange.deadlines.touch();
    if (last) this.#complete(exchange);
    if (this.#held) {
      this.#owner().host.takeBack();
      this.#serve(exchange, start, end, last, '');
    } else exchange.router.requestData(start, end, last);
  }

  onTrailers(_stream: Http2Stream, _head: Head): void {
    this.goOn();
    const exchange = this.#exchange;
    if (exchange === null) return;
    const { host } = this.#owner();
    this.#trailers = host.takeHead(this.#trailers ?? new Head());
    dropForbiddenTrailers(this.#trailers);
    exchange.requestTrailers = this.#trailers;
    exchange.deadlines.touch();
    this.#complete(exchange);
    exchange.router.requestData(nowhere, nowhere, true);
  }

  #complete(exchange: Exchange): void {
    this.requestComplete = true;
    exchange.requestDone();
  }

  onReset(_stream: Http2Stream, code: number, cause: ResetCause): void {
    const exchange = this.#exchange;
    this.#stream = null;
    if (exchange === null) return;
    if (cause === 'connection') {
      if (code === errorCode.noError) exchange.downstreamGone('DC', 'downstream_remote_disconnect');
      else exchange.downstreamGone('DPE', 'http2.protocol_error');
    } else if (cause === 'local') exchange.downstreamGone('DPE', 'http2.violation.of.messaging.rule');
    else exchange.downstreamGone('DR', cause === 'refused' ? 'http2.remote_refuse' : 'http2.remote_reset');
  }

  onDrained(): void {
    this.#exchange?.router.onDownstreamDrained();
  }
}
