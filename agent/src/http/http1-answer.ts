/** The answers on one HTTP/1.1 connection: how their end is told, and whether the connection ends with them. */
import type { Head } from '../http1/head.ts';
import { method } from '../http1/known-headers.ts';
import type { Stream } from '../net/stream.ts';
import type { Framing } from './body-framing.ts';
import type { Exchange } from './exchange.ts';
import type { Http1ResponseWriter } from './http1-response-writer.ts';
import { addChunked, addConnectionClose, addEmptyBody, addKeepAlive } from './response-headers.ts';

const nothing = new Uint8Array(0);

export class Http1Answer {
  readonly #stream: Stream;
  readonly #writer: Http1ResponseWriter;
  #framing: Framing = 'none';
  #http10 = false;
  /** The connection ends when the answer is out. */
  closes = false;
  isTunnel = false;

  constructor(stream: Stream, writer: Http1ResponseWriter) {
    this.#stream = stream;
    this.#writer = writer;
  }

  begin(): void {
    this.#framing = 'none';
    this.#http10 = false;
    this.closes = false;
    this.isTunnel = false;
  }

  /** To a client of HTTP/1.0. */
  asHttp10(): void {
    this.#http10 = true;
  }

  /** The end of the connection is the end of the body: a body that is not whole has to end in another way. */
  get endsByClosing(): boolean {
    return this.#framing === 'close' || this.isTunnel;
  }

  informational(head: Head): void {
    if (!this.#http10) this.#writer.whole(this.#stream, head, nothing);
  }

  reply(head: Head, body: Uint8Array): void {
    if (this.closes) this.#stream.expectEnd();
    this.#writer.whole(this.#stream, head, body);
  }

  head(x: Exchange, framing: Framing, start: number, end: number, last: boolean, trailers: Head | null): void {
    const head = x.responseHead;
    this.#settleFraming(head, framing, x.requestHead.method === method.HEAD, last);
    if (last && this.closes) this.#stream.expectEnd();
    this.#writer.head(this.#stream, head, this.#framing, start, end, last, trailers);
  }

  #settleFraming(head: Head, framing: Framing, toHead: boolean, last: boolean): void {
    const http10 = this.#http10;
    const out = framing === 'chunked' || framing === 'close' ? (http10 ? 'close' : 'chunked') : framing;
    this.#framing = out;
    if (out === 'close') this.closes = true;
    if (this.closes) addConnectionClose(head);
    else if (http10) addKeepAlive(head);
    if (out === 'chunked') addChunked(head);
    else if (out === 'none' && head.contentLength < 0) this.#settleMissingLength(head, toHead, last);
  }

  /** HTTP/2 upstreams end an answer without a length; HTTP/1 ones only where none is read. */
  #settleMissingLength(head: Head, toHead: boolean, last: boolean): void {
    // RFC 9112 section 6.1: a 204 has no framing at all, and to HEAD neither.
    if (head.status === 204) return;
    if (toHead) {
      if (!this.#http10) addChunked(head);
    } else if (last && head.status !== 304) addEmptyBody(head);
  }

  data(start: number, end: number, last: boolean, trailers: Head | null): void {
    if (last && this.closes) this.#stream.expectEnd();
    this.#writer.data(this.#stream, this.#framing, start, end, last, trailers);
    if (last && this.isTunnel) this.#stream.endWrite();
  }

  /** What follows are the bytes of a tunnel, each way with an end of its own. */
  upgrade(head: Head): void {
    this.isTunnel = true;
    this.closes = true;
    this.#framing = 'none';
    this.#writer.whole(this.#stream, head, nothing);
  }
}
