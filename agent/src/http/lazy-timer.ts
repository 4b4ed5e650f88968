/**
 * A deadline that is moved far more often than it passes: moving it later costs a comparison, because the timer that is
 * set already fires early, looks, and is set again for the rest. One for each connection and exchange, made once.
 */
import type { LoopClock, TimerHandle, Timers } from '../worker/runtime.ts';

export class LazyTimer {
  readonly #clock: LoopClock;
  readonly #timers: Timers;
  readonly #call: () => void;
  readonly #fire: () => void;
  #handle: TimerHandle | null = null;
  #firesAt = 0;
  #deadline = Number.POSITIVE_INFINITY;

  constructor(clock: LoopClock, timers: Timers, call: () => void) {
    this.#clock = clock;
    this.#timers = timers;
    this.#call = call;
    this.#fire = () => this.#onFire();
  }

  /** Monotonic milliseconds; infinity for never. Replaces the deadline before. */
  set(deadlineMs: number): void {
    this.#deadline = deadlineMs;
    if (deadlineMs === Number.POSITIVE_INFINITY) return;
    if (this.#handle !== null) {
      if (this.#firesAt <= deadlineMs) return;
      this.#handle.cancel();
    }
    this.#start();
  }

  /** Never again, and nothing is left in the wheel. */
  stop(): void {
    this.#deadline = Number.POSITIVE_INFINITY;
    this.#handle?.cancel();
    this.#handle = null;
  }

  #start(): void {
    this.#firesAt = this.#deadline;
    this.#handle = this.#timers.after(Math.max(0, this.#deadline - this.#clock.nowMs), this.#fire);
  }

  #onFire(): void {
    this.#handle = null;
    if (this.#deadline === Number.POSITIVE_INFINITY) return;
    if (this.#clock.nowMs < this.#deadline) {
      this.#start();
      return;
    }
    this.#deadline = Number.POSITIVE_INFINITY;
    this.#call();
  }
}
