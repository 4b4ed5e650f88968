/**
 * What all HTTP/2 connections of a thread share: the read buffer, the clock, the Head that is decoded into, chunks for
 * output, pooled streams, and the list of connections that have something to write. Knows nothing of sockets, so that
 * it serves the workers' loop and the main thread alike.
 * Invariant: every connection that appended something is settled once, at the end of the turn.
 */
import { Head } from '../http1/head.ts';
import { viewOf } from '../http1/words.ts';
import { FreeList } from '../worker/free-list.ts';
import type { LoopClock, Timers } from '../worker/runtime.ts';
import { HeadAssembly } from './head-assembly.ts';
import { Http2Stream } from './stream.ts';

/** Four TLS records. */
export const chunkBytes = 65_536;
/** The beginnings of chunks are set off against each other, or they would all fall into the same lines of the cache. */
const chunkStride = chunkBytes + 576;
const chunksPerArena = 32;
export const blockBytes = 16_384;
/** What is dirtied while settling is settled in the same turn this many times, then in the next. */
const maxRounds = 4;

/** A part of an arena: many chunks are one Buffer, whose address the writers need only once. */
export interface OutChunk {
  readonly buffer: Buffer;
  readonly view: DataView;
  readonly start: number;
}

/** A connection with output, or with something to be done at the end of the turn. */
export interface Settled {
  settle(): void;
  /** It has thrown. */
  onFault(): void;
}

/** Writes a range of the read buffer that it has put a frame header in front of. */
export interface DirectWriter {
  writeDirect(): void;
}

/** The user of a stream, who keeps a head for the case that its body comes right behind it in the same read. */
export interface HeldBack {
  goOn(): void;
}

export interface Http2HostOptions {
  /** readHeadroom + readCapacity + readTailroom bytes, as of net/stream.ts. */
  readonly readBuffer: Buffer;
  readonly clock: LoopClock;
  readonly timers: Timers;
  /** Runs work at the end of the turn, outside of every callback. */
  readonly defer: (work: () => void) => void;
  /** [0, 1). */
  readonly random: () => number;
}

export class Http2Host {
  readonly readBuffer: Buffer;
  readonly readView: DataView;
  readonly clock: LoopClock;
  readonly timers: Timers;
  readonly random: () => number;
  readonly assembly: HeadAssembly = new HeadAssembly({ maxBytes: 0, maxHeaders: 0 });
  /** Where heads are decoded to: valid while the callback runs that it is given to. */
  head: Head = new Head();
  /** The stream whose data is being handed out: only then may it be written from where it lies. */
  source: Http2Stream | null = null;
  /** Who has yet to write a range of the read buffer. */
  direct: DirectWriter | null = null;
  /** Runs work at the end of the turn; of the next one when asked for at the end of a turn. */
  readonly defer: (work: () => void) => void;
  readonly #chunks: OutChunk[] = [];
  readonly #streams: FreeList<Http2Stream>;
  readonly #released: Http2Stream[] = [];
  #held: HeldBack | null = null;
  readonly #blocks: FreeList<Buffer>;
  #dirty: Settled[] = [];
  #spare: Settled[] = [];
  #scheduled = false;
  readonly #settleAll = (): void => this.#settle();

  constructor(options: Http2HostOptions) {
    this.readBuffer = options.readBuffer;
    this.readView = viewOf(options.readBuffer);
    this.clock = options.clock;
    this.timers = options.timers;
    this.random = options.random;
    this.defer = options.defer;
    this.#streams = new FreeList(() => new Http2Stream(), options.timers);
    this.#blocks = new FreeList(() => Buffer.allocUnsafeSlow(blockBytes), options.timers);
  }

  /** Keeps the Head that was just handed out: it belongs to the caller, whose spare one takes its place. */
  takeHead(spare: Head): Head {
    const { head } = this;
    this.head = spare;
    return head;
  }

  /** To be called before anything else may write to the read buffer, or read into it. */
  flushDirect(): void {
    const { direct } = this;
    if (direct === null) return;
    this.direct = null;
    direct.writeDirect();
  }

  /** goOn() comes with the next head that is held back or the end of the read, unless it is taken back before. */
  holdBack(held: HeldBack): void {
    const before = this.#held;
    this.#held = held;
    before?.goOn();
  }

  /** What was held back last goes on by itself. */
  takeBack(): void {
    this.#held = null;
  }

  /** A read has been worked off. */
  releaseHeld(): void {
    const held = this.#held;
    this.#held = null;
    held?.goOn();
  }

  takeChunk(): OutChunk {
    const chunk = this.#chunks.pop();
    if (chunk !== undefined) return chunk;
    const buffer = Buffer.allocUnsafeSlow(chunkStride * chunksPerArena);
    const view = viewOf(buffer);
    for (let i = chunksPerArena - 1; i > 0; i--) this.#chunks.push({ buffer, view, start: i * chunkStride });
    return { buffer, view, start: 0 };
  }

  giveChunk(chunk: OutChunk): void {
    this.#chunks.push(chunk);
  }

  /** 16 KiB for bytes that wait for a window. */
  takeBlock(): Buffer {
    return this.#blocks.take();
  }

  giveBlock(block: Buffer): void {
    this.#blocks.give(block);
  }

  /** Streams and blocks that are in use. */
  get lent(): { readonly streams: number; readonly blocks: number } {
    return { streams: this.#streams.lent, blocks: this.#blocks.lent };
  }

  takeStream(): Http2Stream {
    return this.#streams.take();
  }

  /** Used again from the next turn on, when nobody holds on to it any more. */
  giveStream(stream: Http2Stream): void {
    this.#released.push(stream);
    this.#schedule();
  }

  /** To be called once until it is settled. */
  markDirty(connection: Settled): void {
    this.#dirty.push(connection);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.defer(this.#settleAll);
  }

  #settle(): void {
    this.#scheduled = false;
    let faults: unknown[] | null = null;
    for (let round = 0; round < maxRounds && this.#dirty.length > 0; round++) {
      const connections = this.#dirty;
      this.#dirty = this.#spare;
      this.#spare = connections;
      for (const connection of connections) {
        try {
          connection.settle();
        } catch (error) {
          // A bug of one connection's user: the others are settled all the same.
          (faults ??= []).push(error);
          connection.onFault();
        }
      }
      connections.length = 0;
    }
    const released = this.#released;
    for (const stream of released) this.#streams.give(stream);
    released.length = 0;
    if (this.#dirty.length > 0) this.#schedule();
    if (faults !== null) throw (faults as unknown[])[0];
  }
}
