/**
 * A connection without a socket, driven by the test: what the peer sends is fed, what we write is collected, and the
 * peer may be slow. Keeps the contract of net/stream.ts: callbacks come when the worker settles, never inside a call.
 */
import type { Edge } from '../../net/edge.ts';
import { nobody } from '../../net/nobody.ts';
import {
  type CloseReason,
  type ConnectionInfo,
  type Delivery,
  readAgain,
  readEof,
  type Stream,
  type StreamHandler,
} from '../../net/stream.ts';

export const plainInfo: ConnectionInfo = {
  ...nobody,
  remoteIp: '10.0.0.9',
  remotePort: 40_000,
  localIp: '10.0.0.1',
  localPort: 8080,
};

const unhandled: StreamHandler = {
  onReadable: () => {},
  onDrained: () => {},
  onConnected: () => {},
  onClosed: () => {},
};

/** What a stream needs of the worker it lives in. */
export interface StreamHost {
  readonly readBuffer: Buffer;
  readonly nowMs: number;
  /** Runs work when the handler at hand has returned. */
  defer(work: () => void): void;
}

export class FakeStream implements Stream {
  handler: StreamHandler = unhandled;
  info: ConnectionInfo;
  failure = '';
  dead = false;
  readPaused = false;
  edge: Edge | null = null;
  bytesReceived = 0;
  bytesSent = 0;
  lastActiveMs = 0;
  /** What has gone out to the peer. */
  output = '';
  /** How the stream was ended by us. */
  closed: 'no' | 'close' | 'reset' | 'after-flush' = 'no';
  closeDeadlineMs = -1;
  writeEnded = false;
  endExpected = false;
  /** The peer does not read: writes are queued. */
  slow = false;
  /** Most that was ever queued. */
  maxQueued = 0;
  /** What is known of what was written last when the peer ends. */
  delivery: Delivery = 'unknown';
  /** How often something was written. */
  writes = 0;
  readonly #host: StreamHost;
  #connected: boolean;
  #input: Buffer = Buffer.alloc(0);
  #eof = false;
  #eofRead = false;
  #queue: Buffer[] = [];

  constructor(host: StreamHost, info: ConnectionInfo, connected: boolean) {
    this.#host = host;
    this.info = info;
    this.#connected = connected;
  }

  get connected(): boolean {
    return this.#connected;
  }

  delivered(sent: number): Delivery {
    return sent === 0 ? 'none' : this.delivery;
  }

  get queued(): number {
    return this.#queue.reduce((sum, b) => sum + b.length, 0);
  }

  /** The peer sends bytes. */
  feed(text: string | Buffer): void {
    this.#input = Buffer.concat([this.#input, typeof text === 'string' ? Buffer.from(text, 'latin1') : text]);
    this.#announce();
  }

  /** The peer ends its side. Once more: the kernel has something to tell, and the end is read again. */
  end(): void {
    this.#eof = true;
    this.#eofRead = false;
    this.#announce();
  }

  /** The peer accepts the connection that was dialled. */
  connect(): void {
    this.#host.defer(() => {
      if (this.dead) return;
      this.#connected = true;
      this.handler.onConnected(this);
      this.#flush();
    });
  }

  /** The connection dies by itself. */
  fail(reason: CloseReason, failure = ''): void {
    this.#host.defer(() => {
      if (this.dead) return;
      this.dead = true;
      this.failure = failure;
      this.handler.onClosed(this, reason);
    });
  }

  /** The peer reads again. */
  unblock(): void {
    this.slow = false;
    this.#host.defer(() => {
      if (this.dead || this.#queue.length === 0) return;
      this.#flush();
      this.handler.onDrained(this);
    });
  }

  #announce(): void {
    this.#host.defer(() => {
      if (this.dead || this.readPaused || !this.#connected) return;
      if (this.#input.length > 0 || (this.#eof && !this.#eofRead)) this.handler.onReadable(this);
    });
  }

  read(offset: number, capacity: number): number {
    if (this.#input.length === 0) {
      if (!this.#eof || this.#eofRead) return readAgain;
      this.#eofRead = true;
      return readEof;
    }
    const n = this.#input.copy(this.#host.readBuffer, offset, 0, capacity);
    this.#input = this.#input.subarray(n);
    this.bytesReceived += n;
    this.lastActiveMs = this.#host.nowMs;
    return n;
  }

  more(): boolean {
    return !this.dead && !this.readPaused && (this.#input.length > 0 || (this.#eof && !this.#eofRead));
  }

  write(buffer: Uint8Array, start: number, end: number): boolean {
    if (this.dead || this.writeEnded) return false;
    if (start < 0 || end > buffer.length || end < start) throw new RangeError(`write of [${start}, ${end})`);
    this.writes++;
    this.#queue.push(Buffer.from(buffer.subarray(start, end)));
    if (!this.slow && this.#connected) this.#flush();
    this.maxQueued = Math.max(this.maxQueued, this.queued);
    return true;
  }

  #flush(): void {
    for (const b of this.#queue) {
      this.bytesSent += b.length;
      this.output += b.toString('latin1');
    }
    this.#queue = [];
  }

  cork(): void {}

  uncork(): void {}

  pauseRead(): void {
    this.readPaused = true;
  }

  resumeRead(): void {
    if (!this.readPaused) return;
    this.readPaused = false;
    this.#announce();
  }

  expectEnd(): void {
    this.endExpected = true;
  }

  endWrite(): void {
    this.writeEnded = true;
  }

  closeAfterFlush(deadlineMs: number): void {
    this.closeDeadlineMs = deadlineMs;
    this.#die('after-flush');
  }

  close(): void {
    this.#die('close');
  }

  reset(): void {
    this.#die('reset');
  }

  #die(how: 'close' | 'reset' | 'after-flush'): void {
    if (this.dead) return;
    this.dead = true;
    this.closed = how;
    if (how === 'after-flush') this.#flush();
  }

  /** Takes what has gone out so far. */
  take(): string {
    const { output } = this;
    this.output = '';
    return output;
  }
}
