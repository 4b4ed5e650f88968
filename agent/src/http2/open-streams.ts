/**
 * The streams of a connection from their beginning to their end: which ids are used, how many may be open, errors of
 * one stream (RFC 9113 section 5.4.2) and what is told of them.
 * Invariant: a stream is over once, by `cut` (its user is told) or by `release`; then its id is 0, nothing of it is
 * queued, and the host may give it to somebody else from the next turn on.
 */
import type { Http2Connection } from './connection.ts';
import { countStat } from './counters.ts';
import type { Ending } from './ending.ts';
import { FloodGuard } from './flood-guard.ts';
import { errorCode, frameType, maxStreamId } from './frame.ts';
import type { Http2Host } from './host.ts';
import type { Http2Options } from './options.ts';
import type { OutboundLimits } from './outbound-limits.ts';
import type { ReceiveWindows } from './receive-windows.ts';
import { ResetMemory } from './reset-memory.ts';
import type { Sender } from './sender.ts';
import { type Http2Stream, ignoringEvents, type ResetCause } from './stream.ts';
import type { StreamTable } from './stream-table.ts';

/** How many streams a client opens before the peer has said how many it takes. */
const streamsBeforeSettings = 100;

export class OpenStreams {
  readonly table: StreamTable;
  readonly guard: FloodGuard;
  readonly resets = new ResetMemory();
  /** MAX_CONCURRENT_STREAMS of the peer. */
  peerMax = streamsBeforeSettings;
  /** A client was refused for want of capacity, and is to hear when there is some. */
  wanted = false;
  /** Since when none is open. */
  idleSinceMs: number;
  /** Whose DATA frame is being read. */
  receiving: Http2Stream | null = null;
  readonly #connection: Http2Connection;
  readonly #host: Http2Host;
  readonly #options: Http2Options;
  readonly #isClient: boolean;
  readonly #sender: Sender;
  readonly #ending: Ending;
  readonly #limits: OutboundLimits;
  readonly #windows: ReceiveWindows;
  readonly #slots: Float64Array;
  readonly #activeSlot: number;
  #nextId = 1;

  constructor(
    connection: Http2Connection,
    table: StreamTable,
    sender: Sender,
    ending: Ending,
    limits: OutboundLimits,
    windows: ReceiveWindows,
  ) {
    const { host, role, options, counters } = connection;
    this.table = table;
    this.guard = new FloodGuard(options);
    this.idleSinceMs = host.clock.nowMs;
    this.#connection = connection;
    this.#host = host;
    this.#options = options;
    this.#isClient = role === 'client';
    this.#sender = sender;
    this.#ending = ending;
    this.#limits = limits;
    this.#windows = windows;
    this.#slots = counters.slots;
    this.#activeSlot = counters.at.streams_active;
  }

  // ---- ids and capacity

  /** Clients: how many can be opened now. */
  get capacity(): number {
    if (this.exhausted) return 0;
    return Math.max(0, Math.min(this.peerMax, this.#options.maxConcurrentStreams) - this.table.size);
  }

  get exhausted(): boolean {
    return this.#ending.isEnding || this.#nextId > maxStreamId;
  }

  /** Clients: a stream with the next id of ours. */
  beginNext(): Http2Stream {
    const stream = this.begin(this.#nextId);
    this.#nextId += 2;
    return stream;
  }

  begin(id: number): Http2Stream {
    const stream = this.#host.takeStream();
    stream.id = id;
    stream.connection = this.#connection;
    stream.openedMs = this.#host.clock.nowMs;
    stream.spent = 0;
    stream.receiveWindow = this.#windows.ofNewStream;
    this.table.add(stream);
    this.#slots[this.#activeSlot] = (this.#slots[this.#activeSlot] as number) + 1;
    return stream;
  }

  /** Whether no stream of this id has begun yet; even ids never do. */
  isIdle(id: number): boolean {
    if ((id & 1) === 0) return true;
    return this.#isClient ? id >= this.#nextId : id > this.#ending.lastPeerId;
  }

  // ---- errors of one stream

  sendReset(id: number, code: number): void {
    countStat(this.#connection.counters, 'tx_reset', 1);
    this.resets.add(id);
    this.#sender.out.numbers(frameType.rstStream, id, code);
    this.#limits.relieve();
    this.#connection.touch();
  }

  /** The peer broke a rule on it, and its user is told. */
  fail(stream: Http2Stream, code: number): number {
    this.sendReset(stream.id, code);
    this.cut(stream, code, 'local');
    return 0;
  }

  /** The peer broke a rule with a stream that never came to a user. */
  refuse(id: number, code: number): number {
    this.sendReset(id, code);
    this.#ended(true);
    return 0;
  }

  /** A malformed message (section 8.1.1): an error of its stream, or of the connection as in Envoy. */
  malformed(id: number, stream: Http2Stream | null): number {
    countStat(this.#connection.counters, 'rx_messaging_error', 1);
    if (!this.#options.overrideStreamErrorOnInvalidHttpMessage) {
      return this.#ending.fail(errorCode.protocolError, 'malformed message');
    }
    return stream === null ? this.refuse(id, errorCode.protocolError) : this.fail(stream, errorCode.protocolError);
  }

  // ---- the end of a stream

  /** It is over before its time: its user is told. */
  cut(stream: Http2Stream, code: number, cause: ResetCause): void {
    const { events } = stream;
    const { prematureResetMinStreamLifetimeMs } = this.#options;
    const young = this.#host.clock.nowMs - stream.openedMs <= prematureResetMinStreamLifetimeMs;
    const premature = cause !== 'connection' && young && !stream.headSent;
    this.#sender.drop(stream);
    // The id stays until the user has been told.
    this.table.remove(stream);
    stream.connection = null;
    stream.localClosed = true;
    stream.remoteClosed = true;
    events.onReset(stream, code, cause);
    this.#recycle(stream);
    this.#ended(premature);
  }

  /** It is over, and its user knows. */
  release(stream: Http2Stream): void {
    this.#sender.drop(stream);
    this.table.remove(stream);
    this.#recycle(stream);
    this.#ended(false);
  }

  /** `id`: what it was before a callback, in which it may have ended. */
  releaseWhenDone(stream: Http2Stream, id: number): void {
    if (stream.id === id && stream.remoteClosed && stream.localClosed) this.release(stream);
  }

  /** END_STREAM of ours was appended. */
  endLocally(stream: Http2Stream): void {
    stream.localClosed = true;
    const { id } = stream;
    if (stream.resetAfterEnd && !stream.remoteClosed) {
      this.sendReset(id, errorCode.noError);
      this.release(stream);
    } else this.releaseWhenDone(stream, id);
  }

  /** Its user does not want it any more. */
  abort(stream: Http2Stream, code: number): void {
    if (stream.id === 0) return;
    if (code === errorCode.noError && stream.endQueued) {
      stream.resetAfterEnd = true;
      return;
    }
    if (!this.#ending.closed) this.sendReset(stream.id, code);
    this.release(stream);
  }

  #recycle(stream: Http2Stream): void {
    this.#slots[this.#activeSlot] = (this.#slots[this.#activeSlot] as number) - 1;
    if (this.receiving === stream) this.receiving = null;
    stream.id = 0;
    stream.connection = null;
    stream.events = ignoringEvents;
    stream.remoteClosed = false;
    stream.localClosed = false;
    stream.headSent = false;
    stream.headReceived = false;
    stream.unacknowledged = 0;
    stream.held = 0;
    stream.readPaused = false;
    stream.sink = 'unknown';
    stream.bodyLeft = -1;
    stream.isHead = false;
    stream.isConnect = false;
    stream.resetAfterEnd = false;
    stream.endQueued = false;
    if (this.table.size === 0) this.idleSinceMs = this.#host.clock.nowMs;
    this.#host.giveStream(stream);
    if (this.wanted) this.#connection.touch();
    this.#ending.closeWhenIdle();
  }

  /** A stream of the peer is over; counts those that were cut young and unanswered. */
  #ended(premature: boolean): void {
    if (!this.#isClient && this.guard.streamEnded(premature)) {
      this.#ending.fail(errorCode.enhanceYourCalm, 'too many premature resets');
    }
  }
}
