/**
 * A socket of Node's, plain or TLS, as the protocols see a connection (net/stream.ts): how the main thread, which has no
 * epoll loop of ours, runs the same HTTP/2 engine as the workers. What the socket hands out is read into the host's one
 * read buffer. Invariant: after onClosed, close or reset the handler hears nothing more.
 */
import type { Socket } from 'node:net';
import { nobody } from '../net/nobody.ts';
import {
  type CloseReason,
  type ConnectionInfo,
  readAgain,
  readEof,
  type Stream,
  type StreamHandler,
} from '../net/stream.ts';

const silent: StreamHandler = { onReadable() {}, onDrained() {}, onConnected() {}, onClosed() {} };

/** The protocols ask for none of this here: who the server is was judged in the handshake. */
const unknownInfo: ConnectionInfo = { ...nobody, alpn: 'h2' };

export class NodeStream implements Stream {
  handler: StreamHandler = silent;
  readonly info: ConnectionInfo = unknownInfo;
  readonly edge = null;
  failure = '';
  dead = false;
  readPaused = false;
  bytesReceived = 0;
  bytesSent = 0;
  lastActiveMs: number = performance.now();
  readonly #socket: Socket;
  readonly #readBuffer: Buffer;
  /** What the socket has handed out and nobody has read yet. */
  readonly #waiting: Buffer[] = [];
  #at = 0;
  #ended = false;
  #blocked = false;

  /** Takes over a socket that is connected, its handshake included. */
  constructor(socket: Socket, readBuffer: Buffer) {
    this.#socket = socket;
    this.#readBuffer = readBuffer;
    socket.on('data', (chunk: Buffer) => {
      this.#waiting.push(chunk);
      this.#offer();
    });
    socket.on('end', () => {
      this.#ended = true;
      this.#offer();
    });
    socket.on('error', (error) => this.#onEnd('remote-reset', error.message));
    socket.on('close', () => this.#onEnd('remote-close', 'the connection was closed'));
  }

  get queued(): number {
    return this.#socket.writableLength;
  }

  read(offset: number, capacity: number): number {
    const first = this.#waiting[0];
    if (first === undefined) return this.#ended ? readEof : readAgain;
    const size = Math.min(capacity, first.length - this.#at);
    first.copy(this.#readBuffer, offset, this.#at, this.#at + size);
    this.#at += size;
    if (this.#at === first.length) {
      this.#waiting.shift();
      this.#at = 0;
    }
    this.bytesReceived += size;
    this.lastActiveMs = performance.now();
    return size;
  }

  more(): boolean {
    return !this.dead && !this.readPaused && (this.#waiting.length > 0 || this.#ended);
  }

  write(buffer: Uint8Array, start: number, end: number): boolean {
    if (this.dead || this.#socket.writableEnded) return false;
    this.bytesSent += end - start;
    this.lastActiveMs = performance.now();
    // The writer uses its buffer again, and Node keeps what it has not sent.
    this.#socket.write(Uint8Array.prototype.slice.call(buffer, start, end), () => this.#onWritten());
    if (this.queued > 0) this.#blocked = true;
    return true;
  }

  #onWritten(): void {
    if (this.dead || !this.#blocked || this.queued > 0) return;
    this.#blocked = false;
    this.handler.onDrained(this);
  }

  delivered(): 'unknown' {
    return 'unknown';
  }

  cork(): void {}

  uncork(): void {}

  pauseRead(): void {
    this.readPaused = true;
    this.#socket.pause();
  }

  resumeRead(): void {
    if (!this.readPaused || this.dead) return;
    this.readPaused = false;
    this.#socket.resume();
    if (this.#waiting.length > 0 || this.#ended) setImmediate(() => this.#offer());
  }

  expectEnd(): void {}

  endWrite(): void {
    this.#socket.end();
  }

  closeAfterFlush(deadlineMs: number): void {
    this.dead = true;
    this.#socket.end(() => this.#socket.destroy());
    setTimeout(() => this.#socket.destroy(), deadlineMs).unref();
  }

  close(): void {
    this.dead = true;
    this.#socket.destroy();
  }

  reset(): void {
    this.close();
  }

  #offer(): void {
    if (!this.dead && !this.readPaused && (this.#waiting.length > 0 || this.#ended)) this.handler.onReadable(this);
  }

  #onEnd(reason: CloseReason, detail: string): void {
    if (this.dead) return;
    this.dead = true;
    this.failure = detail;
    this.handler.onClosed(this, reason);
  }
}
