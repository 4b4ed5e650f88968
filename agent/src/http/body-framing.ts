/**
 * How the end of a body is told (RFC 9112 section 6.3), and body bytes put back into frames where they lie: the read
 * buffer has room around them, so that head, chunk size, data and end go out in one write.
 */
import { frameChunk, lastChunk, writeBytes } from '../http1/serialize.ts';

export type Framing = 'none' | 'length' | 'chunked' | 'close';

export class FramedRange {
  start = 0;
  end = 0;

  /** [start, end) as it is. */
  plain(start: number, end: number): void {
    this.start = start;
    this.end = end;
  }

  /**
   * [start, end) as one chunk, with the last chunk after it when `last`. Needs chunkHeaderRoom bytes in front; behind,
   * the bytes of the framing that were there have been read already. Without data the last chunk goes in front of
   * `end`, because what follows may be the next message.
   */
  chunk(b: Buffer, start: number, end: number, last: boolean): void {
    if (end > start) {
      this.start = frameChunk(b, start, end);
      this.end = last ? writeBytes(lastChunk, b, end + 2) : end + 2;
      return;
    }
    this.end = end;
    this.start = last ? end - lastChunk.length : end;
    if (last) writeBytes(lastChunk, b, this.start);
  }
}
