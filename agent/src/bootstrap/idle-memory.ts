/**
 * Gives back what only compiling configuration needs: descriptors, what was parsed, and the pages that held them.
 * It runs when no configuration came for a while, since what it drops is built anew for the next one.
 */
import type { Clock, Timer } from '@chainmail/runtime';
import { releaseDescriptors } from '@chainmail/xds';
import { trimHeap } from '../sys/heap.ts';

const quietMs = 3_000;

export class IdleMemory {
  readonly #clock: Clock;
  readonly #release: () => void;
  #timer: Timer | null = null;

  constructor(clock: Clock, release: () => void = releaseAll) {
    this.#clock = clock;
    this.#release = release;
  }

  /** Configuration was compiled: wait for quiet, anew. */
  touched(): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(quietMs, this.#release);
  }

  stop(): void {
    this.#timer?.cancel();
  }
}

function releaseAll(): void {
  releaseDescriptors();
  // There when Node runs with --expose-gc, as the command does; V8 alone would wait for an allocation that never comes.
  const collect = (globalThis as { gc?: (options: { type: string; flavor: string }) => void }).gc;
  collect?.({ type: 'major', flavor: 'last-resort' });
  trimHeap();
}
