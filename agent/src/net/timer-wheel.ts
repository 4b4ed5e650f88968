/**
 * Timers of the loop: a hierarchical wheel of 10 ms ticks. Setting and cancelling cost O(1); a timer is moved at most
 * three times before it fires. Invariant: fires late by up to one tick plus the turn, never early; of many that are due at
 * once, a turn fires a part, so that nobody makes the others wait for a thousand time-outs.
 */
import type { TimerHandle } from '../worker/runtime.ts';

export const tickMs = 10;

/** 256 slots of one tick (2.56 s), then 64 slots each of 2.56 s, 164 s and 2.9 h. */
const bits = [8, 6, 6, 6] as const;
const shifts = [0, 8, 14, 20] as const;
const maxTicks = 2 ** 26 - 1;
/** What one turn fires. */
export const firedPerTurn = 64;

class Timer implements TimerHandle {
  readonly due: number;
  readonly call: (() => void) | null;
  prev: Timer;
  next: Timer;
  #wheel: TimerWheel | null;

  constructor(wheel: TimerWheel | null, due: number, call: (() => void) | null) {
    this.due = due;
    this.call = call;
    this.prev = this;
    this.next = this;
    this.#wheel = wheel;
  }

  cancel(): void {
    if (this.#wheel === null) return;
    this.detach();
    this.unlink();
  }

  /** Takes the timer out of the wheel's count: it has fired or was cancelled. */
  detach(): void {
    if (this.#wheel !== null) this.#wheel.count--;
    this.#wheel = null;
  }

  unlink(): void {
    this.prev.next = this.next;
    this.next.prev = this.prev;
    this.prev = this;
    this.next = this;
  }
}

/** The head of a slot's ring. */
function ring(): Timer {
  return new Timer(null, 0, null);
}

export class TimerWheel {
  /** Timers that are set. */
  count = 0;
  /** The tick that has been handled last. */
  #tick: number;
  readonly #levels: readonly (readonly Timer[])[] = bits.map((b) => Array.from({ length: 1 << b }, ring));

  constructor(nowMs: number) {
    this.#tick = Math.floor(nowMs / tickMs);
  }

  /** Calls back once, no earlier than delayMs after nowMs. */
  set(nowMs: number, delayMs: number, call: () => void): TimerHandle {
    const due = Math.max(this.#tick + 1, Math.ceil((nowMs + Math.max(0, delayMs)) / tickMs));
    const timer = new Timer(this, Math.min(due, this.#tick + maxTicks), call);
    this.count++;
    this.#place(timer);
    return timer;
  }

  #place(timer: Timer): void {
    const ahead = timer.due - this.#tick;
    const level = ahead < 256 ? 0 : ahead < 1 << 14 ? 1 : ahead < 1 << 20 ? 2 : 3;
    const slot = (timer.due >>> (shifts[level] ?? 0)) & ((1 << (bits[level] ?? 0)) - 1);
    const head = this.#levels[level]?.[slot];
    if (head === undefined) throw new Error('timer beyond the wheel');
    timer.prev = head.prev;
    timer.next = head;
    head.prev.next = timer;
    head.prev = timer;
  }

  /** Milliseconds the loop may sleep: until the next timer, at most maxMs. */
  sleepMs(nowMs: number, maxMs: number): number {
    if (this.count === 0) return maxMs;
    const last = this.#tick + Math.ceil(maxMs / tickMs);
    for (let tick = this.#tick + 1; tick <= last; tick++) {
      const head = this.#levels[0]?.[tick & 255];
      const turns = (tick & 255) === 0; // timers of the next level may come down here
      if (turns || (head !== undefined && head.next !== head)) {
        return Math.min(maxMs, Math.max(0, Math.ceil(tick * tickMs - nowMs)));
      }
    }
    return maxMs;
  }

  /** Fires what is due, firedPerTurn at most: the rest at the next call. onFault hears of what is thrown. */
  advance(nowMs: number, onFault: (error: unknown) => void): void {
    const now = Math.floor(nowMs / tickMs);
    if (this.count === 0) {
      this.#tick = Math.max(this.#tick, now);
      return;
    }
    let left = firedPerTurn;
    while (this.#tick < now) {
      this.#tick++;
      for (let level = 1; level < 4; level++) {
        if ((this.#tick & ((1 << (shifts[level] ?? 0)) - 1)) !== 0) break;
        this.#cascade(level);
      }
      left = this.#fire(this.#levels[0]?.[this.#tick & 255], left, onFault);
      if (left > 0) continue;
      this.#tick--; // not handled to its end, as far as we know
      return;
    }
  }

  #cascade(level: number): void {
    const slot = (this.#tick >>> (shifts[level] ?? 0)) & ((1 << (bits[level] ?? 0)) - 1);
    const head = this.#levels[level]?.[slot];
    if (head === undefined) return;
    for (let timer = head.next; timer !== head; timer = head.next) {
      timer.unlink();
      this.#place(timer);
    }
  }

  /** Fires at most so many: how many more may fire. */
  #fire(head: Timer | undefined, most: number, onFault: (error: unknown) => void): number {
    let left = most;
    if (head === undefined) return left;
    for (let timer = head.next; timer !== head && left > 0; timer = head.next, left--) {
      timer.unlink();
      timer.detach();
      try {
        timer.call?.();
      } catch (error) {
        onFault(error);
      }
    }
    return left;
  }
}
