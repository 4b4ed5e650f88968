/**
 * The deadlines of one exchange over one timer: the request as a whole, silence on the stream, the route's timeout, one
 * attempt, and the wait before a retry. Monotonic milliseconds; infinity is none.
 */
import type { LoopClock, Timers } from '../worker/runtime.ts';
import { LazyTimer } from './lazy-timer.ts';

const never = Number.POSITIVE_INFINITY;

export interface DeadlineOwner {
  readonly ended: boolean;
  readonly router: {
    onResponseTimeout(): void;
    onTryTimeout(): void;
    retryNow(): void;
  };
  onRequestTimeout(): void;
  onStreamIdle(): void;
  onStreamDuration(): void;
}

export class Deadlines {
  readonly #clock: LoopClock;
  readonly #owner: DeadlineOwner;
  readonly #timer: LazyTimer;
  #request = never;
  #response = never;
  #attempt = never;
  #retry = never;
  #life = never;
  #beganMs = 0;
  #idleMs = 0;
  #lastActivityMs = 0;

  constructor(clock: LoopClock, timers: Timers, owner: DeadlineOwner) {
    this.#clock = clock;
    this.#owner = owner;
    this.#timer = new LazyTimer(clock, timers, () => this.#onTimer());
  }

  /** A request has begun. 0 is off for both. */
  begin(requestTimeoutMs: number, streamIdleTimeoutMs: number): void {
    const now = this.#clock.nowMs;
    this.#request = requestTimeoutMs > 0 ? now + requestTimeoutMs : never;
    this.#response = never;
    this.#attempt = never;
    this.#retry = never;
    this.#life = never;
    this.#beganMs = now;
    this.#idleMs = streamIdleTimeoutMs;
    this.#lastActivityMs = now;
    this.#set();
  }

  requestDone(): void {
    this.#request = never;
  }

  /** Bytes have moved in either direction. */
  touch(): void {
    this.#lastActivityMs = this.#clock.nowMs;
  }

  setIdle(streamIdleTimeoutMs: number): void {
    this.#idleMs = streamIdleTimeoutMs;
    this.#set();
  }

  /** The longest time of the stream, from its beginning; 0 is off. */
  setLife(timeoutMs: number): void {
    this.#life = timeoutMs > 0 ? this.#beganMs + timeoutMs : never;
    this.#set();
  }

  setResponse(timeoutMs: number): void {
    if (timeoutMs <= 0) return;
    this.#response = this.#clock.nowMs + timeoutMs;
    this.#set();
  }

  /** Milliseconds left of the route's timeout, or 0 when it has none. */
  get responseLeftMs(): number {
    return this.#response === never ? 0 : Math.max(1, this.#response - this.#clock.nowMs);
  }

  setAttempt(timeoutMs: number): void {
    this.#attempt = timeoutMs > 0 ? this.#clock.nowMs + timeoutMs : never;
    this.#set();
  }

  clearAttempt(): void {
    this.#attempt = never;
  }

  clearResponse(): void {
    this.#response = never;
    this.#attempt = never;
  }

  setRetry(delayMs: number): void {
    this.#retry = this.#clock.nowMs + delayMs;
    this.#set();
  }

  clear(): void {
    this.#request = never;
    this.#response = never;
    this.#attempt = never;
    this.#retry = never;
    this.#life = never;
    this.#idleMs = 0;
    this.#timer.set(never);
  }

  #idle(): number {
    return this.#idleMs > 0 ? this.#lastActivityMs + this.#idleMs : never;
  }

  #set(): void {
    this.#timer.set(Math.min(this.#request, this.#response, this.#attempt, this.#retry, this.#life, this.#idle()));
  }

  #onTimer(): void {
    const now = this.#clock.nowMs;
    if (now >= this.#retry) {
      this.#retry = never;
      this.#owner.router.retryNow();
    } else if (now >= this.#response) {
      this.#response = never;
      this.#owner.router.onResponseTimeout();
    } else if (now >= this.#attempt) {
      this.#attempt = never;
      this.#owner.router.onTryTimeout();
    } else if (now >= this.#request) this.#owner.onRequestTimeout();
    else if (now >= this.#life) this.#owner.onStreamDuration();
    else if (now >= this.#idle()) this.#owner.onStreamIdle();
    if (!this.#owner.ended) this.#set();
  }
}
