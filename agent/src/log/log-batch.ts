/**
 * When log lines are written. Those of exchanges that ended in this turn wait for its end and are written one after the
 * other: the code that writes a line is then still in the processor's caches for the next one, which halves what a line
 * costs (ADR 0040). Invariants: a record's `logged` is called once, after its line was written or dropped; no record
 * waits beyond its turn.
 */
import type { LogRecord } from '../http/request-view.ts';
import type { AccessLogSpec } from '../model/log.ts';
import type { AccessLogWriter } from './access-log.ts';

/** More would keep more exchanges from being used again, and gain nothing. */
const maxWaiting = 32;

/** Stays as it is until it hears that its line is written. */
export interface LastingRecord extends LogRecord {
  logged(): void;
}

interface BatchOptions {
  readonly log: AccessLogWriter;
  /** Told what is thrown while a line is written: a bug, which must cost that line and no other. */
  readonly onFault: (error: unknown) => void;
}

export class LogBatch {
  readonly #options: BatchOptions;
  readonly #records: LastingRecord[] = [];
  readonly #sinks: (readonly AccessLogSpec[])[] = [];
  #waiting = 0;
  #unpublished = false;

  constructor(options: BatchOptions) {
    this.#options = options;
  }

  /** For a record that may change after the call. */
  writeNow(sinks: readonly AccessLogSpec[], record: LogRecord): void {
    this.#options.log.write(sinks, record);
    this.#unpublished = true;
  }

  writeLine(path: string, text: string): void {
    this.#options.log.writeLine(path, text);
    this.#unpublished = true;
  }

  add(sinks: readonly AccessLogSpec[], record: LastingRecord): void {
    if (this.#waiting === maxWaiting) this.#writeWaiting();
    this.#records[this.#waiting] = record;
    this.#sinks[this.#waiting] = sinks;
    this.#waiting++;
    this.#unpublished = true;
  }

  /** The turn ends: writes what waits, and shows the reader all lines. */
  flush(): void {
    if (!this.#unpublished) return;
    this.#unpublished = false;
    this.#writeWaiting();
    this.#options.log.publish();
  }

  #writeWaiting(): void {
    const records = this.#records;
    const count = this.#waiting;
    this.#waiting = 0;
    for (let i = 0; i < count; i++)
      this.#write(this.#sinks[i] as readonly AccessLogSpec[], records[i] as LastingRecord);
  }

  #write(sinks: readonly AccessLogSpec[], record: LastingRecord): void {
    try {
      this.#options.log.write(sinks, record);
    } catch (error) {
      this.#options.onFault(error);
    }
    record.logged();
  }
}
