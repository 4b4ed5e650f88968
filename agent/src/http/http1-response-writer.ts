/** Sends one answer to an HTTP/1.1 client: head and body bytes in as few writes as possible. */
import type { Head } from '../http1/head.ts';
import { headCapacity, writeAllFields, writeBytes, writeStatusLine } from '../http1/serialize.ts';
import type { Stream } from '../net/stream.ts';
import { FramedRange, type Framing } from './body-framing.ts';
import { statusText } from './status-text.ts';
import type { WorkerShared } from './worker-shared.ts';

const encoder = new TextEncoder();
const crlf = encoder.encode('\r\n');
const lastChunkStart = encoder.encode('0\r\n');

export class Http1ResponseWriter {
  readonly #buffer: Buffer;
  readonly #shared: WorkerShared;
  readonly #range = new FramedRange();

  constructor(readBuffer: Buffer, shared: WorkerShared) {
    this.#buffer = readBuffer;
    this.#shared = shared;
  }

  /** A head, and text behind it. */
  whole(stream: Stream, head: Head, body: Uint8Array): void {
    const out = this.#shared.scratch(headCapacity(head) + body.length);
    const n = this.#writeHead(head, out);
    stream.write(out, 0, writeBytes(body, out, n));
  }

  /** Head and the body bytes [start, end) of the read buffer. The head goes in front, over bytes read before. */
  head(
    stream: Stream,
    head: Head,
    framing: Framing,
    start: number,
    end: number,
    last: boolean,
    trailers: Head | null,
  ): void {
    const range = this.#range;
    range.frame(this.#buffer, framing, start, end, last && trailers === null);
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
    range.restore(this.#buffer);
    if (last && trailers !== null) this.#trailers(stream, framing, trailers);
  }

  /** More body bytes of the read buffer. */
  data(stream: Stream, framing: Framing, start: number, end: number, last: boolean, trailers: Head | null): void {
    const range = this.#range;
    range.frame(this.#buffer, framing, start, end, last && trailers === null);
    if (range.end > range.start) stream.write(this.#buffer, range.start, range.end);
    range.restore(this.#buffer);
    if (last && trailers !== null) this.#trailers(stream, framing, trailers);
  }

  #writeHead(head: Head, out: Buffer): number {
    let n = writeStatusLine(head.status, statusText, out, 0);
    n = writeAllFields(head, out, n);
    return writeBytes(crlf, out, n);
  }

  /** A client that reads to the end of the connection gets none. */
  #trailers(stream: Stream, framing: Framing, trailers: Head): void {
    if (framing !== 'chunked') return;
    const out = this.#shared.scratch(headCapacity(trailers) + lastChunkStart.length);
    let n = writeBytes(lastChunkStart, out, 0);
    n = writeAllFields(trailers, out, n);
    stream.write(out, 0, writeBytes(crlf, out, n));
  }
}
