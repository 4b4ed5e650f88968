/**
 * What was found for a Host or :authority, by its bytes: the requests of a moment name the same few hosts, and none of
 * them needs a string then. Invariant: an answer is given for equal bytes only; strangers choose the names, so the
 * memory has a fixed number of places, and the last comer has its place.
 */
import type { ByteRange } from '../http/request-view.ts';

const places = 64;
const longest = 255;

interface Remembered<T> {
  readonly name: Uint8Array;
  readonly found: T;
}

export class RememberedHosts<T> {
  readonly #find: (authority: string) => T;
  readonly #places: (Remembered<T> | undefined)[] = new Array(places);

  constructor(find: (authority: string) => T) {
    this.#find = find;
  }

  of(authority: ByteRange): T {
    const { bytes, start, end } = authority;
    let hash = 0;
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0;
    const place = (hash ^ (hash >>> 12)) & (places - 1);
    const known = this.#places[place];
    if (known !== undefined && isSame(known.name, bytes, start, end)) return known.found;
    const found = this.#find(authority.text());
    if (end - start <= longest) this.#places[place] = { name: bytes.slice(start, end), found };
    return found;
  }
}

function isSame(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[start + i]) return false;
  return true;
}
