/** The main thread's side of the access log: empties the rings of the workers into their destinations. */
import type { Clock, Timer } from '@chainmail/runtime';
import { pathTag } from './access-log.ts';
import { RingReader } from './ring.ts';
import { LogSink, type SinkEvents } from './sink.ts';

const pollMs = 50;

interface Source {
  readonly reader: RingReader;
  /** The worker's numbers for paths. */
  readonly sinks: Map<number, LogSink>;
}

/** Lines for one destination, gathered over one turn. */
interface Batch {
  bytes: Buffer;
  length: number;
  lines: number;
}

const firstBatchBytes = 32_768;

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
    const batches = new Map<LogSink, Batch>();
    for (const source of this.#sources) {
      source.reader.drain((tag, line) => {
        if (tag === pathTag) this.#announce(source, line);
        else this.#gather(batches, source.sinks.get(tag), line);
      });
    }
    for (const [sink, { bytes, length, lines }] of batches) sink.append(bytes.subarray(0, length), lines);
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

  #announce(source: Source, line: Uint8Array): void {
    const text = Buffer.from(line).toString('utf8');
    const blank = text.indexOf(' ');
    const path = text.slice(blank + 1);
    const sink = this.#sinks.get(path) ?? new LogSink(path, this.#events);
    this.#sinks.set(path, sink);
    source.sinks.set(Number(text.slice(0, blank)), sink);
  }

  #gather(batches: Map<LogSink, Batch>, sink: LogSink | undefined, line: Uint8Array): void {
    if (sink === undefined) return;
    let batch = batches.get(sink);
    if (batch === undefined) {
      batch = { bytes: Buffer.allocUnsafeSlow(firstBatchBytes), length: 0, lines: 0 };
      batches.set(sink, batch);
    }
    const needed = batch.length + line.length;
    if (needed > batch.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, batch.bytes.length * 4));
      batch.bytes.copy(grown, 0, 0, batch.length);
      batch.bytes = grown;
    }
    batch.bytes.set(line, batch.length);
    batch.length = needed;
    batch.lines++;
  }
}
