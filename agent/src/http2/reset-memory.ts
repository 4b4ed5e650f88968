/**
 * The streams that we have reset lately: what the peer sent before it knew is no error (RFC 9113 section 5.1). Bounded;
 * when more were reset than fit, the forgotten ones get the benefit of the doubt.
 */
const smallest = 8;
const largest = 256;

export class ResetMemory {
  #ids: Int32Array | null = null;
  #count = 0;
  /** Ids up to this one have been forgotten. */
  #forgotten = 0;

  add(id: number): void {
    let ids = this.#ids;
    if (ids === null) ids = this.#ids = new Int32Array(smallest);
    else if (this.#count === ids.length && ids.length < largest) {
      const grown = new Int32Array(ids.length * 2);
      grown.set(ids);
      ids = this.#ids = grown;
    }
    const slot = this.#count % ids.length;
    if (this.#count >= ids.length) this.#forgotten = Math.max(this.#forgotten, ids[slot] as number);
    ids[slot] = id;
    this.#count++;
  }

  has(id: number): boolean {
    if (this.#ids === null) return false;
    return id <= this.#forgotten || this.#ids.includes(id);
  }
}
