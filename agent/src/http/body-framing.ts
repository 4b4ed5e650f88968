/**
 * How the end of a body is told (RFC 9112 section 6.3), and body bytes put back into frames where they lie: the read
 * buffer has room around them, so that head, chunk size, data and end go out in one write.
 */
import { frameChunk, lastChunk, writeBytes } from '../http1/serialize.ts';

export type Framing = 'none' | 'length' | 'chunked' | 'close';

/** CRLF and the last chunk. */
const behindRoom = 2 + 5;

/** Invariant: bytes behind the range are as they were once `restore` was called: they may be frames still to be read. */
export class FramedRange {
  start = 0;
  end = 0;
  readonly #behind = new Uint8Array(behindRoom);
  #saved = -1;

  /** [start, end) of a body with this framing; last: the end of the body is told as well. */
  frame(b: Buffer, framing: Framing, start: number, end: number, last: boolean): void {
    if (framing === 'chunked') this.#chunk(b, start, end, last);
    else {
      this.start = start;
      this.end = end;
    }
  }

  /**
   * [start, end) as one chunk, with the last chunk after it when `last`. Needs chunkHeaderRoom bytes in front, which
   * have been read already. Without data the last chunk goes in front of `end`.
   */
  #chunk(b: Buffer, start: number, end: number, last: boolean): void {
    if (end > start) {
      for (let i = 0; i < behindRoom; i++) this.#behind[i] = b[end + i] as number;
      this.#saved = end;
      this.start = frameChunk(b, start, end);
      this.end = last ? writeBytes(lastChunk, b, end + 2) : end + 2;
      return;
    }
    this.end = end;
    this.start = last ? end - lastChunk.length : end;
    if (last) writeBytes(lastChunk, b, this.start);
  }

  /** Puts the bytes back that lay where the frame ends. */
  restore(b: Buffer): void {
    const at = this.#saved;
    if (at < 0) return;
    this.#saved = -1;
    for (let i = 0; i < behindRoom; i++) b[at + i] = this.#behind[i] as number;
  }
}
