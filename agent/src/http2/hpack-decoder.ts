/**
 * HPACK decoding (RFC 7541): a header block becomes lines `name: value CRLF` in the bytes of a Head, each of which is
 * handed to the HeadAssembly. One per connection, for the blocks of all its streams in their order.
 * Invariant: an error here is an error of the connection (COMPRESSION_ERROR), because the tables no longer agree; what
 * is wrong with a message is the assembly's business.
 */
import { tokenLower, valueByte } from '../http1/character-classes.ts';
import type { Head } from '../http1/head.ts';
import { findHeader } from '../http1/known-headers.ts';
import { copyWords, hashWords, mayHaveControls, slack } from '../http1/words.ts';
import { fieldIdOf } from './field-ids.ts';
import { entryInts, FieldTable } from './field-table.ts';
import type { HeadAssembly } from './head-assembly.ts';
import { HeadMemo } from './head-memo.ts';
import { decodedBound, huffmanDecode, lastDecodeBad } from './huffman.ts';
import {
  isFixed,
  lineAt,
  nameLength,
  pseudo,
  pseudoToken,
  staticCount,
  staticToken,
  staticView,
  valueLength,
} from './static-table.ts';

/** The size that a table has before SETTINGS say otherwise. */
export const initialTableSize = 4096;
/** Lengths and indexes above this are refused: 28 bits. */
const maxShift = 21;
const neverIndexed = -1;
/** A memo of indexes alone is worth it from so many on; a connection keeps so many memos, of heads up to so large. */
const fewestIndexes = 4;
const memoSlots = 8;
const memoBytes = 4096;
/** So many whole blocks in a row may be new before only one in so many is looked at as a whole. */
const wholeTries = 8;
const wholeEvery = 32;

/** Name bytes: lower-case tchar (RFC 9113 section 8.2.1). */
const nameByte: Uint8Array = Uint8Array.from({ length: 256 }, (_, c) => (tokenLower[c] === c && c !== 0 ? 1 : 0));

export class HpackDecoder {
  readonly #table = new FieldTable(initialTableSize);
  /** What the peer may set the table to; ours, once it has acknowledged our SETTINGS. */
  #limit = initialTableSize;
  /** The acknowledged limit is below the size in use: the next block must begin with an update. */
  #mustShrink = false;
  /** Registers of the readers below: the number or end position just read. */
  #number = 0;
  #next = 0;
  #bad = false;
  readonly #remembers: boolean;
  #memos: (HeadMemo | null)[] | null = null;
  /** The hash of what each slot was asked for last: a memo is made for what comes twice. */
  readonly #seen = new Int32Array(memoSlots);
  #tries = wholeTries;
  #passed = 0;

  /** `remembers`: whether what repeats is taken from memos, which changes nothing but the time. */
  constructor(remembers = true) {
    this.#remembers = remembers;
  }

  /** The peer has acknowledged our SETTINGS_HEADER_TABLE_SIZE. */
  setLimit(size: number): void {
    this.#limit = size;
    this.#mustShrink = size < this.#table.maxSize;
  }

  /** Decodes a whole header block in [start, end), with slack behind it. False when the compression state is lost. */
  decode(b: Buffer, view: DataView, start: number, end: number, assembly: HeadAssembly): boolean {
    let p = start;
    while (p < end && ((b[p] as number) & 0xe0) === 0x20) {
      if (!this.#integer(b, p, end, 31) || this.#number > this.#limit) return false;
      this.#table.resize(this.#number);
      this.#mustShrink = false;
      p = this.#next;
    }
    if (this.#mustShrink) return false;
    return this.#fields(b, view, this.#recalled(b, view, p, end, assembly), end, assembly);
  }

  /** Takes from a memo a whole block that repeats, or else the indexed fields it begins with; where the others begin. */
  #recalled(b: Buffer, view: DataView, start: number, end: number, assembly: HeadAssembly): number {
    if (!this.#remembers || !assembly.isGood) return start;
    let p = start;
    while (p < end && (b[p] as number) >= 128 && b[p] !== 255) p++;
    if (p < end && this.#looksAtWhole() && changesNothing(b, p, end)) {
      if (this.#recall(b, view, start, end, assembly) === end) {
        this.#tries = wholeTries;
        return end;
      }
      this.#tries--;
    }
    return p - start < fewestIndexes ? start : this.#recall(b, view, start, p, assembly);
  }

  /** Whoever writes something new into each block should not pay for memos that nobody needs. */
  #looksAtWhole(): boolean {
    return this.#tries > 0 || ++this.#passed % wholeEvery === 0;
  }

  /** Takes [start, end) from a memo when it was seen twice before with the same tables: `end` then, otherwise `start`. */
  #recall(b: Buffer, view: DataView, start: number, end: number, assembly: HeadAssembly): number {
    const { kind } = assembly;
    const length = end - start;
    const hash = hashWords(view, start, end, kind.length);
    const slot = (hash >>> 8) & (memoSlots - 1);
    const { version } = this.#table;
    const memo = this.#memos?.[slot];
    if (memo?.matches(kind, hash, version, view, start, length)) {
      assembly.resume(memo);
      return end;
    }
    if (this.#seen[slot] !== hash) {
      this.#seen[slot] = hash;
      return start;
    }
    if (!this.#fields(b, view, start, end, assembly)) return start;
    if (assembly.isGood && assembly.head.used <= memoBytes) {
      this.#remember(slot, hash, view, start, length, assembly);
    }
    return end;
  }

  #remember(slot: number, hash: number, view: DataView, start: number, length: number, assembly: HeadAssembly): void {
    this.#memos ??= new Array<HeadMemo | null>(memoSlots).fill(null);
    const memo = this.#memos[slot] ?? new HeadMemo();
    this.#memos[slot] = memo;
    memo.keep(assembly.head, assembly.kind, hash, this.#table.version, view, start, length);
    assembly.keepState(memo.state);
  }

  #fields(b: Buffer, view: DataView, start: number, end: number, assembly: HeadAssembly): boolean {
    let p = start;
    while (p < end) {
      const first = b[p] as number;
      if (first >= 128) {
        let index = first & 127;
        p++;
        if (index === 127) {
          if (!this.#integer(b, p - 1, end, 127)) return false;
          index = this.#number;
          p = this.#next;
        }
        if (!this.#indexed(index, assembly)) return false;
      } else if (first >= 64) {
        p = this.#literal(b, view, p, end, 63, true, assembly);
      } else if (first < 32) {
        p = this.#literal(b, view, p, end, 15, false, assembly);
      } else return false; // a size update behind a field
      if (p < 0) return false;
    }
    return true;
  }

  /** An integer with a prefix of `mask` (RFC 7541 section 5.1), in #number, and #next behind it. */
  #integer(b: Buffer, start: number, end: number, mask: number): boolean {
    let p = start;
    let value = (b[p++] as number) & mask;
    if (value === mask) {
      for (let shift = 0; ; shift += 7) {
        if (p >= end || shift > maxShift) return false;
        const c = b[p++] as number;
        value += (c & 127) << shift;
        if (c < 128) break;
      }
    }
    this.#number = value;
    this.#next = p;
    return true;
  }

  #indexed(index: number, assembly: HeadAssembly): boolean {
    if (index > staticCount) {
      const table = this.#table;
      const number = table.inserted - (index - staticCount);
      if (!table.holds(number)) return false;
      const { entries } = table;
      const slot = table.slotOf(number);
      const e = slot * entryInts;
      copyLine(
        assembly,
        table.view,
        entries[e] as number,
        entries[e + 1] as number,
        entries[e + 2] as number,
        entries[e + 3] as number,
        table.ids[slot] as number,
      );
      return true;
    }
    if (index === 0) return false;
    if (isFixed[index] === 1 && assembly.fixed(index)) return true;
    copyLine(
      assembly,
      staticView,
      lineAt[index] as number,
      nameLength[index] as number,
      valueLength[index] as number,
      staticToken[index] as number,
      index,
    );
    return true;
  }

  /** The position behind a literal field, or -1. */
  #literal(
    b: Buffer,
    view: DataView,
    start: number,
    end: number,
    mask: number,
    index: boolean,
    assembly: HeadAssembly,
  ): number {
    const never = ((b[start] as number) & 0x50) === 0x10;
    if (!this.#integer(b, start, end, mask)) return -1;
    const { head } = assembly;
    const line = head.used;
    const known =
      this.#number === 0 ? this.#nameLiteral(b, view, this.#next, end, head) : this.#nameIndexed(this.#number, head);
    if (known < 0) return -1;
    const nameEnd = head.used;
    head.used = nameEnd + 2;
    if (!this.#string(b, view, this.#next, end, head)) return -1;
    const to = head.bytes;
    const valueEnd = head.used;
    to[nameEnd] = 58;
    to[nameEnd + 1] = 32;
    to[valueEnd] = 13;
    to[valueEnd + 1] = 10;
    head.used = valueEnd + 2;
    const value = nameEnd + 2;
    const fieldToken = this.#bad || isPadded(to, value, valueEnd) ? pseudo.invalid : known;
    const next = this.#next;
    let id = never ? neverIndexed : 0;
    if (index) id = this.#insert(head.view, line, nameEnd - line, value, valueEnd - value, fieldToken);
    assembly.field(fieldToken, line, nameEnd, value, valueEnd, id);
    return next;
  }

  /** The id of the new entry, or 0 when the table is too small for it. */
  #insert(view: DataView, line: number, nameBytes: number, value: number, valueBytes: number, known: number): number {
    const id = fieldIdOf(view, line, nameBytes + valueBytes + 4, nameBytes, known);
    return this.#table.insert(view, line, nameBytes, view, value, valueBytes, known, id) ? id : 0;
  }

  /** Copies the name of a table entry; its token, or -1 when there is no such entry. */
  #nameIndexed(index: number, head: Head): number {
    const next = this.#next;
    let from = staticView;
    let at = 0;
    let length = 0;
    let known = 0;
    let invalid = false;
    if (index <= staticCount) {
      at = lineAt[index] as number;
      length = nameLength[index] as number;
      known = staticToken[index] as number;
    } else {
      const table = this.#table;
      const number = table.inserted - (index - staticCount);
      if (!table.holds(number)) return -1;
      const e = table.slotOf(number) * entryInts;
      from = table.view;
      at = table.entries[e] as number;
      length = table.entries[e + 1] as number;
      known = table.entries[e + 3] as number;
      invalid = known === pseudo.invalid;
    }
    head.reserve(length + 8);
    const o = head.used;
    copyWords(from, at, head.view, o, length);
    head.used = o + length;
    // The value was what is wrong with the entry, or the name: judged again, since only its bytes count here.
    if (invalid) known = judgeName(head.bytes, o, o + length);
    this.#next = next;
    return known;
  }

  /** Decodes a name; its token (0 for an unknown name, `invalid` for one that cannot be), or -1. */
  #nameLiteral(b: Buffer, view: DataView, start: number, end: number, head: Head): number {
    const from = head.used;
    if (!this.#string(b, view, start, end, head)) return -1;
    return judgeName(head.bytes, from, head.used);
  }

  /** Decodes a string literal to head.used and leaves room for a line end behind it; #bad says that it is no value. */
  #string(b: Buffer, view: DataView, start: number, end: number, head: Head): boolean {
    if (start >= end) return false;
    const huffman = (b[start] as number) >= 128;
    if (!this.#integer(b, start, end, 127)) return false;
    const length = this.#number;
    const from = this.#next;
    if (length > end - from) return false;
    this.#next = from + length;
    if (huffman) {
      head.reserve(decodedBound(length) + 4);
      const o = huffmanDecode(b, from, from + length, head.bytes, head.used);
      if (o < 0) return false;
      this.#bad = lastDecodeBad;
      head.used = o;
      return true;
    }
    head.reserve(length + 4);
    const o = head.used;
    copyWords(view, from, head.view, o, length);
    this.#bad = mayHaveControls(head.view, o, o + length) && hasBadByte(head.bytes, o, o + length);
    head.used = o + length;
    return true;
  }
}

/**
 * Whether a block is only of indexes and of literals that enter no table, all of them short: then equal bytes mean equal
 * fields. Literals that are never to be indexed are not remembered in any other way either.
 */
function changesNothing(b: Buffer, start: number, end: number): boolean {
  let p = start;
  while (p < end) {
    const first = b[p++] as number;
    if (first >= 128) {
      if (first === 255) return false;
      continue;
    }
    if (first >= 16) return false;
    if (first === 15) while (p < end && (b[p++] as number) >= 128);
    for (let strings = first === 0 ? 2 : 1; strings > 0; strings--) {
      if (p >= end) return false;
      const length = (b[p] as number) & 127;
      if (length === 127) return false;
      p += 1 + length;
    }
  }
  return p === end;
}

function hasBadByte(b: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (valueByte[b[i] as number] === 0) return true;
  return false;
}

/** RFC 9113 section 8.2.1: a value neither begins nor ends with white space. */
function isPadded(b: Buffer, start: number, end: number): boolean {
  if (start === end) return false;
  const first = b[start] as number;
  const last = b[end - 1] as number;
  return first === 32 || first === 9 || last === 32 || last === 9;
}

function judgeName(b: Buffer, start: number, end: number): number {
  if (start === end) return pseudo.invalid;
  const colon = b[start] === 58;
  let hash = 0;
  for (let i = colon ? start + 1 : start; i < end; i++) {
    const c = b[i] as number;
    if (nameByte[c] === 0) return pseudo.invalid;
    hash = (Math.imul(hash, 31) + c) | 0;
  }
  return colon ? pseudoToken(b, start, end) : findHeader(hash, b, start, end);
}

function copyLine(
  assembly: HeadAssembly,
  from: DataView,
  at: number,
  nameBytes: number,
  valueBytes: number,
  known: number,
  id: number,
): void {
  const { head } = assembly;
  const length = nameBytes + valueBytes + 4;
  const o = head.used;
  if (o + length + slack > head.bytes.length) head.reserve(length);
  copyWords(from, at, head.view, o, length);
  head.used = o + length;
  const nameEnd = o + nameBytes;
  assembly.field(known, o, nameEnd, nameEnd + 2, nameEnd + 2 + valueBytes, id);
}
