/**
 * The epoll loop of a worker: events to their targets, then work that was put off, then timers. One per thread, no
 * promises. Invariants: an event reaches a target only while its registration stands (generations); deferred work
 * runs at top level, never inside a callback.
 */
import { addressOf } from '../sys/ffi.ts';
import * as libc from '../sys/libc.ts';
import type { LoopClock, TimerHandle, Timers } from '../worker/runtime.ts';
import { ChunkPool } from './output-queue.ts';
import { RecordScratch, scratchBytes } from './record-scratch.ts';
import { readCapacity, readHeadroom, readTailroom } from './stream.ts';
import { TimerWheel } from './timer-wheel.ts';

export interface EventTarget {
  /** epoll's bits. */
  onEvents(events: number): void;
  /** Something it called has thrown: end this one, the others go on. */
  onFault?(): void;
}

/** Work to be taken up again in the next round, e.g. a stream whose budget of this turn is spent. */
export interface Resumable {
  onResume(): void;
  onFault?(): void;
}

const readBytes = readHeadroom + readCapacity + readTailroom;
const maxEvents = 512;
/** terminate() and messages without a kick are noticed within this time. */
const maxSleepMs = 100;

export class Loop implements LoopClock, Timers {
  nowMs: number;
  wallMs: number;
  /** Counts the rounds: budgets are per turn. */
  turn = 0;
  /** Told of what is thrown in a callback: a bug, which must cost one connection and not all of them. */
  onFault: (error: unknown) => void = (error) => {
    throw error;
  };
  /** Heard when all work of a turn is done, before it waits for the next. Must not throw. */
  onTurnEnd: () => void = () => undefined;
  readonly region: libc.Region = new libc.Region(
    readBytes + scratchBytes,
    readHeadroom - 2048, // heads are written in front of what was read
  );
  readonly chunks: ChunkPool = new ChunkPool();
  readonly records: RecordScratch = new RecordScratch(this.region, readBytes);
  readonly #epoll: bigint;
  readonly #openFds: Uint8Array;
  readonly #targets: (EventTarget | undefined)[] = [];
  readonly #generations: number[] = [];
  readonly #events = new Int32Array(3 * maxEvents);
  readonly #eventsAddress: bigint;
  readonly #one = new Int32Array(4);
  readonly #oneAddress: bigint;
  readonly #wheel: TimerWheel;
  #lastBuffer: Uint8Array | null = null;
  #lastAddress = 0n;
  #resumable: Resumable[] = [];
  #deferred: (() => void)[] = [];

  /** openFds: where the descriptors in use are marked, for whoever has to close them when this thread dies. */
  constructor(openFds: Uint8Array = new Uint8Array(0)) {
    this.#openFds = openFds;
    this.nowMs = libc.monotonicMs();
    this.wallMs = Date.now();
    this.#wheel = new TimerWheel(this.nowMs);
    this.#eventsAddress = addressOf(this.#events);
    this.#oneAddress = addressOf(this.#one);
    const fd = libc.epollCreate(0x80000n, 0n);
    if (fd < 0) throw new Error(`epoll_create1: ${libc.errnoText(libc.errno())}`);
    this.#epoll = BigInt(fd);
    this.#openFds[fd] = 1;
  }

  /** Address of the buffer's first byte. Writers use the same few buffers, so the last one is remembered. */
  addressOf(buffer: Uint8Array): bigint {
    if (buffer !== this.#lastBuffer) {
      this.#lastAddress = addressOf(buffer);
      this.#lastBuffer = buffer;
    }
    return this.#lastAddress;
  }

  /** Starts delivering events of the descriptor. False when the kernel refuses (too many watches). */
  add(fd: number, target: EventTarget, events: number): boolean {
    const generation = ((this.#generations[fd] ?? 0) + 1) | 0;
    this.#generations[fd] = generation;
    this.#targets[fd] = target;
    this.#openFds[fd] = 1;
    return this.#control(libc.epoll.add, fd, events, generation);
  }

  /** Changes what is delivered, or to whom: the target may be another one. */
  change(fd: number, target: EventTarget, events: number): boolean {
    this.#targets[fd] = target;
    return this.#control(libc.epoll.mod, fd, events, this.#generations[fd] ?? 0);
  }

  /** To be called before the descriptor is closed; closing takes it out of epoll. */
  forget(fd: number): void {
    this.#targets[fd] = undefined;
    this.#openFds[fd] = 0;
    this.#generations[fd] = ((this.#generations[fd] ?? 0) + 1) | 0;
  }

  /** Takes the descriptor out and leaves it open. */
  remove(fd: number): void {
    this.#control(libc.epoll.del, fd, 0, 0);
    this.forget(fd);
  }

  #control(operation: bigint, fd: number, events: number, generation: number): boolean {
    const one = this.#one; // struct epoll_event is packed: events, then 8 bytes of ours
    one[0] = events;
    one[1] = fd;
    one[2] = generation;
    return libc.epollCtl(this.#epoll, operation, libc.big(fd), this.#oneAddress) === 0;
  }

  after(delayMs: number, call: () => void): TimerHandle {
    return this.#wheel.set(this.nowMs, delayMs, call);
  }

  /** Runs at the end of this turn, or of the next when called from deferred work. */
  defer(work: () => void): void {
    this.#deferred.push(work);
  }

  resumeLater(target: Resumable): void {
    this.#resumable.push(target);
  }

  /** One turn: waits at most maxMs for events, less when there is work. */
  run(maxMs: number = maxSleepMs): void {
    const idle = this.#resumable.length === 0 && this.#deferred.length === 0;
    const sleep = idle ? this.#wheel.sleepMs(libc.monotonicMs(), maxMs) : 0;
    const count = libc.epollWait(this.#epoll, this.#eventsAddress, 512n, BigInt(sleep));
    this.nowMs = libc.monotonicMs();
    this.wallMs = Date.now();
    this.turn++;
    this.#dispatch(count);
    this.#resume();
    this.#wheel.advance(this.nowMs, this.onFault);
    this.#runDeferred();
    this.onTurnEnd();
  }

  #dispatch(count: number): void {
    const events = this.#events;
    for (let i = 0; i < count * 3; i += 3) {
      const fd = events[i + 1] ?? -1;
      const target = this.#targets[fd];
      if (target === undefined || this.#generations[fd] !== events[i + 2]) continue;
      try {
        target.onEvents(events[i] ?? 0);
      } catch (error) {
        this.#contain(error, target);
      }
    }
  }

  #resume(): void {
    if (this.#resumable.length === 0) return;
    const round = this.#resumable;
    this.#resumable = [];
    for (const target of round) {
      try {
        target.onResume();
      } catch (error) {
        this.#contain(error, target);
      }
    }
  }

  #contain(error: unknown, target: EventTarget | Resumable): void {
    this.onFault(error);
    target.onFault?.();
  }

  #runDeferred(): void {
    if (this.#deferred.length === 0) return;
    const round = this.#deferred;
    this.#deferred = [];
    for (const work of round) {
      try {
        work();
      } catch (error) {
        this.onFault(error);
      }
    }
  }

  close(): void {
    this.#openFds[Number(this.#epoll)] = 0;
    libc.close(this.#epoll, 0n);
  }
}
