/** Sends one answer to a client: head and body bytes in as few writes as possible, framed as the client reads them. */
import type { Head } from '../http1/head.ts';
import { headCapacity, writeAllFields, writeBytes, writeStatusLine } from '../http1/serialize.ts';
import type { Stream } from '../net/stream.ts';
import { FramedRange, type Framing } from './body-framing.ts';
import { statusText } from './status-text.ts';
import type { WorkerShared } from './worker-shared.ts';

const encoder = new TextEncoder();
const crlf = encoder.encode('\r\n');
const lastChunkStart = encoder.encode('0\r\n');

export class ResponseWriter {
  readonly #buffer: Buffer;
  readonly #shared: WorkerShared;
  readonly #range = new FramedRange();
  /** How the client is told where the body ends. */
  framing: Framing = 'none';

  constructor(buffer: Buffer, shared: WorkerShared) {
    this.#buffer = buffer;
    this.#shared = shared;
  }

  /** A head without a body of the read buffer, and text behind it. */
  whole(stream: Stream, head: Head, body: Uint8Array): void {
    const out = this.#shared.scratch(headCapacity(head) + body.length);
    const n = this.#writeHead(head, out);
    stream.write(out, 0, writeBytes(body, out, n));
  }

  /** Head and the body bytes [start, end) of the read buffer. The head goes in front, over bytes read before. */
  head(stream: Stream, head: Head, start: number, end: number, last: boolean, trailers: Head | null): void {
    this.#frame(start, end, last && trailers === null);
    const range = this.#range;
    const out = this.#shared.scratch(headCapacity(head));
    const n = this.#writeHead(head, out);
    const from = range.start - n;
    if (from >= 0) {
      out.copy(this.#buffer, from, 0, n);
      stream.write(this.#buffer, from, range.end);
    } else {
      stream.write(out, 0, n);
      stream.write(this.#buffer, range.start, range.end);
    }
    if (last && trailers !== null) this.#trailers(stream, trailers);
  }

  /** More body bytes of the read buffer. */
  data(stream: Stream, start: number, end: number, last: boolean, trailers: Head | null): void {
    this.#frame(start, end, last && trailers === null);
    const { start: from, end: to } = this.#range;
    if (to > from) stream.write(this.#buffer, from, to);
    if (last && trailers !== null) this.#trailers(stream, trailers);
  }

  #frame(start: number, end: number, last: boolean): void {
    if (this.framing === 'chunked') this.#range.chunk(this.#buffer, start, end, last);
    else this.#range.plain(start, end);
  }

  #writeHead(head: Head, out: Buffer): number {
    let n = writeStatusLine(head.status, statusText, out, 0);
    n = writeAllFields(head, out, n);
    return writeBytes(crlf, out, n);
  }

  /** A client that reads to the end of the connection gets none. */
  #trailers(stream: Stream, trailers: Head): void {
    if (this.framing !== 'chunked') return;
    const out = this.#shared.scratch(headCapacity(trailers) + lastChunkStart.length);
    let n = writeBytes(lastChunkStart, out, 0);
    n = writeAllFields(trailers, out, n);
    stream.write(out, 0, writeBytes(crlf, out, n));
  }
}
