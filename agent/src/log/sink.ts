/**
 * One destination of log lines: a file, or standard output or error. Lines gather in one buffer while the other is
 * written, one write at a time. What waits is bounded, and what does not fit is dropped and counted, so that a stuck
 * disk or pipe stops nothing. Buffers are used again: memory that V8 has to count would make it collect all the time.
 */
import fs from 'node:fs';

/** Bytes that may wait for one destination. */
export const maxPendingBytes = 4_194_304;
const firstBytes = 32_768;
/** A buffer that a burst has made larger than this goes when the burst is over. */
const keptBytes = 1_048_576;

/** Of any byte array. */
const copyBytes = Buffer.prototype.copy;

const standardStreams: Readonly<Record<string, number>> = { '/dev/stdout': 1, '/dev/stderr': 2 };

export interface SinkEvents {
  /** A destination that cannot be opened or written; told once until it works again. */
  onFailure(path: string, error: Error): void;
}

class Batch {
  bytes: Buffer = Buffer.allocUnsafeSlow(firstBytes);
  length = 0;
  lines = 0;

  add(from: Uint8Array, start: number, end: number, lines: number): void {
    const after = this.length + end - start;
    if (after > this.bytes.length) this.#grow(after);
    // Not set(): from shared memory that goes word by word, each an atomic access.
    copyBytes.call(from, this.bytes, this.length, start, end);
    this.length = after;
    this.lines += lines;
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.min(maxPendingBytes, Math.max(needed, this.bytes.length * 2)));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }

  clear(): void {
    if (this.bytes.length > keptBytes && this.length < keptBytes) this.bytes = Buffer.allocUnsafeSlow(firstBytes);
    this.length = 0;
    this.lines = 0;
  }
}

export class LogSink {
  readonly path: string;
  readonly #events: SinkEvents;
  #fd: number | null = null;
  #gathered = new Batch();
  #written = new Batch();
  #busy = false;
  #reopen = false;
  #failed = false;
  #idle: (() => void)[] = [];
  dropped = 0;

  constructor(path: string, events: SinkEvents) {
    this.path = path;
    this.#events = events;
  }

  /** Copies some lines, all or none of them; send() writes what was gathered. */
  add(from: Uint8Array, start: number, end: number, lines: number): void {
    if (this.#gathered.length + end - start > maxPendingBytes) this.dropped += lines;
    else this.#gathered.add(from, start, end, lines);
  }

  /** Begins to write what was gathered, unless a write is on its way: then it goes after it. */
  send(): void {
    if (this.#busy) return;
    while (this.#gathered.lines > 0) {
      const batch = this.#gathered;
      this.#gathered = this.#written;
      this.#written = batch;
      const fd = this.#open();
      if (fd !== null) {
        this.#busy = true;
        this.#write(fd, batch.bytes.subarray(0, batch.length));
        return;
      }
      this.dropped += batch.lines;
      batch.clear();
    }
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** The file is opened anew before the next write, as after a rotation. Standard streams stay. */
  reopen(): void {
    this.#reopen = true;
  }

  /** Resolves when everything taken so far is written or dropped. */
  async flush(): Promise<void> {
    this.send();
    if (this.#busy) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  async close(): Promise<void> {
    await this.flush();
    this.#closeFile();
  }

  #write(fd: number, rest: Buffer): void {
    fs.write(fd, rest, (error, written) => {
      if (error !== null && (error as NodeJS.ErrnoException).code === 'EAGAIN') {
        setTimeout(() => this.#write(fd, rest), 10).unref();
        return;
      }
      if (error === null && written < rest.length) {
        this.#write(fd, rest.subarray(written));
        return;
      }
      if (error !== null) {
        this.dropped += linesIn(rest);
        this.#fail(error);
      } else this.#failed = false;
      this.#written.clear();
      this.#busy = false;
      this.send();
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
