/**
 * A node:net socket as a Stream, and a host on the main thread, so that the codec meets other implementations on the
 * loopback without a worker.
 */
import type net from 'node:net';
import { hostOnMainThread } from '../../grpc/host.ts';
import { readAgain, readEof, type StreamHandler } from '../../net/stream.ts';
import type { Http2Host } from '../host.ts';
import { BareStream } from './bare-stream.ts';

export const nodeHost = (): Http2Host => hostOnMainThread((work) => setImmediate(work));

export class NodeStream extends BareStream {
  handler: StreamHandler;
  readonly #host: Http2Host;
  readonly #socket: net.Socket;
  #input: Buffer = Buffer.alloc(0);
  #eof = false;

  constructor(host: Http2Host, socket: net.Socket, handler: StreamHandler) {
    super();
    this.#host = host;
    this.#socket = socket;
    this.handler = handler;
    socket.on('connect', () => this.handler.onConnected(this));
    socket.on('data', (chunk: Buffer) => {
      this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
      if (!this.dead && !this.readPaused) this.handler.onReadable(this);
    });
    socket.on('end', () => {
      this.#eof = true;
      if (!this.dead) this.handler.onReadable(this);
    });
    socket.on('drain', () => {
      if (!this.dead) this.handler.onDrained(this);
    });
    socket.on('error', (error) => {
      this.failure = error.message;
    });
    socket.on('close', () => {
      if (this.dead) return;
      this.dead = true;
      this.handler.onClosed(this, this.failure === '' ? 'remote-close' : 'remote-reset');
    });
  }

  /** As a real socket: only what the kernel has not taken counts. */
  get queued(): number {
    return this.#socket.writableNeedDrain ? this.#socket.writableLength : 0;
  }

  read(offset: number, capacity: number): number {
    if (this.#input.length === 0) return this.#eof ? readEof : readAgain;
    const n = this.#input.copy(this.#host.readBuffer, offset, 0, capacity);
    this.#input = this.#input.subarray(n);
    this.bytesReceived += n;
    return n;
  }

  more(): boolean {
    return !this.dead && !this.readPaused && this.#input.length > 0;
  }

  write(buffer: Uint8Array, start: number, end: number): boolean {
    if (this.dead) return false;
    this.bytesSent += end - start;
    this.#socket.write(Buffer.from(buffer.subarray(start, end)));
    return true;
  }

  resumeRead(): void {
    this.readPaused = false;
    if (this.#input.length > 0) setImmediate(() => !this.dead && this.handler.onReadable(this));
  }

  endWrite(): void {
    this.#socket.end();
  }

  closeAfterFlush(): void {
    this.dead = true;
    this.#socket.end();
    this.#socket.resume();
    setTimeout(() => this.#socket.destroy(), 200).unref();
  }

  close(): void {
    this.dead = true;
    this.#socket.destroy();
  }

  reset(): void {
    this.dead = true;
    this.#socket.resetAndDestroy();
  }
}
