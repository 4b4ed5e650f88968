/**
 * Objects of one kind that are not in use, to be used again. As many are kept as were in use at once in the last seconds,
 * however many that was: with a fixed bound whatever is in flight beyond it is made anew for every request, and the
 * collector then takes most of the processor (five times the cost of a call with 512 at once, where 256 were kept).
 */
import type { Timers } from './runtime.ts';

/** So many stay for good. */
const fewestKept = 64;
const trimMs = 5_000;

export class FreeList<T> {
  readonly #make: () => T;
  readonly #timers: Timers;
  readonly #free: T[] = [];
  /** How many there are, free or lent. */
  #made = 0;
  /** The fewest that were free since the last trim: nobody has needed these. */
  #idle = 0;
  #waiting = false;
  readonly #onTrim = (): void => this.#trim();

  constructor(make: () => T, timers: Timers) {
    this.#make = make;
    this.#timers = timers;
  }

  /** How many are free. */
  get size(): number {
    return this.#free.length;
  }

  /** How many are in use. */
  get lent(): number {
    return this.#made - this.#free.length;
  }

  /** The one that was given last, or a new one. */
  take(): T {
    const item = this.#free.pop();
    if (item === undefined) return this.#makeOne();
    if (this.#free.length < this.#idle) this.#idle = this.#free.length;
    return item;
  }

  #makeOne(): T {
    this.#made++;
    return this.#make();
  }

  give(item: T): void {
    this.#free.push(item);
    if (!this.#waiting && this.#free.length > fewestKept) this.#trimLater(0);
  }

  #trimLater(idle: number): void {
    this.#waiting = true;
    this.#idle = idle;
    this.#timers.after(trimMs, this.#onTrim);
  }

  #trim(): void {
    this.#waiting = false;
    const surplus = Math.min(this.#idle, this.#free.length - fewestKept);
    if (surplus > 0) this.#made -= this.#free.splice(0, surplus).length;
    if (this.#free.length > fewestKept) this.#trimLater(this.#free.length);
  }
}
