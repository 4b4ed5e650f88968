/** The deadlines of one client connection over one timer. Monotonic milliseconds; infinity is none. */
import type { LoopClock, Timers } from '../worker/runtime.ts';
import { LazyTimer } from './lazy-timer.ts';

const never = Number.POSITIVE_INFINITY;

export interface ConnectionDeadlineOwner {
  readonly closed: boolean;
  /** A head that has begun is not complete. */
  onHeadTimeout(): void;
  onIdle(): void;
  /** The connection has lived long enough. */
  onLifeEnd(): void;
}

export class ConnectionDeadlines {
  readonly #clock: LoopClock;
  readonly #owner: ConnectionDeadlineOwner;
  readonly #timer: LazyTimer;
  #head = never;
  #idle = never;
  #life = never;

  constructor(clock: LoopClock, timers: Timers, owner: ConnectionDeadlineOwner) {
    this.#clock = clock;
    this.#owner = owner;
    this.#timer = new LazyTimer(clock, timers, () => this.#onTimer());
  }

  /** 0 is off. */
  setLife(ms: number): void {
    this.#life = this.#after(ms);
    this.#set();
  }

  /** Nothing is under way from now on; 0 is off. */
  setIdle(ms: number): void {
    this.#idle = this.#after(ms);
    this.#set();
  }

  /** A head has begun; the first call counts. 0 is off. */
  startHead(ms: number): void {
    this.#idle = never;
    if (ms === 0 || this.#head !== never) return;
    this.#head = this.#after(ms);
    this.#set();
  }

  /** A request is under way. */
  busy(): void {
    this.#head = never;
    this.#idle = never;
  }

  stop(): void {
    this.#timer.stop();
  }

  #after(ms: number): number {
    return ms > 0 ? this.#clock.nowMs + ms : never;
  }

  #set(): void {
    this.#timer.set(Math.min(this.#head, this.#idle, this.#life));
  }

  #onTimer(): void {
    const now = this.#clock.nowMs;
    if (now >= this.#head) {
      this.#head = never;
      this.#owner.onHeadTimeout();
    } else if (now >= this.#idle) {
      this.#idle = never;
      this.#owner.onIdle();
    } else if (now >= this.#life) {
      this.#life = never;
      this.#owner.onLifeEnd();
    }
    if (!this.#owner.closed) this.#set();
  }
}
