/**
 * The beginning of a request's body: kept until a connection is there, and for as long as another attempt may need it.
 * Invariant: `complete` is true only while the buffer holds every body byte that has come.
 */
import { FreeList } from '../worker/free-list.ts';
import { perWorker } from '../worker/per-worker.ts';
import type { Timers, WorkerRuntime } from '../worker/runtime.ts';

/** No more than this is kept for another attempt, whatever the cluster's buffer limit is. */
export const maxReplayBytes = 65_536;
const empty = Buffer.alloc(0);
/** Most bodies that come along with a request are small: their blocks go from request to request. */
const blockBytes = 1024;

export const replayBlocks = (timers: Timers): FreeList<Buffer> =>
  new FreeList(() => Buffer.allocUnsafeSlow(blockBytes), timers);

export const replayBlocksOf: (runtime: WorkerRuntime) => FreeList<Buffer> = perWorker(({ timers }) =>
  replayBlocks(timers),
);

export class ReplayBuffer {
  readonly #blocks: FreeList<Buffer>;
  #buffer: Buffer | null = null;
  #length = 0;
  #seen = 0;
  #armed = false;
  #limit = 0;

  constructor(blocks: FreeList<Buffer>) {
    this.#blocks = blocks;
  }

  /** A body begins. armed: it may have to be sent again. */
  begin(armed: boolean, bufferLimitBytes: number): void {
    this.#length = 0;
    this.#seen = 0;
    this.#armed = armed;
    this.#limit = Math.min(maxReplayBytes, bufferLimitBytes);
  }

  /** Everything that came can be sent (again). */
  get complete(): boolean {
    return this.#length === this.#seen;
  }

  get replayable(): boolean {
    return this.#armed;
  }

  /** Body bytes have come; keeps them if they may be needed again. */
  offer(from: Buffer, start: number, end: number): void {
    if (end === start) return;
    const whole = this.complete;
    this.#seen += end - start;
    if (!this.#armed || !whole) return;
    if (this.#seen <= this.#limit) this.#append(from, start, end);
    else this.#armed = false;
  }

  /** Keeps the bytes that were offered last although they are not to be replayed: nobody could take them yet. */
  keep(from: Buffer, start: number, end: number): void {
    if (this.#length < this.#seen) this.#append(from, start, end);
  }

  #append(from: Buffer, start: number, end: number): void {
    const needed = this.#length + end - start;
    const buffer = this.#buffer !== null && this.#buffer.length >= needed ? this.#buffer : this.#grow(needed);
    from.copy(buffer, this.#length, start, end);
    this.#length = needed;
  }

  #grow(needed: number): Buffer {
    const grown =
      needed <= blockBytes
        ? this.#blocks.take()
        : Buffer.allocUnsafeSlow(Math.max(needed, Math.min(needed * 2, maxReplayBytes)));
    this.#buffer?.copy(grown, 0, 0, this.#length);
    this.#release();
    this.#buffer = grown;
    return grown;
  }

  #release(): void {
    const buffer = this.#buffer;
    if (buffer === null) return;
    this.#buffer = null;
    if (buffer.length === blockBytes) this.#blocks.give(buffer);
  }

  /** What is held, in [0, length). */
  get bytes(): Buffer {
    return this.#buffer ?? empty;
  }

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#release();
    this.#length = 0;
  }
}
