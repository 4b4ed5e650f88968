/**
 * Writes one log line as bytes into a bounded piece of memory, with the escaping done on the way. What does not fit sets
 * `overflowed`; the memory behind `end` is never touched. Everything written is valid UTF-8, whatever comes in.
 */

const backslash = 0x5c;
const quote = 0x22;
const hex = '0123456789abcdef';

/** JSON's two-character escapes by code; 0 for none. */
const shortEscapes = new Uint8Array(128);
for (const [code, letter] of [
  [0x08, 'b'],
  [0x09, 't'],
  [0x0a, 'n'],
  [0x0c, 'f'],
  [0x0d, 'r'],
  [quote, '"'],
  [backslash, '\\'],
] as const) {
  shortEscapes[code] = letter.charCodeAt(0);
}

/** 1 for the bytes that stand for themselves in a JSON string. */
const plain = new Uint8Array(256).fill(1, 0x20, 0x7f);
plain[quote] = 0;
plain[backslash] = 0;

/** Most bytes one UTF-16 unit becomes: \u00XX. */
const widestUnit = 6;

/** Bytes that are written again and again, as words: a third of the cost of copying them one by one. */
export class Piece {
  /** Bytes. Not `length`: V8 would take it and that of the words below for one property of two kinds of object. */
  readonly size: number;
  readonly words: Int32Array;

  constructor(bytes: Uint8Array) {
    this.size = bytes.length;
    this.words = new Int32Array((bytes.length + 3) >> 2);
    new Uint8Array(this.words.buffer).set(bytes);
  }

  static of(text: string): Piece {
    return new Piece(Buffer.from(text));
  }
}

/** Words are stored as they lie in memory. */
export const littleEndian: boolean = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** A valueLimit that cuts nothing. */
export const uncut: number = Number.MAX_SAFE_INTEGER;

export class LineBuffer {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at = 0;
  end = 0;
  overflowed = false;
  /** Longer values are cut to this many UTF-16 units. */
  valueLimit = uncut;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = bytes.length;
  }

  /** Begins a line at start that may not go beyond end. */
  begin(start: number, end: number, valueLimit: number): void {
    this.at = start;
    this.end = end;
    this.overflowed = false;
    this.valueLimit = valueLimit;
  }

  /** The last word may have some bytes too many: what comes next overwrites them. */
  raw(piece: Piece): void {
    const { words } = piece;
    const { at } = this;
    if (at + words.length * 4 > this.end) {
      this.overflowed = true;
      return;
    }
    const { view } = this;
    for (let i = 0; i < words.length; i++) view.setInt32(at + i * 4, words[i] as number, littleEndian);
    this.at = at + piece.size;
  }

  /** A number in decimal; whole numbers, the usual ones, make no string. */
  number(value: number): void {
    if (value >= 0 && value < 0x7fffffff && (value | 0) === value) this.#whole(value);
    else this.#ascii(Number.isFinite(value) ? String(Math.round(value * 1e6) / 1e6) : '0');
  }

  /** A whole JSON string, with its quotes. */
  jsonString(value: string): void {
    const length = Math.min(value.length, this.valueLimit);
    if (this.at + length * widestUnit + 2 > this.end) {
      this.overflowed = true;
      return;
    }
    const { bytes } = this;
    bytes[this.at] = quote;
    const end = this.#escaped(value, length, this.at + 1);
    bytes[end] = quote;
    this.at = end + 1;
  }

  /** A JSON string's inside: quotes, backslashes and control characters escaped, everything else as UTF-8. */
  json(value: string): void {
    const length = Math.min(value.length, this.valueLimit);
    if (this.at + length * widestUnit > this.end) this.overflowed = true;
    else this.at = this.#escaped(value, length, this.at);
  }

  /** A whole JSON string of latin1 bytes, with its quotes. */
  jsonBytes(from: Uint8Array, start: number, end: number): void {
    const length = Math.min(end - start, this.valueLimit);
    if (this.at + length * widestUnit + 2 > this.end) {
      this.overflowed = true;
      return;
    }
    const { bytes } = this;
    const stop = start + length;
    let at = this.at;
    bytes[at++] = quote;
    let i = start;
    for (; i < stop; i++) {
      const c = from[i] as number;
      if (plain[c] === 0) break;
      bytes[at++] = c;
    }
    if (i < stop) at = this.#escapedBytes(from, i, stop, at);
    bytes[at] = quote;
    this.at = at + 1;
  }

  #escapedBytes(from: Uint8Array, start: number, end: number, to: number): number {
    let at = to;
    for (let i = start; i < end; i++) {
      const c = from[i] as number;
      if (plain[c] === 1) this.bytes[at++] = c;
      else if (c >= 0x80) at = this.#latin1(c, at);
      else at = this.#escape(c, at);
    }
    return at;
  }

  /** Plain text of latin1 bytes, as text(). */
  textBytes(from: Uint8Array, start: number, end: number): void {
    const length = Math.min(end - start, this.valueLimit);
    if (this.at + length * widestUnit > this.end) {
      this.overflowed = true;
      return;
    }
    const { bytes } = this;
    let at = this.at;
    for (let i = start; i < start + length; i++) {
      const c = from[i] as number;
      if (c >= 0x20 && c < 0x7f) bytes[at++] = c;
      else if (c >= 0x80) at = this.#latin1(c, at);
      else at = this.#hex(0x78, c, at);
    }
    this.at = at;
  }

  /** Plain text: control characters become \xXX, so that one request is one line. */
  text(value: string): void {
    const length = Math.min(value.length, this.valueLimit);
    if (this.at + length * widestUnit > this.end) {
      this.overflowed = true;
      return;
    }
    const { bytes } = this;
    let at = this.at;
    for (let i = 0; i < length; i++) {
      const c = value.charCodeAt(i);
      if (c >= 0x20 && c < 0x7f) bytes[at++] = c;
      else if (c >= 0x80) at = this.#wide(value, i, c, at);
      else at = this.#hex(0x78, c, at);
    }
    this.at = at;
  }

  #escaped(value: string, length: number, start: number): number {
    const { bytes } = this;
    let at = start;
    for (let i = 0; i < length; i++) {
      const c = value.charCodeAt(i);
      if (c < 0x80 && plain[c] === 1) bytes[at++] = c;
      else if (c >= 0x80) at = this.#wide(value, i, c, at);
      else at = this.#escape(c, at);
    }
    return at;
  }

  #whole(value: number): void {
    let digits = 1;
    for (let rest = value; rest >= 10; rest = (rest / 10) | 0) digits++;
    if (this.at + digits > this.end) {
      this.overflowed = true;
      return;
    }
    const { bytes } = this;
    let rest = value;
    for (let at = this.at + digits - 1; at >= this.at; at--) {
      const next = (rest / 10) | 0;
      bytes[at] = 0x30 + rest - next * 10;
      rest = next;
    }
    this.at += digits;
  }

  #ascii(value: string): void {
    if (this.at + value.length > this.end) this.overflowed = true;
    else for (let i = 0; i < value.length; i++) this.bytes[this.at++] = value.charCodeAt(i);
  }

  /** A byte from 0x80 on as UTF-8. */
  #latin1(c: number, at: number): number {
    this.bytes[at] = 0xc0 | (c >> 6);
    this.bytes[at + 1] = 0x80 | (c & 0x3f);
    return at + 2;
  }

  /** One unit from U+0080 on, with the low half of its pair left to the next round as nothing. */
  #wide(value: string, i: number, c: number, at: number): number {
    const { bytes } = this;
    if (c < 0x800) {
      bytes[at] = 0xc0 | (c >> 6);
      bytes[at + 1] = 0x80 | (c & 0x3f);
      return at + 2;
    }
    if ((c & 0xfc00) === 0xdc00 && i > 0 && (value.charCodeAt(i - 1) & 0xfc00) === 0xd800) return at;
    const point = value.codePointAt(i) ?? c;
    if (point > 0xffff && i + 1 < this.valueLimit) {
      bytes[at] = 0xf0 | (point >> 18);
      bytes[at + 1] = 0x80 | ((point >> 12) & 0x3f);
      bytes[at + 2] = 0x80 | ((point >> 6) & 0x3f);
      bytes[at + 3] = 0x80 | (point & 0x3f);
      return at + 4;
    }
    const whole = (c & 0xf800) === 0xd800 ? 0xfffd : c;
    bytes[at] = 0xe0 | (whole >> 12);
    bytes[at + 1] = 0x80 | ((whole >> 6) & 0x3f);
    bytes[at + 2] = 0x80 | (whole & 0x3f);
    return at + 3;
  }

  #escape(c: number, at: number): number {
    const { bytes } = this;
    const short = shortEscapes[c] ?? 0;
    if (short !== 0) {
      bytes[at] = backslash;
      bytes[at + 1] = short;
      return at + 2;
    }
    bytes[at] = backslash;
    bytes[at + 1] = 0x75;
    bytes[at + 2] = 0x30;
    bytes[at + 3] = 0x30;
    bytes[at + 4] = hex.charCodeAt(c >> 4);
    bytes[at + 5] = hex.charCodeAt(c & 15);
    return at + 6;
  }

  #hex(letter: number, c: number, at: number): number {
    const { bytes } = this;
    bytes[at] = backslash;
    bytes[at + 1] = letter;
    bytes[at + 2] = hex.charCodeAt(c >> 4);
    bytes[at + 3] = hex.charCodeAt(c & 15);
    return at + 4;
  }
}
