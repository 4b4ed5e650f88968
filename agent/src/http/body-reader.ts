/** Takes the body of one message out of a stream of bytes, whatever its framing. */
import { ChunkedDecoder } from '../http1/chunked-decoder.ts';
import { Head } from '../http1/head.ts';
import { token } from '../http1/known-headers.ts';
import type { HeadLimits } from '../http1/parse-head.ts';
import type { Framing } from './body-framing.ts';

/** Fields that decide about a message may not come behind it (RFC 9110 section 6.5.1). */
const forbiddenTrailers = [
  token.host,
  token['content-length'],
  token['transfer-encoding'],
  token.connection,
  token.upgrade,
  token.te,
  token['keep-alive'],
  token['proxy-connection'],
  token.trailer,
  token.authorization,
  token['content-type'],
  token['x-forwarded-client-cert'],
] as const;

export function dropForbiddenTrailers(trailers: Head): void {
  for (const t of forbiddenTrailers) trailers.remove(t);
}

export class BodyReader {
  /** Data of the last `take`, in place. */
  start = 0;
  end = 0;
  done = true;
  framing: Framing = 'none';
  #remaining = 0;
  #decoder: ChunkedDecoder | null = null;
  #trailers: Head | null = null;

  begin(framing: Framing, length: number): void {
    this.framing = framing;
    this.#remaining = length;
    this.done = framing === 'none' || (framing === 'length' && length === 0);
    if (framing === 'chunked') {
      this.#decoder ??= new ChunkedDecoder();
      this.#trailers ??= new Head();
      this.#decoder.reset();
    }
  }

  /** Trailer fields of a body that is done, or null. */
  get trailers(): Head | null {
    return this.framing === 'chunked' && this.#decoder?.hasTrailers === true ? this.#trailers : null;
  }

  /** Takes what belongs to the body from [start, end); the position after it, or a negative code. */
  take(b: Buffer, start: number, end: number, limits: HeadLimits): number {
    this.start = start;
    this.end = start;
    switch (this.framing) {
      case 'none':
        return start;
      case 'close':
        this.end = end;
        return end;
      case 'length': {
        const n = Math.min(this.#remaining, end - start);
        this.#remaining -= n;
        this.done = this.#remaining === 0;
        this.end = start + n;
        return this.end;
      }
      case 'chunked':
        return this.#takeChunked(b, start, end, limits);
    }
  }

  #takeChunked(b: Buffer, start: number, end: number, limits: HeadLimits): number {
    const decoder = this.#decoder;
    const trailers = this.#trailers;
    if (decoder === null || trailers === null) throw new Error('body reader: take before begin');
    const next = decoder.decode(b, start, end, trailers, limits);
    if (next < 0) return next;
    this.start = decoder.dataStart;
    this.end = decoder.dataEnd;
    this.done = decoder.done;
    if (decoder.hasTrailers) dropForbiddenTrailers(trailers);
    return next;
  }
}
