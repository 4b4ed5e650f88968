/**
 * The dynamic table of HPACK (RFC 7541 section 2.3.2): header lines in a buffer of its own, the newest last.
 * Invariant: the sizes of the entries (name + value + 32) add up to at most maxSize; live lines lie together in
 * [start, end) of `bytes`. Memory grows with what is in it, so that an idle connection pays little.
 */

const entryOverhead = 32;
const entryInts = 4;
const smallestEntries = 16;
const smallestBytes = 512;

/** Ids are never used twice in a thread, so that equal ids mean equal bytes. The static table has 1 to 61. */
let nextId = 64;

export class FieldTable {
  bytes: Buffer = Buffer.alloc(0);
  /** Entries that were ever inserted; the newest is number inserted - 1. */
  inserted = 0;
  count = 0;
  size = 0;
  maxSize: number;
  #start = 0;
  #end = 0;
  /** Four numbers for each entry: line, length of the name, length of the value, token. */
  #entries = new Int32Array(0);
  #ids = new Float64Array(0);
  #mask = -1;

  constructor(maxSize: number) {
    this.maxSize = maxSize;
  }

  /** Whether the entry with this number is still there. */
  holds(number: number): boolean {
    return this.inserted - number <= this.count && number >= 0;
  }

  lineOf(number: number): number {
    return this.#entries[(number & this.#mask) * entryInts] as number;
  }

  nameLengthOf(number: number): number {
    return this.#entries[(number & this.#mask) * entryInts + 1] as number;
  }

  valueLengthOf(number: number): number {
    return this.#entries[(number & this.#mask) * entryInts + 2] as number;
  }

  tokenOf(number: number): number {
    return this.#entries[(number & this.#mask) * entryInts + 3] as number;
  }

  idOf(number: number): number {
    return this.#ids[number & this.#mask] as number;
  }

  /** Changes the limit and drops what no longer fits. */
  resize(maxSize: number): void {
    this.maxSize = maxSize;
    this.#evictTo(maxSize);
  }

  #evictTo(size: number): void {
    while (this.size > size) {
      const oldest = this.inserted - this.count;
      this.size -= this.nameLengthOf(oldest) + this.valueLengthOf(oldest) + entryOverhead;
      this.count--;
      this.#start += this.nameLengthOf(oldest) + this.valueLengthOf(oldest) + 4;
    }
    if (this.count === 0) this.#start = this.#end = 0;
  }

  /**
   * Inserts a field whose name and value lie in other buffers. Its id, or 0 when it is larger than the table, which is
   * then empty (RFC 7541 section 4.4).
   */
  insert(
    names: Buffer,
    name: number,
    nameLength: number,
    values: Buffer,
    value: number,
    valueLength: number,
    token: number,
  ): number {
    const size = nameLength + valueLength + entryOverhead;
    this.#evictTo(size > this.maxSize ? 0 : this.maxSize - size);
    if (size > this.maxSize) return 0;
    const length = nameLength + valueLength + 4;
    if (this.#end + length > this.bytes.length) this.#makeRoom(length);
    if (this.count > this.#mask) this.#growEntries();
    const to = this.bytes;
    const at = this.#end;
    for (let i = 0; i < nameLength; i++) to[at + i] = names[name + i] as number;
    const middle = at + nameLength;
    to[middle] = 58;
    to[middle + 1] = 32;
    if (valueLength > 96) values.copy(to, middle + 2, value, value + valueLength);
    else for (let i = 0; i < valueLength; i++) to[middle + 2 + i] = values[value + i] as number;
    this.#end = at + length;
    to[this.#end - 2] = 13;
    to[this.#end - 1] = 10;
    const slot = this.inserted & this.#mask;
    const e = slot * entryInts;
    this.#entries[e] = at;
    this.#entries[e + 1] = nameLength;
    this.#entries[e + 2] = valueLength;
    this.#entries[e + 3] = token;
    const id = nextId++;
    this.#ids[slot] = id;
    this.inserted++;
    this.count++;
    this.size += size;
    return id;
  }

  /** Moves the live lines to the front, of a larger buffer when they fill more than half of this one. */
  #makeRoom(length: number): void {
    const live = this.#end - this.#start;
    const needed = live + length;
    const old = this.bytes;
    if (needed > old.length / 2)
      this.bytes = Buffer.allocUnsafeSlow(Math.max(smallestBytes, old.length * 2, needed * 2));
    old.copy(this.bytes, 0, this.#start, this.#end);
    for (let n = this.inserted - this.count; n < this.inserted; n++) {
      const e = (n & this.#mask) * entryInts;
      this.#entries[e] = (this.#entries[e] as number) - this.#start;
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
      for (let i = 0; i < entryInts; i++) entries[to + i] = this.#entries[from + i] as number;
      ids[n & (length - 1)] = this.#ids[n & this.#mask] as number;
    }
    this.#entries = entries;
    this.#ids = ids;
    this.#mask = length - 1;
  }
}
