/** Token buckets by key. Invariant: bounded in memory: full buckets are forgotten, for they are as good as new ones. */
import type { Clock } from '@chainmail/runtime';

export interface RateLimitOptions {
  readonly perSecond: number;
  readonly burst: number;
  readonly maxKeys?: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

export class RateLimit {
  readonly #options: Required<RateLimitOptions>;
  readonly #clock: Clock;
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: RateLimitOptions, clock: Clock) {
    this.#options = { maxKeys: 10_000, ...options };
    this.#clock = clock;
  }

  /** Whether one more is allowed for the key now; takes it if so. */
  take(key: string): boolean {
    const bucket = this.#bucket(key);
    this.#fill(bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }

  #fill(bucket: Bucket): void {
    const now = this.#clock.now();
    const gained = (Math.max(0, now - bucket.atMs) / 1000) * this.#options.perSecond;
    bucket.tokens = Math.min(this.#options.burst, bucket.tokens + gained);
    bucket.atMs = now;
  }

  #bucket(key: string): Bucket {
    const found = this.#buckets.get(key);
    if (found !== undefined) return found;
    if (this.#buckets.size >= this.#options.maxKeys) this.#forget();
    const bucket = { tokens: this.#options.burst, atMs: this.#clock.now() };
    this.#buckets.set(key, bucket);
    return bucket;
  }

  /** Full buckets go; if none is full the oldest goes, which only helps whoever sends from 10,000 addresses. */
  #forget(): void {
    for (const [key, bucket] of this.#buckets) {
      this.#fill(bucket);
      if (bucket.tokens >= this.#options.burst) this.#buckets.delete(key);
    }
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined && this.#buckets.size >= this.#options.maxKeys) this.#buckets.delete(oldest);
  }
}
