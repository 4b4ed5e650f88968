/**
 * The main thread's side of the access log: empties the rings of the workers into their destinations, by the clock
 * and when a worker says that its ring is half full.
 */
import type { Clock, Timer } from '@chainmail/runtime';
import { pathTag } from './access-log.ts';
import { RingReader } from './ring.ts';
import { LogSink, type SinkEvents } from './sink.ts';

/** A wake-up and a write of its own cost as much as many lines; Envoy waits up to a second. */
const pollMs = 100;

interface Source {
  readonly reader: RingReader;
  /** The worker's numbers for paths. */
  readonly sinks: Map<number, LogSink>;
}

export class AccessLogDrain {
  readonly #clock: Clock;
  readonly #events: SinkEvents;
  readonly #sources: Source[] = [];
  readonly #sinks = new Map<string, LogSink>();
  #timer: Timer | null = null;
  #closed = false;

  constructor(clock: Clock, events: SinkEvents) {
    this.#clock = clock;
    this.#events = events;
  }

  /** Lines that were dropped on this side, because a destination is stuck or cannot be opened. */
  get dropped(): number {
    return [...this.#sinks.values()].reduce((sum, sink) => sum + sink.dropped, 0);
  }

  /** Begins to read a worker's ring. */
  attach(ring: SharedArrayBuffer): void {
    this.#sources.push({ reader: new RingReader(ring), sinks: new Map() });
    this.#later();
  }

  /** For SIGUSR1: files are opened anew, under the same name. */
  reopen(): void {
    this.drain();
    for (const sink of this.#sinks.values()) sink.reopen();
  }

  /** Takes what is in the rings now. */
  drain(): void {
    for (const source of this.#sources) {
      source.reader.drain((tag, bytes, start, end, lines) => {
        if (tag === pathTag) this.#announce(source, Buffer.from(bytes.subarray(start, end)).toString('utf8'));
        else source.sinks.get(tag)?.add(bytes, start, end, lines);
      });
    }
    for (const sink of this.#sinks.values()) sink.send();
  }

  /** Takes what is there and waits until it is written. */
  async flush(): Promise<void> {
    this.drain();
    await Promise.all([...this.#sinks.values()].map((sink) => sink.flush()));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.drain();
    await Promise.all([...this.#sinks.values()].map((sink) => sink.close()));
  }

  #later(): void {
    if (this.#closed || this.#timer !== null) return;
    this.#timer = this.#clock.after(pollMs, () => {
      this.#timer = null;
      this.drain();
      this.#later();
    });
  }

  /** `tag path` and a NUL for each. */
  #announce(source: Source, texts: string): void {
    for (const text of texts.split('\0').slice(0, -1)) {
      const blank = text.indexOf(' ');
      const path = text.slice(blank + 1);
      const sink = this.#sinks.get(path) ?? new LogSink(path, this.#events);
      this.#sinks.set(path, sink);
      source.sinks.set(Number(text.slice(0, blank)), sink);
    }
  }
}
