/** Exponential back-off with full jitter, so that a fleet that lost its server does not come back as one. */

export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
  /** In [0, 1); Math.random by default. */
  readonly random?: () => number;
}

export class Backoff {
  readonly #baseMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #attempt = 0;

  constructor(options: BackoffOptions) {
    this.#baseMs = options.baseMs;
    this.#maxMs = options.maxMs;
    this.#random = options.random ?? Math.random;
  }

  /** The next delay in milliseconds: between half and all of base x 2^attempt, capped at the maximum. */
  next(): number {
    const ceiling = Math.min(this.#maxMs, this.#baseMs * 2 ** Math.min(this.#attempt, 30));
    this.#attempt++;
    return ceiling / 2 + (this.#random() * ceiling) / 2;
  }

  /** To be called after a success. */
  reset(): void {
    this.#attempt = 0;
  }
}
