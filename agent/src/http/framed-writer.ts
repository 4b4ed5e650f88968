/**
 * Bytes of a message behind its head on HTTP/1.1: a range of the read buffer goes out from where it lies, framed in
 * place, with the head in front of it where there is room.
 */
import type { Head } from '../http1/head.ts';
import { headCapacity, writeAllFields, writeBytes } from '../http1/serialize.ts';
import type { Stream } from '../net/stream.ts';
import { FramedRange, type Framing } from './body-framing.ts';
import type { WorkerShared } from './worker-shared.ts';

const encoder = new TextEncoder();
export const crlf = encoder.encode('\r\n');
const lastChunkStart = encoder.encode('0\r\n');

export class FramedWriter {
  readonly #buffer: Buffer;
  readonly #shared: WorkerShared;
  readonly #range = new FramedRange();

  constructor(readBuffer: Buffer, shared: WorkerShared) {
    this.#buffer = readBuffer;
    this.#shared = shared;
  }

  /**
   * A head of n bytes in scratch memory, and the body bytes [start, end) of the read buffer; the bytes written. The head
   * goes over bytes read before. ends: the last chunk as well.
   */
  head(
    stream: Stream,
    scratch: Buffer,
    n: number,
    framing: Framing,
    start: number,
    end: number,
    ends: boolean,
  ): number {
    const range = this.#range;
    range.frame(this.#buffer, framing, start, end, ends);
    const from = range.start - n;
    if (from >= 0) {
      scratch.copy(this.#buffer, from, 0, n);
      stream.write(this.#buffer, from, range.end);
    } else {
      stream.write(scratch, 0, n);
      stream.write(this.#buffer, range.start, range.end);
    }
    range.restore(this.#buffer);
    return n + range.end - range.start;
  }

  /** More body bytes of the read buffer; the bytes written. */
  data(stream: Stream, framing: Framing, start: number, end: number, ends: boolean): number {
    const range = this.#range;
    range.frame(this.#buffer, framing, start, end, ends);
    const { start: from, end: to } = range;
    if (to > from) stream.write(this.#buffer, from, to);
    range.restore(this.#buffer);
    return to - from;
  }

  /** The last chunk with fields behind it. Only chunks have a place for them: behind any other body is another message. */
  trailers(stream: Stream, framing: Framing, trailers: Head): void {
    if (framing !== 'chunked') return;
    const out = this.#shared.scratch(headCapacity(trailers) + lastChunkStart.length);
    let n = writeBytes(lastChunkStart, out, 0);
    n = writeAllFields(trailers, out, n);
    stream.write(out, 0, writeBytes(crlf, out, n));
  }
}
