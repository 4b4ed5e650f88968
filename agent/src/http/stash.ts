/**
 * Bytes that could not be handled when they came: the beginning of a head, or what a client sent ahead. They go back in
 * front of the next read. Memory is only held while there is something.
 */

const smallest = 512;
/** Up to here a head is looked at again after every line; a longer one only when it has grown by a quarter or ended. */
const looksAtLines = 65_536;
const lf = 10;
const cr = 13;

export class Stash {
  #buffer: Buffer | null = null;
  length = 0;
  /** Whether a line has ended since the last look: only then is it worth parsing again. */
  #sawLineEnd = false;
  /** Whether an empty line has, which is the end of a head. */
  #sawEmptyLine = false;
  /** Length at the last look. */
  #looked = 0;

  /** Appends [start, end) of another buffer. */
  push(from: Buffer, start: number, end: number): void {
    if (start >= end) return;
    if (this.length === 0 && end - start < this.#looked) this.#looked = 0;
    const needed = this.length + end - start;
    if (this.#buffer === null || this.#buffer.length < needed) {
      const ahead = Math.min(needed * 2, Math.max(131_072, needed + (needed >> 2)));
      const grown = Buffer.allocUnsafeSlow(Math.max(smallest, ahead));
      this.#buffer?.copy(grown, 0, 0, this.length);
      this.#buffer = grown;
    }
    from.copy(this.#buffer, this.length, start, end);
    this.#lookForLines(this.#buffer.subarray(0, needed), this.length);
    this.length = needed;
  }

  #lookForLines(buffer: Buffer, start: number): void {
    for (let at = buffer.indexOf(lf, start); at >= 0; at = buffer.indexOf(lf, at + 1)) {
      this.#sawLineEnd = true;
      const before = at > 0 && buffer[at - 1] === cr ? at - 2 : at - 1;
      if (before >= 0 && buffer[before] === lf) {
        this.#sawEmptyLine = true;
        return;
      }
    }
  }

  /**
   * True once after a line has ended. Beyond 64 KiB a head is parsed again only when it is a quarter longer than the
   * last time, or complete: a head of many lines in many pieces would otherwise cost the square of its length.
   */
  takeLineEnd(): boolean {
    if (!this.#sawLineEnd) return false;
    if (this.length > looksAtLines && !this.#sawEmptyLine && this.length < this.#looked + (this.#looked >> 2)) {
      return false;
    }
    this.#sawLineEnd = false;
    this.#sawEmptyLine = false;
    this.#looked = this.length;
    return true;
  }

  /** Copies everything so that it ends at `end` and forgets it; where it starts. */
  popBefore(to: Buffer, end: number): number {
    const start = this.lendBefore(to, end);
    this.#buffer = null;
    return start;
  }

  /**
   * The same, but the memory stays for what comes back of it, until release(): of many requests that a client sent ahead
   * all but the first come back each time.
   */
  lendBefore(to: Buffer, end: number): number {
    const start = end - this.length;
    this.#buffer?.copy(to, start, 0, this.length);
    this.length = 0;
    this.#sawLineEnd = false;
    this.#sawEmptyLine = false;
    return start;
  }

  /** Lets go of memory that holds nothing. */
  release(): void {
    if (this.length === 0) this.#buffer = null;
  }

  clear(): void {
    this.#buffer = null;
    this.length = 0;
    this.#sawLineEnd = false;
    this.#sawEmptyLine = false;
    this.#looked = 0;
  }
}
