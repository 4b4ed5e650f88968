/**
 * The upstream's side of one exchange on HTTP/2: one stream of a connection. Pooled. An answer is told when its head has
 * come and whatever of its body came right behind it: what is written to an HTTP/1.1 client at once costs half.
 * Invariant: from its end on (release, cancel, reset) it belongs to nobody; what the codec still has queued goes out
 * without it.
 */
import { Head } from '../http1/head.ts';
import { method, token } from '../http1/known-headers.ts';
import { errorCode } from '../http2/frame.ts';
import type { HeldBack } from '../http2/host.ts';
import { type Http2Stream, type Http2StreamEvents, ignoringEvents, type ResetCause } from '../http2/stream.ts';
import type { Edge } from '../net/edge.ts';
import { nobody } from '../net/nobody.ts';
import type { ConnectionInfo } from '../net/stream.ts';
import { clusterStat } from '../stats/layout.ts';
import type { Framing } from './body-framing.ts';
import { dropForbiddenTrailers } from './body-reader.ts';
import { asSwitching, isExtendedConnect, sendAsConnect } from './extended-connect.ts';
import type { Http2Upstream } from './http2-upstream.ts';
import type { UpstreamFailure } from './upstream-failure.ts';
import type { UpstreamRequest, UpstreamUser } from './upstream-request.ts';

const { at } = clusterStat;

/** Not read from: an answer without a body needs no place in the read buffer. */
const nowhere = 0;

export class Http2UpstreamStream implements UpstreamRequest, Http2StreamEvents, HeldBack {
  reused = false;
  answered = false;
  readonly joinsRequest = false;
  trailers: Head | null = null;
  #connection: Http2Upstream | null = null;
  #user: UpstreamUser | null = null;
  #stream: Http2Stream | null = null;
  #spare: Head | null = null;
  /** The request was sent to its end. */
  #sent = false;
  /** The answer's head has not been told yet, and how its body is framed. */
  #held = false;
  #framing: Framing = 'none';

  begin(connection: Http2Upstream, user: UpstreamUser): void {
    this.#connection = connection;
    this.#user = user;
    this.reused = connection.reused;
    this.answered = false;
    this.trailers = null;
    this.#sent = false;
    this.#held = false;
    user.onConnection(this);
  }

  get info(): ConnectionInfo {
    return this.#connection?.stream.info ?? nobody;
  }

  get edge(): Edge | null {
    return this.#connection?.stream.edge ?? null;
  }

  get queued(): number {
    return this.#stream?.queued ?? 0;
  }

  waitForRoom(): boolean {
    return this.#stream?.waitForRoom() ?? false;
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
    const connection = this.#connection;
    const user = this.#user;
    if (connection === null || user === null) return;
    if (user.wantsUpgrade) {
      this.#openTunnel(connection, user, head);
      return;
    }
    // The end of a body whose length was not known stays a frame of its own, however little came of it.
    const ends = last && end === start && trailers === null && framing !== 'chunked';
    this.#open(connection, head, ends);
    this.#sent = ends;
    if (!ends && (last || end > start)) this.sendData(from, start, end, last, trailers);
  }

  /** Apart from sendHead, which shall not pay for the closures. */
  #openTunnel(connection: Http2Upstream, user: UpstreamUser, head: Head): void {
    if (isExtendedConnect(user) && !connection.allowsConnect) {
      // Whoever sends is told of the end when it has sent.
      connection.pool.runtime.defer(() => this.#refuse(user));
      return;
    }
    sendAsConnect(head, () => this.#open(connection, head, false));
  }

  #refuse(user: UpstreamUser): void {
    if (this.#user !== user) return;
    this.#end();
    user.onReset('protocol-error', 'the upstream does not allow extended CONNECT');
  }

  #open(connection: Http2Upstream, head: Head, last: boolean): void {
    const stream = connection.open(head, last, this);
    stream.sink = this.#user?.joinsAnswer === true ? 'bytes' : 'frames';
    this.#stream = stream;
  }

  sendData(from: Buffer, start: number, end: number, last: boolean, trailers: Head | null): void {
    const stream = this.#stream;
    if (stream === null) return;
    this.#sent = last;
    const ends = last && trailers === null;
    if (end > start || ends) stream.sendData(from, start, end, ends);
    if (last && trailers !== null) stream.sendTrailers(trailers);
  }

  pauseAnswer(): void {
    this.#stream?.pauseRead();
  }

  resumeAnswer(): void {
    this.#stream?.resumeRead();
  }

  release(): void {
    // Nobody waits for the rest of the request any more.
    if (!this.#sent) this.#stream?.reset(errorCode.noError);
    this.#end();
  }

  cancel(): void {
    const stream = this.#stream;
    if (stream !== null && stream.id !== 0) {
      this.#connection?.pool.count(at.upstream_rq_tx_reset);
      stream.reset(errorCode.cancel);
    }
    this.#end();
  }

  #end(): void {
    const connection = this.#connection;
    if (connection === null) return;
    if (this.#stream !== null) this.#stream.events = ignoringEvents;
    this.#stream = null;
    this.#user = null;
    this.#connection = null;
    this.#held = false;
    connection.streamDone(this);
  }

  onHead(_stream: Http2Stream, _head: Head, last: boolean): void {
    const user = this.#user;
    const connection = this.#connection;
    if (user === null || connection === null) return;
    this.answered = true;
    user.responseHead = connection.host.takeHead(user.responseHead);
    const head = user.responseHead;
    if (head.status < 200) user.onInformational();
    else if (user.wantsUpgrade && head.status < 300) this.#switch(user, head, last);
    else this.#answer(user, connection, framingOf(head, user.requestMethod, last), last);
  }

  #answer(user: UpstreamUser, connection: Http2Upstream, framing: Framing, last: boolean): void {
    if (last) {
      user.onResponseHead(framing, nowhere, nowhere, true);
      return;
    }
    this.#framing = framing;
    this.#held = true;
    connection.host.holdBack(this);
  }

  /** Nothing of the body came along. */
  goOn(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#user?.onResponseHead(this.#framing, nowhere, nowhere, false);
  }

  #switch(user: UpstreamUser, head: Head, last: boolean): void {
    if (user.requestMethod === method.CONNECT) head.remove(token['content-length']);
    else asSwitching(head, user.requestHead);
    user.onUpgraded();
    if (last) user.onResponseData(nowhere, nowhere, true);
  }

  onData(_stream: Http2Stream, start: number, end: number, last: boolean): void {
    // An end by itself stays one, as it was sent.
    if (start === end) this.goOn();
    if (!this.#held) this.#user?.onResponseData(start, end, last);
    else {
      this.#held = false;
      this.#connection?.host.takeBack();
      this.#user?.onResponseHead(this.#framing, start, end, last);
    }
  }

  onTrailers(_stream: Http2Stream, _head: Head): void {
    this.goOn();
    const user = this.#user;
    const connection = this.#connection;
    if (user === null || connection === null) return;
    const trailers = connection.host.takeHead(this.#spare ?? new Head());
    this.#spare = trailers;
    dropForbiddenTrailers(trailers);
    this.trailers = trailers;
    user.onResponseData(nowhere, nowhere, true);
  }

  onReset(_stream: Http2Stream, code: number, cause: ResetCause): void {
    this.goOn();
    const user = this.#user;
    const connection = this.#connection;
    this.#stream = null;
    if (user === null || connection === null) return;
    const failure = failureOf(code, cause);
    // As in Envoy, whoever said that the message was wrong; a refusal counts as neither, nor does a connection's end.
    if (cause !== 'connection' && failure === 'protocol-error') connection.pool.count(at.upstream_rq_tx_reset);
    else if (failure === 'remote-reset') connection.pool.count(at.upstream_rq_rx_reset);
    this.#end();
    user.onReset(failure, '');
  }

  onDrained(): void {
    this.#user?.onUpstreamDrained();
  }
}

/** What the peer says of a stream that it has reset, as Envoy tells it. */
const remoteFailures: Readonly<Record<number, UpstreamFailure>> = {
  [errorCode.protocolError]: 'protocol-error',
  [errorCode.connectError]: 'connect-error',
};

function failureOf(code: number, cause: ResetCause): UpstreamFailure {
  switch (cause) {
    case 'refused':
      return 'refused-stream';
    case 'remote':
      return remoteFailures[code] ?? 'remote-reset';
    case 'local':
      // A head beyond our limits; Envoy calls that a reset by the peer.
      return code === errorCode.internalError ? 'remote-reset' : 'protocol-error';
    case 'connection':
      return code === errorCode.noError ? 'connection-termination' : 'protocol-error';
  }
}

/** How the end of an answer is told to whoever frames it anew. */
function framingOf(head: Head, requestMethod: number, last: boolean): Framing {
  if (head.status === 204) head.remove(token['content-length']);
  if (requestMethod === method.HEAD || head.status === 204 || head.status === 304) return 'none';
  if (head.contentLength >= 0) return 'length';
  return last ? 'none' : 'chunked';
}
