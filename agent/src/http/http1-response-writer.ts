/** Sends one answer to an HTTP/1.1 client: head and body bytes in as few writes as possible. */
import type { Head } from '../http1/head.ts';
import { headCapacity, writeAllFields, writeBytes, writeStatusLine } from '../http1/serialize.ts';
import type { Stream } from '../net/stream.ts';
import type { Framing } from './body-framing.ts';
import { crlf, FramedWriter } from './framed-writer.ts';
import { statusText } from './status-text.ts';
import type { WorkerShared } from './worker-shared.ts';

export class Http1ResponseWriter {
  readonly #frames: FramedWriter;
  readonly #shared: WorkerShared;

  constructor(readBuffer: Buffer, shared: WorkerShared) {
    this.#frames = new FramedWriter(readBuffer, shared);
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
    const out = this.#shared.scratch(headCapacity(head));
    const n = this.#writeHead(head, out);
    this.#frames.head(stream, out, n, framing, start, end, last && trailers === null);
    if (last && trailers !== null) this.#frames.trailers(stream, framing, trailers);
  }

  /** More body bytes of the read buffer. */
  data(stream: Stream, framing: Framing, start: number, end: number, last: boolean, trailers: Head | null): void {
    this.#frames.data(stream, framing, start, end, last && trailers === null);
    if (last && trailers !== null) this.#frames.trailers(stream, framing, trailers);
  }

  #writeHead(head: Head, out: Buffer): number {
    let n = writeStatusLine(head.status, statusText, out, 0);
    n = writeAllFields(head, out, n);
    return writeBytes(crlf, out, n);
  }
}
