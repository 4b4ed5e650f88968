/**
 * How many connections stand under each connection_limit filter, over all workers: a row of cells for each worker in
 * shared memory, which only it writes. Invariant: a dead worker's row is set to zero by whoever notices.
 */
import { UserError } from '@chainmail/runtime/errors';

/** Connection limits there may be at once; a page of memory for each worker. */
export const tallyCells = 1024;

export class ConnectionTallies {
  readonly #cells: Int32Array;
  readonly #row: number;

  /** cells: a row for each worker. own: this worker's index. */
  constructor(cells: Int32Array, own: number) {
    this.#cells = cells;
    this.#row = own * tallyCells;
  }

  /** For one worker alone. */
  static single(): ConnectionTallies {
    return new ConnectionTallies(new Int32Array(tallyCells), 0);
  }

  static memory(workers: number): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * tallyCells * workers);
  }

  static forget(memory: SharedArrayBuffer, worker: number): void {
    new Int32Array(memory).fill(0, worker * tallyCells, (worker + 1) * tallyCells);
  }

  /**
   * Counts one more, and says how many there are now. Two workers that add in the same instant may both see the other's:
   * then both may be refused the last place, but it is never given twice.
   */
  enter(cell: number): number {
    Atomics.add(this.#cells, this.#row + cell, 1);
    return this.count(cell);
  }

  leave(cell: number): void {
    Atomics.sub(this.#cells, this.#row + cell, 1);
  }

  count(cell: number): number {
    let sum = 0;
    for (let at = cell; at < this.#cells.length; at += tallyCells) sum += Atomics.load(this.#cells, at);
    return sum;
  }
}

/**
 * Which cell belongs to which limit: the main thread's half. A cell that is given to another limit while connections of
 * its old one drain counts these as well until they are gone.
 */
export class TallyCells {
  readonly #cells = new Map<string, number>();

  /** The same cell for the same name for as long as it is in use. @throws UserError CONNECTION_LIMITS_EXHAUSTED */
  obtain(name: string): number {
    const known = this.#cells.get(name);
    if (known !== undefined) return known;
    const taken = new Set(this.#cells.values());
    let cell = 0;
    while (taken.has(cell)) cell++;
    if (cell >= tallyCells) {
      throw new UserError('CONNECTION_LIMITS_EXHAUSTED', `${name}: there are ${tallyCells} connection limits already`, {
        hint: 'share a filter chain, or take some of the connection_limit filters out',
      });
    }
    this.#cells.set(name, cell);
    return cell;
  }

  /** Frees every cell that is not in use, once a configuration has taken effect. */
  retain(inUse: ReadonlySet<number>): void {
    for (const [name, cell] of this.#cells) if (!inUse.has(cell)) this.#cells.delete(name);
  }
}
