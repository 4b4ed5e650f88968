/**
 * Bytes that could not be handled when they came: the beginning of a head, or what a client sent ahead. They go back in
 * front of the next read. Memory is only held while there is something.
 */

const smallest = 512;

export class Stash {
  #buffer: Buffer | null = null;
  length = 0;
  /** Whether a line has ended since the last look: only then is it worth parsing again. */
  #sawLineEnd = false;

  /** Appends [start, end) of another buffer. */
  push(from: Buffer, start: number, end: number): void {
    if (start >= end) return;
    const needed = this.length + end - start;
    if (this.#buffer === null || this.#buffer.length < needed) {
      const grown = Buffer.allocUnsafeSlow(Math.max(smallest, needed, Math.min(needed * 2, 131_072)));
      this.#buffer?.copy(grown, 0, 0, this.length);
      this.#buffer = grown;
    }
    from.copy(this.#buffer, this.length, start, end);
    if (!this.#sawLineEnd) this.#sawLineEnd = this.#buffer.subarray(this.length, needed).includes(10);
    this.length = needed;
  }

  /** True once after a line has ended. */
  takeLineEnd(): boolean {
    const saw = this.#sawLineEnd;
    this.#sawLineEnd = false;
    return saw;
  }

  /** Copies everything so that it ends at `end` and forgets it; where it starts. */
  popBefore(to: Buffer, end: number): number {
    const start = end - this.length;
    this.#buffer?.copy(to, start, 0, this.length);
    this.clear();
    return start;
  }

  clear(): void {
    this.#buffer = null;
    this.length = 0;
    this.#sawLineEnd = false;
  }
}
