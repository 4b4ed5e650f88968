/**
 * Chunked bodies (RFC 9112 section 7.1): takes the framing away in place, so that the data of one read lies together,
 * and keeps the trailer section for the field parser. Extensions are read over and dropped, up to a limit.
 * Strict on purpose: no space around the size, CRLF only, nothing after a chunk's data, or the message is refused.
 */

import { hexValue, valueByte } from './character-classes.ts';
import type { Head } from './head.ts';
import { type HeadLimits, parseTrailers } from './parse-head.ts';
import { rejected } from './rejection.ts';

const states = {
  sizeStart: 0,
  size: 1,
  beforeExtension: 2,
  extension: 3,
  sizeLf: 4,
  data: 5,
  dataCr: 6,
  dataLf: 7,
  trailers: 8,
  done: 9,
} as const;

/** All extensions of one message together. */
const maxExtensionBytes = 4096;
/** 13 hexadecimal digits are exact in a double. */
const maxSizeDigits = 13;
const cr = 13;
const lf = 10;
const semicolon = 59;

export class ChunkedDecoder {
  /** The data of the last `decode`, in the same buffer. */
  dataStart = 0;
  dataEnd = 0;
  /** Bytes of the trailer section, with its blank line; parsed into `trailers` when the body has ended. */
  #state: number = states.sizeStart;
  #remaining = 0;
  #digits = 0;
  #extensionBytes = 0;
  #trailer: Buffer | null = null;
  #trailerLength = 0;

  reset(): void {
    this.dataStart = 0;
    this.dataEnd = 0;
    this.#state = states.sizeStart;
    this.#remaining = 0;
    this.#digits = 0;
    this.#extensionBytes = 0;
    this.#trailer = null;
    this.#trailerLength = 0;
  }

  get done(): boolean {
    return this.#state === states.done;
  }

  /** Whether the body ended with trailer fields; they are then in the Head given to decode. */
  get hasTrailers(): boolean {
    return this.#state === states.done && this.#trailerLength > 2;
  }

  /**
   * Decodes [start, end) and sets the data range (empty and at the result's position when there is no data). Result: the position after what belongs to the body (below `end` only
   * when the body is complete), or a negative code. `trailers` is filled when the body ends with trailer fields.
   */
  decode(b: Buffer, start: number, end: number, trailers: Head, limits: HeadLimits): number {
    let p = start;
    let data = start;
    this.dataStart = start;
    this.dataEnd = start;
    while (p < end && this.#state !== states.done) {
      if (this.#state === states.data) {
        const length = Math.min(this.#remaining, end - p);
        if (this.dataEnd === start) this.dataStart = data = p;
        else if (p !== data) b.copyWithin(data, p, p + length);
        data += length;
        this.dataEnd = data;
        p += length;
        this.#remaining -= length;
        if (this.#remaining === 0) this.#state = states.dataCr;
      } else if (this.#state === states.trailers) {
        p = this.#takeTrailers(b, p, end, trailers, limits);
        if (p < 0) return p;
      } else if (!this.#framing(b[p++] as number)) return rejected.malformed;
    }
    if (this.dataEnd === start) this.dataStart = this.dataEnd = p;
    return p;
  }

  /** One byte of the framing; false when it may not be there. */
  #framing(c: number): boolean {
    switch (this.#state) {
      case states.sizeStart:
      case states.size:
        return this.#sizeByte(c);
      case states.beforeExtension:
        if (c === semicolon) this.#state = states.extension;
        else if (c !== 32 && c !== 9) return false;
        return this.#countExtension();
      case states.extension:
        if (c === cr) this.#state = states.sizeLf;
        else if (valueByte[c] !== 1) return false;
        return this.#countExtension();
      case states.sizeLf:
        this.#state = this.#remaining === 0 ? states.trailers : states.data;
        return c === lf;
      case states.dataCr:
        this.#state = states.dataLf;
        return c === cr;
      default:
        this.#state = states.sizeStart;
        this.#digits = 0;
        return c === lf;
    }
  }

  #sizeByte(c: number): boolean {
    const digit = hexValue[c] as number;
    if (digit !== 255) {
      this.#state = states.size;
      this.#remaining = this.#digits === 0 ? digit : this.#remaining * 16 + digit;
      return ++this.#digits <= maxSizeDigits;
    }
    if (this.#state === states.sizeStart) return false;
    if (c === cr) this.#state = states.sizeLf;
    else if (c === semicolon) this.#state = states.extension;
    else if (c === 32 || c === 9) this.#state = states.beforeExtension;
    else return false;
    return true;
  }

  #countExtension(): boolean {
    return ++this.#extensionBytes <= maxExtensionBytes;
  }

  /** Gathers the trailer section up to its blank line. */
  #takeTrailers(b: Buffer, start: number, end: number, trailers: Head, limits: HeadLimits): number {
    let p = start;
    while (p < end) {
      const lineEnd = b.indexOf(lf, p);
      const upTo = lineEnd < 0 || lineEnd >= end ? end : lineEnd + 1;
      if (this.#trailerLength + upTo - p > limits.maxBytes) return rejected.tooLarge;
      this.#keep(b, p, upTo);
      p = upTo;
      if (lineEnd < 0 || lineEnd >= end || !this.#endsWithBlankLine()) continue;
      const length = this.#trailerLength;
      const kept = this.#trailer as Buffer;
      const parsed = parseTrailers(kept, 0, length, trailers, limits);
      if (parsed !== length) return parsed < 0 ? parsed : rejected.malformed;
      trailers.take(kept, 0);
      this.#state = states.done;
      return p;
    }
    return p;
  }

  #endsWithBlankLine(): boolean {
    const t = this.#trailer as Buffer;
    const n = this.#trailerLength;
    if (n === 1) return true;
    if (n === 2) return t[0] === cr || t[0] === lf;
    return t[n - 2] === lf || (t[n - 2] === cr && t[n - 3] === lf);
  }

  #keep(b: Buffer, start: number, end: number): void {
    const needed = this.#trailerLength + end - start;
    if (this.#trailer === null || this.#trailer.length < needed) {
      const grown = Buffer.allocUnsafeSlow(Math.max(64, needed * 2));
      this.#trailer?.copy(grown, 0, 0, this.#trailerLength);
      this.#trailer = grown;
    }
    b.copy(this.#trailer, this.#trailerLength, start, end);
    this.#trailerLength = needed;
  }
}
