/** Sends one request to an upstream: head and body bytes in as few writes as possible, framed as the upstream reads them. */
import type { Head } from '../http1/head.ts';
import { method } from '../http1/known-headers.ts';
import { headCapacity, writeAllFields, writeBytes, writeRequest } from '../http1/serialize.ts';
import type { Stream } from '../net/stream.ts';
import { FramedRange, type Framing } from './body-framing.ts';
import type { WorkerShared } from './worker-shared.ts';

const encoder = new TextEncoder();
const chunkedLine = encoder.encode('transfer-encoding: chunked\r\n');
const emptyBodyLine = encoder.encode('content-length: 0\r\n');
const crlf = encoder.encode('\r\n');
const lastChunkStart = encoder.encode('0\r\n');
/** Methods whose requests are complete without a body; others say so with content-length: 0. */
const bodiless: ReadonlySet<number> = new Set([method.GET, method.HEAD, method.DELETE, method.TRACE, method.CONNECT]);

export class RequestWriter {
  readonly #buffer: Buffer;
  readonly #shared: WorkerShared;
  readonly #range = new FramedRange();
  #framing: Framing = 'none';

  constructor(buffer: Buffer, shared: WorkerShared) {
    this.#buffer = buffer;
    this.#shared = shared;
  }

  begin(framing: Framing): void {
    this.#framing = framing;
  }

  /** Head and the body bytes [start, end) of the read buffer; the bytes written. The head goes over bytes read before. */
  head(stream: Stream, head: Head, start: number, end: number, last: boolean, trailers: Head | null): number {
    const out = this.#shared.scratch(headCapacity(head));
    let n = writeRequest(head, out, 0);
    if (this.#framing === 'chunked') n = writeBytes(chunkedLine, out, n);
    else if (this.#framing === 'none' && head.contentLength < 0 && !bodiless.has(head.method)) {
      n = writeBytes(emptyBodyLine, out, n);
    }
    n = writeBytes(crlf, out, n);
    this.#frame(start, end, last && trailers === null);
    const range = this.#range;
    const from = range.start - n;
    if (from >= 0) {
      out.copy(this.#buffer, from, 0, n);
      stream.write(this.#buffer, from, range.end);
    } else {
      stream.write(out, 0, n);
      stream.write(this.#buffer, range.start, range.end);
    }
    if (last && trailers !== null) this.#trailers(stream, trailers);
    return n + range.end - range.start;
  }

  /** More body bytes of the read buffer; the bytes written. */
  data(stream: Stream, start: number, end: number, last: boolean, trailers: Head | null): number {
    this.#frame(start, end, last && trailers === null);
    const { start: from, end: to } = this.#range;
    if (to > from) stream.write(this.#buffer, from, to);
    if (last && trailers !== null) this.#trailers(stream, trailers);
    return to - from;
  }

  #frame(start: number, end: number, last: boolean): void {
    if (this.#framing === 'chunked') this.#range.chunk(this.#buffer, start, end, last);
    else this.#range.plain(start, end);
  }

  #trailers(stream: Stream, trailers: Head): void {
    const out = this.#shared.scratch(headCapacity(trailers) + lastChunkStart.length);
    let n = writeBytes(lastChunkStart, out, 0);
    n = writeAllFields(trailers, out, n);
    stream.write(out, 0, writeBytes(crlf, out, n));
  }
}
