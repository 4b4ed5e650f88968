/**
 * How many downstream connections all workers have, and how many they may have: a cell for each worker in shared
 * memory, which only it writes. Invariant: a dead worker's cell is set to zero by whoever notices.
 */
const limitCell = 0;

export class ConnectionCensus {
  readonly #cells: Int32Array;
  readonly #own: number;

  /** cells: the limit (0: none), then a count for each worker. own: this worker's index. */
  constructor(cells: Int32Array, own: number) {
    this.#cells = cells;
    this.#own = 1 + own;
  }

  /** For one worker alone. */
  static single(): ConnectionCensus {
    return new ConnectionCensus(new Int32Array(2), 0);
  }

  static memory(workers: number): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * (1 + workers));
  }

  static limit(memory: SharedArrayBuffer, connections: number): void {
    Atomics.store(new Int32Array(memory), limitCell, connections);
  }

  static forget(memory: SharedArrayBuffer, worker: number): void {
    Atomics.store(new Int32Array(memory), 1 + worker, 0);
  }

  get own(): number {
    return this.#cells[this.#own] ?? 0;
  }

  /** Plain stores: nobody else writes the cell, and whoever reads it may be a moment late. */
  opened(): void {
    this.#cells[this.#own] = this.own + 1;
  }

  closed(): void {
    this.#cells[this.#own] = this.own - 1;
  }

  /** Workers that accept in the same instant may go over by one each, as they may in Envoy. */
  get isFull(): boolean {
    const limit = this.#cells[limitCell] ?? 0;
    if (limit <= 0) return false;
    let sum = 0;
    for (let i = 1; i < this.#cells.length; i++) sum += Atomics.load(this.#cells, i);
    return sum >= limit;
  }
}
