/**
 * Gives memory back. What only compiling configuration needs (descriptors, what was parsed) goes when no configuration
 * came for a while, since it is built anew for the next one. What V8's compilers allocated and freed when traffic
 * began (10 to 20 MB that malloc keeps) goes whenever the process has grown.
 */
import type { Clock, Timer } from '@chainmail/runtime';
import { holdsDescriptors, releaseDescriptors } from '@chainmail/xds';
import { releaseYaml } from '@chainmail/xds/text';
import { anonymousBytes, collectGarbage, forgetColdCode, trimHeap } from '../sys/heap.ts';

const quietMs = 3_000;
const lookEveryMs = 5_000;
/** Less is not worth walking malloc's lists, some milliseconds in which an allocation of a worker waits. */
const grownBytes = 4 * 1024 * 1024;

/** What it acts on; the process, except in tests. */
export interface MemoryHold {
  /** Memory that no file stands behind; what a trim cannot give back of it is in use. */
  anonymousBytes(): number;
  /** Something asked for a descriptor since the last release: an acknowledgement or /config_dump, say. */
  holdsConfiguration(): boolean;
  releaseConfiguration(): void;
  /** Collects garbage in all threads: some milliseconds of each. */
  collect(): void;
  trim(): void;
}

export class IdleMemory {
  readonly #clock: Clock;
  readonly #hold: MemoryHold;
  #quiet: Timer | null = null;
  #look: Timer | null = null;
  /** Growth has ended since: once more then, for what the compilers touched meanwhile. */
  #settling = false;
  /** Size after the last trim; before the first one, which follows the first configuration, nothing is too much. */
  #usualBytes = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, hold: MemoryHold) {
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
      this.#hold.collect();
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
      const grown = this.#hold.anonymousBytes() > this.#usualBytes + grownBytes;
      if (this.#settling && !grown) this.#hold.collect();
      if (grown || this.#settling) this.#trim();
      this.#settling = grown;
      this.#lookAgain();
    });
  }

  #trim(): void {
    this.#hold.trim();
    this.#usualBytes = this.#hold.anonymousBytes();
  }
}

/** collectWorkers: has the workers collect what their start and the configuration left behind. */
export function processMemory(collectWorkers: () => void): MemoryHold {
  return {
    anonymousBytes,
    holdsConfiguration: holdsDescriptors,
    releaseConfiguration() {
      releaseDescriptors();
      releaseYaml();
    },
    collect() {
      collectWorkers();
      collectGarbage();
    },
    trim() {
      forgetColdCode();
      trimHeap();
    },
  };
}
