/**
 * The dynamic table of HPACK (RFC 7541 section 2.3.2): header lines in a buffer of its own, the newest last.
 * Invariant: the sizes of the entries (name + value + 32) add up to at most maxSize; live lines lie together in
 * [start, end) of `bytes`. Memory grows with what is in it, so that an idle connection pays little.
 */

import { copyWords, slack, viewOf } from '../http1/words.ts';

const entryOverhead = 32;
export const entryInts = 4;
const smallestEntries = 16;
const smallestBytes = 512;

export class FieldTable {
  bytes: Buffer = Buffer.alloc(0);
  view: DataView = viewOf(this.bytes);
  /** Entries that were ever inserted; the newest is number inserted - 1. */
  inserted = 0;
  count = 0;
  size = 0;
  maxSize: number;
  /** Changes whenever an index may mean something else. */
  version = 0;
  #start = 0;
  #end = 0;
  /** Four numbers for each slot: line, length of the name, length of the value, token. */
  entries: Int32Array = new Int32Array(0);
  ids: Float64Array = new Float64Array(0);
  #mask = -1;

  constructor(maxSize: number) {
    this.maxSize = maxSize;
  }

  /** Whether the entry with this number is still there. */
  holds(number: number): boolean {
    return this.inserted - number <= this.count && number >= 0;
  }

  /** Index of an entry that is there, in `entries` and `ids`. */
  slotOf(number: number): number {
    return number & this.#mask;
  }

  /** Changes the limit and drops what no longer fits. */
  resize(maxSize: number): void {
    this.maxSize = maxSize;
    this.version++;
    this.#evictTo(maxSize);
  }

  #evictTo(size: number): void {
    while (this.size > size) {
      const e = this.slotOf(this.inserted - this.count) * entryInts;
      const length = (this.entries[e + 1] as number) + (this.entries[e + 2] as number);
      this.size -= length + entryOverhead;
      this.#start += length + 4;
      this.count--;
    }
    if (this.count === 0) this.#start = this.#end = 0;
  }

  /**
   * Inserts a field whose name and value lie in other buffers. False when it is larger than the table, which is then
   * empty (RFC 7541 section 4.4).
   */
  insert(
    names: DataView,
    name: number,
    nameLength: number,
    values: DataView,
    value: number,
    valueLength: number,
    token: number,
    id: number,
  ): boolean {
    const size = nameLength + valueLength + entryOverhead;
    this.version++;
    this.#evictTo(size > this.maxSize ? 0 : this.maxSize - size);
    if (size > this.maxSize) return false;
    const length = nameLength + valueLength + 4;
    if (this.#end + length + slack > this.bytes.length) this.#makeRoom(length);
    if (this.count > this.#mask) this.#growEntries();
    const to = this.bytes;
    const at = this.#end;
    copyWords(names, name, this.view, at, nameLength);
    const middle = at + nameLength;
    to[middle] = 58;
    to[middle + 1] = 32;
    copyWords(values, value, this.view, middle + 2, valueLength);
    this.#end = at + length;
    to[this.#end - 2] = 13;
    to[this.#end - 1] = 10;
    const slot = this.inserted & this.#mask;
    const e = slot * entryInts;
    this.entries[e] = at;
    this.entries[e + 1] = nameLength;
    this.entries[e + 2] = valueLength;
    this.entries[e + 3] = token;
    this.ids[slot] = id;
    this.inserted++;
    this.count++;
    this.size += size;
    return true;
  }

  /** Moves the live lines to the front, of a larger buffer when they fill more than half of this one. */
  #makeRoom(length: number): void {
    const live = this.#end - this.#start;
    const needed = live + length + slack;
    const old = this.bytes;
    if (needed > old.length / 2) {
      this.bytes = Buffer.allocUnsafeSlow(Math.max(smallestBytes, old.length * 2, needed * 2));
      this.view = viewOf(this.bytes);
    }
    old.copy(this.bytes, 0, this.#start, this.#end);
    for (let n = this.inserted - this.count; n < this.inserted; n++) {
      const e = (n & this.#mask) * entryInts;
      this.entries[e] = (this.entries[e] as number) - this.#start;
    }
    this.#start = 0;
    this.#end = live;
  }

  #growEntries(): void {
    const length = Math.max(smallestEntries, (this.#mask + 1) * 2);
    const entries = new Int32Array(length * entryInts);
    const ids = new Float64Array(length);
    for (let n = this.inserted - this.count; n < this.inserted; n++) {
      const from = (n & this.#mask) * entryInts;
      const to = (n & (length - 1)) * entryInts;
      for (let i = 0; i < entryInts; i++) entries[to + i] = this.entries[from + i] as number;
      ids[n & (length - 1)] = this.ids[n & this.#mask] as number;
    }
    this.entries = entries;
    this.ids = ids;
    this.#mask = length - 1;
  }
}
