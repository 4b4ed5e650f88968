/** Time as a dependency: what waits or reads the time takes a Clock, and tests hand in one they can turn by hand. */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls back once after delayMs; an unref'd timer, it keeps no process alive. */
  after(delayMs: number, call: () => void): Timer;
}

/** setTimeout holds 31 bits of milliseconds; a longer delay would fire at once. */
const longestDelayMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, call) {
    const handle = setTimeout(call, Math.min(Math.max(0, delayMs), longestDelayMs));
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

interface Pending {
  readonly at: number;
  readonly call: () => void;
}

/** A clock for tests: time passes only in advance(), and timers fire in order inside it. */
export class ManualClock implements Clock {
  #now: number;
  #pending: Pending[] = [];

  constructor(now = 0) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  after(delayMs: number, call: () => void): Timer {
    const entry: Pending = { at: this.#now + Math.max(0, delayMs), call };
    this.#pending.push(entry);
    return {
      cancel: () => {
        this.#pending = this.#pending.filter((p) => p !== entry);
      },
    };
  }

  /** Number of timers that wait. */
  get pending(): number {
    return this.#pending.length;
  }

  advance(byMs: number): void {
    const until = this.#now + byMs;
    for (;;) {
      const next = this.#pending.reduce<Pending | undefined>(
        (a, b) => (b.at <= until && (a === undefined || b.at < a.at) ? b : a),
        undefined,
      );
      if (next === undefined) break;
      this.#pending = this.#pending.filter((p) => p !== next);
      this.#now = next.at;
      next.call();
    }
    this.#now = until;
  }
}
