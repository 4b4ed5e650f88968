/**
 * Two streams back to back in memory, on hosts whose turns the test takes: bytes arrive in pieces of any size, sockets
 * hold only so much, and nothing happens by itself, so that a seed gives the same run every time.
 */
import {
  type CloseReason,
  readAgain,
  readCapacity,
  readEof,
  readHeadroom,
  readTailroom,
  type StreamHandler,
} from '../../net/stream.ts';
import type { TimerHandle } from '../../worker/runtime.ts';
import { Http2Host } from '../host.ts';
import { BareStream } from './bare-stream.ts';

const ignoring: StreamHandler = { onReadable() {}, onDrained() {}, onConnected() {}, onClosed() {} };

/** One side: a host with a clock that stands, and its end of the wire. */
export class Side extends BareStream {
  readonly host: Http2Host;
  handler: StreamHandler = ignoring;
  nowMs = 0;
  /** How the end was closed by its owner. */
  closed: 'no' | 'close' | 'after-flush' = 'no';
  /** What the kernel takes before it blocks. */
  socketBytes = Number.POSITIVE_INFINITY;
  corked = false;
  /** Most bytes that were ever queued above the kernel. */
  maxQueued = 0;
  /** Everything that was ever sent, when `record` is set. */
  record = false;
  readonly sent: Buffer[] = [];
  peer: Side | null = null;
  #wire: Buffer = Buffer.alloc(0);
  #queue: Buffer = Buffer.alloc(0);
  #input: Buffer = Buffer.alloc(0);
  #eof = false;
  #deferred: (() => void)[] = [];
  #timers: { readonly dueMs: number; readonly call: () => void }[] = [];

  /** The side whose turns and timers are ours too: sides of one thread share a host. */
  readonly #thread: Side;

  constructor(random: () => number = () => 0.5, thread: Side | null = null) {
    super();
    this.#thread = thread ?? this;
    this.host = thread === null ? this.#newHost(random) : thread.host;
  }

  #newHost(random: () => number): Http2Host {
    const side = this;
    return new Http2Host({
      readBuffer: Buffer.alloc(readHeadroom + readCapacity + readTailroom),
      clock: {
        get nowMs() {
          return side.nowMs;
        },
        get wallMs() {
          return side.nowMs;
        },
      },
      timers: { after: (delayMs, call) => this.#after(delayMs, call) },
      defer: (work) => this.#deferred.push(work),
      random,
    });
  }

  #after(delayMs: number, call: () => void): TimerHandle {
    const timer = { dueMs: this.nowMs + delayMs, call };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((t) => t !== timer);
      },
    };
  }

  /** Lets time pass on this side. */
  pass(ms: number): void {
    this.nowMs += ms;
    const due = this.#timers.filter((t) => t.dueMs <= this.nowMs);
    this.#timers = this.#timers.filter((t) => t.dueMs > this.nowMs);
    for (const timer of due) timer.call();
    this.turn();
  }

  get timers(): number {
    return this.#thread.#timers.length;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /** Bytes between the two kernels and behind. */
  get inFlight(): number {
    return this.#wire.length + this.#queue.length;
  }

  /** As many turns as there is work for. */
  turn(): void {
    for (let i = 0; i < 100 && this.#thread.#deferred.length > 0; i++) this.endTurn();
  }

  /** The end of one turn: what is put off now is for the next. */
  endTurn(): void {
    const thread = this.#thread;
    const work = thread.#deferred;
    thread.#deferred = [];
    for (const call of work) call();
  }

  write(buffer: Uint8Array, start: number, end: number): boolean {
    if (this.dead) return false;
    const bytes = Buffer.from(buffer.subarray(start, end));
    this.bytesSent += bytes.length;
    if (this.record) this.sent.push(bytes);
    this.#queue = this.#queue.length === 0 ? bytes : Buffer.concat([this.#queue, bytes]);
    this.#fill();
    this.maxQueued = Math.max(this.maxQueued, this.#queue.length);
    return true;
  }

  #fill(): void {
    const n = Math.min(this.#queue.length, this.socketBytes - this.#wire.length);
    if (n <= 0) return;
    this.#wire = Buffer.concat([this.#wire, this.#queue.subarray(0, n)]);
    this.#queue = this.#queue.subarray(n);
  }

  /** Carries at most n bytes to the peer, in one event; true when there was something to do. */
  deliver(n: number): boolean {
    const { peer } = this;
    if (peer === null || this.#wire.length === 0) return false;
    const bytes = this.#wire.subarray(0, n);
    this.#wire = this.#wire.subarray(bytes.length);
    const blocked = this.#queue.length > 0;
    this.#fill();
    peer.feed(bytes);
    if (blocked && this.#queue.length === 0 && !this.dead) {
      this.handler.onDrained(this);
      this.turn();
    }
    return true;
  }

  /** Bytes arrive. */
  feed(bytes: Buffer): void {
    this.arrive(bytes);
    this.turn();
  }

  /** Bytes arrive, and the turn goes on. */
  arrive(bytes: Buffer): void {
    if (this.dead) return;
    this.#input = Buffer.concat([this.#input, bytes]);
    if (!this.readPaused) this.handler.onReadable(this);
  }

  /** Bytes arrive, which the caller does not touch before this returns: no copy. */
  feedRaw(bytes: Buffer, start: number, end: number): void {
    this.#input = bytes.subarray(start, end);
    this.handler.onReadable(this);
    this.turn();
  }

  /** FIN arrives. */
  end(): void {
    this.#eof = true;
    if (this.dead) return;
    this.handler.onReadable(this);
    this.turn();
  }

  fail(reason: CloseReason): void {
    if (this.dead) return;
    this.dead = true;
    this.handler.onClosed(this, reason);
    this.turn();
  }

  read(offset: number, capacity: number): number {
    if (this.#input.length === 0) return this.#eof ? readEof : readAgain;
    const n = this.#input.copy(this.host.readBuffer, offset, 0, capacity);
    this.#input = this.#input.subarray(n);
    this.bytesReceived += n;
    return n;
  }

  more(): boolean {
    return !this.dead && this.#input.length > 0;
  }

  override cork(): void {
    this.corked = true;
  }

  override uncork(): void {
    this.corked = false;
  }

  resumeRead(): void {
    this.readPaused = false;
  }

  endWrite(): void {}

  closeAfterFlush(): void {
    this.dead = true;
    this.closed = 'after-flush';
  }

  close(): void {
    this.dead = true;
    this.closed = 'close';
  }

  reset(): void {
    this.close();
  }
}

/** Two sides that are connected. */
export function wire(random?: () => number): readonly [Side, Side] {
  const [a, b] = [new Side(random), new Side(random)];
  a.peer = b;
  b.peer = a;
  return [a, b];
}
