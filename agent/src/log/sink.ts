/**
 * One destination of log lines: a file, or standard output or error. Writes are asynchronous, one at a time; what waits
 * is bounded, and what does not fit is dropped and counted, so that a stuck disk or pipe stops nothing.
 */
import fs from 'node:fs';

/** Bytes that may wait for one destination. */
export const maxPendingBytes = 4_194_304;

const standardStreams: Readonly<Record<string, number>> = { '/dev/stdout': 1, '/dev/stderr': 2 };

export interface SinkEvents {
  /** A destination that cannot be opened or written; told once until it works again. */
  onFailure(path: string, error: Error): void;
}

export class LogSink {
  readonly path: string;
  readonly #events: SinkEvents;
  #fd: number | null = null;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #busy = false;
  #reopen = false;
  #failed = false;
  #idle: (() => void)[] = [];
  dropped = 0;

  constructor(path: string, events: SinkEvents) {
    this.path = path;
    this.#events = events;
  }

  /** Takes the lines over: nobody may write to their bytes any more. count is how many they are, for the account of drops. */
  append(lines: Uint8Array, count: number): void {
    if (this.#waitingBytes + lines.length > maxPendingBytes) {
      this.dropped += count;
      return;
    }
    this.#waiting.push(lines);
    this.#waitingBytes += lines.length;
    this.#next();
  }

  /** The file is opened anew before the next write, as after a rotation. Standard streams stay. */
  reopen(): void {
    this.#reopen = true;
  }

  /** Resolves when everything taken so far is written or dropped. */
  async flush(): Promise<void> {
    if (this.#busy || this.#waiting.length > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  async close(): Promise<void> {
    await this.flush();
    this.#closeFile();
  }

  #next(): void {
    if (this.#busy) return;
    if (this.#waiting.length === 0) {
      for (const resolve of this.#idle.splice(0)) resolve();
      return;
    }
    const fd = this.#open();
    const waiting = this.#waiting.splice(0);
    const [first = Buffer.alloc(0)] = waiting;
    const batch =
      waiting.length === 1 ? Buffer.from(first.buffer, first.byteOffset, first.length) : Buffer.concat(waiting);
    this.#waitingBytes = 0;
    if (fd === null) {
      this.dropped += linesIn(batch);
      this.#next();
      return;
    }
    this.#busy = true;
    this.#write(fd, batch);
  }

  #write(fd: number, batch: Buffer): void {
    fs.write(fd, batch, (error, written) => {
      if (error !== null && (error as NodeJS.ErrnoException).code === 'EAGAIN') {
        setTimeout(() => this.#write(fd, batch), 10).unref();
        return;
      }
      if (error === null && written < batch.length) {
        this.#write(fd, batch.subarray(written));
        return;
      }
      if (error !== null) {
        this.dropped += linesIn(batch);
        this.#fail(error);
      } else this.#failed = false;
      this.#busy = false;
      this.#next();
    });
  }

  #open(): number | null {
    const standard = standardStreams[this.path];
    if (standard !== undefined) return standard;
    if (this.#reopen) this.#closeFile();
    this.#reopen = false;
    if (this.#fd !== null) return this.#fd;
    try {
      this.#fd = fs.openSync(this.path, 'a', 0o640);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
    return this.#fd;
  }

  #closeFile(): void {
    if (this.#fd !== null) fs.closeSync(this.#fd);
    this.#fd = null;
  }

  #fail(error: Error): void {
    if (!this.#failed) this.#events.onFailure(this.path, error);
    this.#failed = true;
  }
}

function linesIn(batch: Uint8Array): number {
  let lines = 0;
  for (const byte of batch) if (byte === 0x0a) lines++;
  return lines;
}
