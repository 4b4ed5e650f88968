/**
 * A named resource with its two generations: the active one serves until its successor has all it needs (a cluster its
 * endpoints, a listener its routes) or the time to wait for that is over.
 */
import type { Timer } from '@chainmail/runtime';

export interface Entry<C> {
  readonly compiled: C;
  /** The message as received, for /config_dump and to tell whether a resource has changed. */
  readonly raw: Uint8Array;
  readonly version: string;
  readonly updatedMs: number;
}

export class Slot<C> {
  /** From the bootstrap: no update may replace or remove it. */
  readonly isStatic: boolean;
  active: Entry<C> | null = null;
  warming: Entry<C> | null = null;
  /** The wait of the warming entry is over, whatever is missing. */
  waitedEnough = false;
  #timer: Timer | null = null;

  constructor(isStatic: boolean) {
    this.isStatic = isStatic;
  }

  /** The newest generation. */
  get newest(): Entry<C> | null {
    return this.warming ?? this.active;
  }

  /** @param wait starts the timer of the wait, or null for none */
  offer(entry: Entry<C>, wait: ((done: () => void) => Timer) | null, onTimeout: () => void): void {
    this.cancel();
    this.warming = entry;
    this.waitedEnough = false;
    this.#timer =
      wait?.(() => {
        this.waitedEnough = true;
        onTimeout();
      }) ?? null;
  }

  /** Makes the warming entry the active one. */
  activate(): void {
    if (this.warming === null) return;
    this.active = this.warming;
    this.warming = null;
    this.cancel();
  }

  /** What the same messages give now. */
  recompile(compile: (entry: Entry<C>) => C): void {
    if (this.active !== null) this.active = { ...this.active, compiled: compile(this.active) };
    if (this.warming !== null) this.warming = { ...this.warming, compiled: compile(this.warming) };
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
