/** Sends one request to an HTTP/1.1 upstream: head and body bytes in as few writes as possible. */
import type { Head } from '../http1/head.ts';
import { method } from '../http1/known-headers.ts';
import { headCapacity, writeBytes, writeRequest } from '../http1/serialize.ts';
import type { Stream } from '../net/stream.ts';
import { FramedRange, type Framing } from './body-framing.ts';
import { crlf, FramedWriter } from './framed-writer.ts';
import type { WorkerShared } from './worker-shared.ts';

const encoder = new TextEncoder();
const chunkedLine = encoder.encode('transfer-encoding: chunked\r\n');
const emptyBodyLine = encoder.encode('content-length: 0\r\n');
/** Room for a chunk's frame, and the last chunk, around a body that is copied; how much of one is copied at once. */
const frameRoom = 32;
const maxCopied = 65_536;
/** Methods whose requests are complete without a body; others say so with content-length: 0. */
const bodiless: ReadonlySet<number> = new Set([method.GET, method.HEAD, method.DELETE, method.TRACE, method.CONNECT]);

export class Http1RequestWriter {
  readonly #frames: FramedWriter;
  readonly #shared: WorkerShared;
  readonly #range = new FramedRange();

  constructor(readBuffer: Buffer, shared: WorkerShared) {
    this.#frames = new FramedWriter(readBuffer, shared);
    this.#shared = shared;
  }

  /** Head and the body bytes [start, end) of the read buffer; the bytes written. The head goes over bytes read before. */
  head(
    stream: Stream,
    head: Head,
    framing: Framing,
    start: number,
    end: number,
    last: boolean,
    trailers: Head | null,
  ): number {
    const out = this.#shared.scratch(headCapacity(head));
    const n = this.#writeHead(head, framing, out);
    const written = this.#frames.head(stream, out, n, framing, start, end, last && trailers === null);
    if (last && trailers !== null) this.#frames.trailers(stream, framing, trailers);
    return written;
  }

  /** The same with a body that lies elsewhere, which stays as it is. */
  headWith(
    stream: Stream,
    head: Head,
    framing: Framing,
    body: Buffer,
    start: number,
    end: number,
    last: boolean,
    trailers: Head | null,
  ): number {
    const at = Math.min(end, start + maxCopied);
    const ends = last && trailers === null;
    const written = this.#copied(stream, head, framing, body, start, at, ends && at === end);
    if (at === end && !(last && trailers !== null)) return written;
    return written + this.dataOf(stream, framing, body, at, end, last, trailers);
  }

  /** More body bytes that lie elsewhere; the bytes written. */
  dataOf(
    stream: Stream,
    framing: Framing,
    body: Buffer,
    start: number,
    end: number,
    last: boolean,
    trailers: Head | null,
  ): number {
    const ends = last && trailers === null;
    let written = 0;
    for (let at = start; at < end || (at === start && ends); ) {
      const to = Math.min(end, at + maxCopied);
      written += this.#copied(stream, null, framing, body, at, to, ends && to === end);
      if (to === end) break;
      at = to;
    }
    if (last && trailers !== null) this.#frames.trailers(stream, framing, trailers);
    return written;
  }

  /** The head, if any, and a slice of a body, copied together. */
  #copied(
    stream: Stream,
    head: Head | null,
    framing: Framing,
    body: Buffer,
    start: number,
    end: number,
    last: boolean,
  ): number {
    const room = frameRoom + (head === null ? 0 : headCapacity(head));
    const out = this.#shared.scratch(room + end - start + frameRoom);
    const n = head === null ? 0 : this.#writeHead(head, framing, out);
    const range = this.#range;
    range.frame(out, framing, room, room + body.copy(out, room, start, end), last);
    out.copyWithin(n, range.start, range.end);
    range.restore(out);
    const to = n + range.end - range.start;
    stream.write(out, 0, to);
    return to;
  }

  #writeHead(head: Head, framing: Framing, out: Buffer): number {
    let n = writeRequest(head, out, 0);
    if (framing === 'chunked') n = writeBytes(chunkedLine, out, n);
    else if (framing === 'none' && head.contentLength < 0 && !bodiless.has(head.method)) {
      n = writeBytes(emptyBodyLine, out, n);
    }
    return writeBytes(crlf, out, n);
  }

  /** More body bytes of the read buffer; the bytes written. */
  data(stream: Stream, framing: Framing, start: number, end: number, last: boolean, trailers: Head | null): number {
    const written = this.#frames.data(stream, framing, start, end, last && trailers === null);
    if (last && trailers !== null) this.#frames.trailers(stream, framing, trailers);
    return written;
  }
}
