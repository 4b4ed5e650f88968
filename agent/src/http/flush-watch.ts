/**
 * Answers that are complete but wait for the client to open its window: a stream that does not move for the idle time is
 * cut, so that a client that has stopped reading does not hold memory for ever (Envoy's stream flush timeout).
 */
import type { Http2Counters } from '../http2/counters.ts';
import { errorCode } from '../http2/frame.ts';
import type { Http2Stream } from '../http2/stream.ts';
import type { LoopClock, Timers } from '../worker/runtime.ts';
import { LazyTimer } from './lazy-timer.ts';

interface Waiting {
  readonly stream: Http2Stream;
  readonly id: number;
  readonly connection: Http2Stream['connection'];
  queued: number;
  deadlineMs: number;
}

export class FlushWatch {
  readonly #clock: LoopClock;
  readonly #timers: Timers;
  readonly #idleMs: number;
  readonly #counters: Http2Counters;
  #timer: LazyTimer | null = null;
  #waiting: Waiting[] = [];

  /** idleMs: 0 waits for ever. */
  constructor(clock: LoopClock, timers: Timers, idleMs: number, counters: Http2Counters) {
    this.#clock = clock;
    this.#timers = timers;
    this.#idleMs = idleMs;
    this.#counters = counters;
  }

  /** The stream's user is done with it. */
  watch(stream: Http2Stream): void {
    if (stream.id === 0 || stream.queued === 0 || this.#idleMs === 0) return;
    const deadlineMs = this.#clock.nowMs + this.#idleMs;
    this.#waiting.push({ stream, id: stream.id, connection: stream.connection, queued: stream.queued, deadlineMs });
    this.#timer ??= new LazyTimer(this.#clock, this.#timers, () => this.#look());
    this.#timer.set(this.#waiting[0]?.deadlineMs ?? deadlineMs);
  }

  #look(): void {
    const now = this.#clock.nowMs;
    this.#waiting = this.#waiting.filter(isOpen);
    for (const w of this.#waiting) {
      if (now < w.deadlineMs) continue;
      if (w.stream.queued === w.queued) this.#cut(w.stream);
      w.queued = w.stream.queued;
      w.deadlineMs = now + this.#idleMs;
    }
    this.#waiting = this.#waiting.filter(isOpen);
    if (this.#waiting.length > 0) this.#timer?.set(Math.min(...this.#waiting.map((w) => w.deadlineMs)));
  }

  #cut(stream: Http2Stream): void {
    const { slots, at } = this.#counters;
    slots[at.tx_flush_timeout] = (slots[at.tx_flush_timeout] ?? 0) + 1;
    stream.reset(errorCode.internalError);
  }

  stop(): void {
    this.#timer?.stop();
    this.#waiting = [];
  }
}

/** Streams are used again, but never with the same id on the same connection. */
function isOpen({ stream, id, connection }: Waiting): boolean {
  return stream.id === id && stream.connection === connection;
}
