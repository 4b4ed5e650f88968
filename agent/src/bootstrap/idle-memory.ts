/**
 * Gives memory back. What only compiling configuration needs (descriptors, what was parsed) goes when no configuration
 * came for a while, since it is built anew for the next one. What V8's compilers allocated and freed when traffic
 * began (10 to 20 MB that malloc keeps) goes whenever the process has grown.
 */
import type { Clock, Timer } from '@chainmail/runtime';
import { holdsDescriptors, releaseDescriptors } from '@chainmail/xds';
import { forgetColdCode, trimHeap } from '../sys/heap.ts';

const quietMs = 3_000;
const lookEveryMs = 10_000;
/** Less is not worth walking malloc's lists, some milliseconds in which an allocation of a worker waits. */
const grownBytes = 4 * 1024 * 1024;

/** What it acts on; the process, except in tests. */
export interface MemoryHold {
  residentBytes(): number;
  /** Something asked for a descriptor since the last release: an acknowledgement or /config_dump, say. */
  holdsConfiguration(): boolean;
  releaseConfiguration(): void;
  trim(): void;
}

export class IdleMemory {
  readonly #clock: Clock;
  readonly #hold: MemoryHold;
  #quiet: Timer | null = null;
  #look: Timer | null = null;
  /** Size at the first look after a trim: by then what is still in use has come back. */
  #usualBytes: number | null = 0;

  constructor(clock: Clock, hold: MemoryHold = processMemory) {
    this.#clock = clock;
    this.#hold = hold;
    this.#lookAgain();
  }

  /** Configuration was compiled: wait for quiet, anew. */
  touched(): void {
    this.#quiet?.cancel();
    this.#quiet = this.#clock.after(quietMs, () => {
      this.#quiet = null;
      this.#hold.releaseConfiguration();
      this.#trim();
    });
  }

  stop(): void {
    this.#quiet?.cancel();
    this.#look?.cancel();
  }

  #lookAgain(): void {
    this.#look = this.#clock.after(lookEveryMs, () => {
      if (this.#quiet === null && this.#hold.holdsConfiguration()) this.touched();
      const bytes = this.#hold.residentBytes();
      if (this.#usualBytes === null) this.#usualBytes = bytes;
      else if (bytes > this.#usualBytes + grownBytes) this.#trim();
      this.#lookAgain();
    });
  }

  #trim(): void {
    this.#hold.trim();
    this.#usualBytes = null;
  }
}

const processMemory: MemoryHold = {
  residentBytes() {
    try {
      return process.memoryUsage.rss();
    } catch {
      return 0; // read from a file, and a flooded process may have no descriptor left for it
    }
  },
  holdsConfiguration: holdsDescriptors,
  releaseConfiguration() {
    releaseDescriptors();
    // There when Node runs with --expose-gc, as the command does; V8 alone would wait for an allocation that never comes.
    const collect = (globalThis as { gc?: (options: { type: string; flavor: string }) => void }).gc;
    collect?.({ type: 'major', flavor: 'last-resort' });
  },
  trim() {
    trimHeap();
    forgetColdCode();
  },
};
