/**
 * How the HPACK encoder finds what is in its table: by identity, by the hash of the whole field, by the hash of a name.
 * Fields and names are found by chains through the entries, newest first, so that nothing that is in the table is ever
 * missed: a missed field would be inserted again, push out others that are missed next, and so on with every message.
 * Invariant: a number that is returned is that of a live entry, and its bytes have been compared unless it was found by id.
 */
import { equalWords } from '../http1/words.ts';
import { entryInts, type FieldTable } from './field-table.ts';

const fieldBuckets = 128;
const nameBuckets = 32;
const idSlots = 64;
/** An entry's links: hash of the field, older entry in that bucket; hash of the name, older entry in that bucket. */
const linkInts = 4;
const none = -1;

export class FieldIndex {
  readonly #table: FieldTable;
  readonly #fields = new Float64Array(fieldBuckets).fill(none);
  readonly #names = new Float64Array(nameBuckets).fill(none);
  readonly #idKeys = new Float64Array(idSlots);
  readonly #idNumbers = new Float64Array(idSlots);
  /** By slot of the table. */
  #links = new Float64Array(0);

  constructor(table: FieldTable) {
    this.#table = table;
  }

  /** The entry of a field with this id; -1 when none is known. */
  byId(id: number): number {
    const slot = id & (idSlots - 1);
    const number = this.#idNumbers[slot] as number;
    return this.#idKeys[slot] === id && this.#table.holds(number) ? number : none;
  }

  rememberId(id: number, number: number): void {
    const slot = id & (idSlots - 1);
    this.#idKeys[slot] = id;
    this.#idNumbers[slot] = number;
  }

  /** The entry of a whole field, or -1. */
  byField(
    hash: number,
    names: DataView,
    name: number,
    nameBytes: number,
    values: DataView,
    value: number,
    valueBytes: number,
  ): number {
    const table = this.#table;
    let number = this.#fields[hash & (fieldBuckets - 1)] as number;
    while (table.holds(number)) {
      const slot = table.slotOf(number);
      const link = slot * linkInts;
      if (this.#links[link] === hash) {
        const e = slot * entryInts;
        const line = table.entries[e] as number;
        if (
          table.entries[e + 1] === nameBytes &&
          table.entries[e + 2] === valueBytes &&
          equalWords(table.view, line, names, name, nameBytes) &&
          equalWords(table.view, line + nameBytes + 2, values, value, valueBytes)
        ) {
          return number;
        }
      }
      number = this.#links[link + 1] as number;
    }
    return none;
  }

  /** The newest entry that was added for its name, or -1. */
  byName(hash: number, names: DataView, name: number, nameBytes: number): number {
    const table = this.#table;
    let number = this.#names[hash & (nameBuckets - 1)] as number;
    while (table.holds(number)) {
      const slot = table.slotOf(number);
      const link = slot * linkInts;
      if (this.#links[link + 2] === hash) {
        const e = slot * entryInts;
        const line = table.entries[e] as number;
        if (table.entries[e + 1] === nameBytes && equalWords(table.view, line, names, name, nameBytes)) return number;
      }
      number = this.#links[link + 3] as number;
    }
    return none;
  }

  /** The entry that the table has just inserted; a hash is 0 when nobody will look for it that way. */
  add(fieldHash: number, nameHash: number): void {
    const table = this.#table;
    const number = table.inserted - 1;
    if (this.#links.length !== table.ids.length * linkInts) this.#grow();
    const link = table.slotOf(number) * linkInts;
    this.#links[link] = fieldHash;
    this.#links[link + 1] = none;
    this.#links[link + 2] = nameHash;
    this.#links[link + 3] = none;
    if (fieldHash !== 0) {
      const bucket = fieldHash & (fieldBuckets - 1);
      this.#links[link + 1] = this.#fields[bucket] as number;
      this.#fields[bucket] = number;
    }
    if (nameHash !== 0) {
      const bucket = nameHash & (nameBuckets - 1);
      this.#links[link + 3] = this.#names[bucket] as number;
      this.#names[bucket] = number;
    }
  }

  /** The table has more slots now, and its entries lie elsewhere. */
  #grow(): void {
    const table = this.#table;
    const old = this.#links;
    const oldMask = old.length / linkInts - 1;
    const links = new Float64Array(table.ids.length * linkInts);
    for (let number = table.inserted - table.count; number < table.inserted - 1; number++) {
      const from = (number & oldMask) * linkInts;
      links.set(old.subarray(from, from + linkInts), table.slotOf(number) * linkInts);
    }
    this.#links = links;
  }
}
