/**
 * The open streams of a connection by id. Ids are odd and grow, so that the lower bits find nearly all of them in a
 * table that is at least twice as large as what is open; the others are in a map.
 */
import type { Http2Stream } from './stream.ts';

const smallest = 8;
const largest = 1024;

export class StreamTable {
  size = 0;
  #slots: (Http2Stream | null)[] = new Array(smallest).fill(null);
  #mask = smallest - 1;
  #others: Map<number, Http2Stream> | null = null;

  get(id: number): Http2Stream | null {
    const stream = this.#slots[(id >>> 1) & this.#mask] as Http2Stream | null;
    if (stream !== null && stream.id === id) return stream;
    return this.#others === null ? null : (this.#others.get(id) ?? null);
  }

  add(stream: Http2Stream): void {
    if (++this.size > this.#slots.length / 2 && this.#slots.length < largest) this.#grow();
    this.#place(stream);
  }

  #place(stream: Http2Stream): void {
    const slot = (stream.id >>> 1) & this.#mask;
    if (this.#slots[slot] === null) this.#slots[slot] = stream;
    else (this.#others ??= new Map()).set(stream.id, stream);
  }

  #grow(): void {
    const streams = this.all();
    this.#slots = new Array(this.#slots.length * 2).fill(null);
    this.#mask = this.#slots.length - 1;
    this.#others = null;
    for (const stream of streams) this.#place(stream);
  }

  remove(stream: Http2Stream): void {
    const slot = (stream.id >>> 1) & this.#mask;
    if (this.#slots[slot] === stream) this.#slots[slot] = null;
    else if (this.#others === null || !this.#others.delete(stream.id)) return;
    this.size--;
  }

  /** For the rare case that all of them are concerned. */
  all(): Http2Stream[] {
    const found: Http2Stream[] = [];
    if (this.size === 0) return found;
    for (const stream of this.#slots) if (stream !== null) found.push(stream);
    if (this.#others !== null) found.push(...this.#others.values());
    return found;
  }
}
