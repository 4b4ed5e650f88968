/**
 * An HTTP/2 connection (RFC 9113), server or client, over a Stream of net/stream.ts: frames in, frames out, the streams
 * between them. Longer than most files because it is one state machine.
 * Invariants: no callback comes inside a call of the user's; an error of the connection is told to its streams when the
 * turn ends; a stream that is over has id 0.
 */
import type { Head } from '../http1/head.ts';
import { method } from '../http1/known-headers.ts';
import type { HeadLimits } from '../http1/parse-head.ts';
import { viewOf } from '../http1/words.ts';
import {
  type CloseReason,
  readCapacity,
  readEof,
  readHeadroom,
  type Stream,
  type StreamHandler,
} from '../net/stream.ts';
import type { TimerHandle } from '../worker/runtime.ts';
import type { Http2Counters, Http2Stat } from './counters.ts';
import { FloodGuard } from './flood-guard.ts';
import {
  clientPreface,
  defaultWindow,
  errorCode,
  flag,
  frameType,
  maxStreamId,
  readUint31,
  readUint32,
  setting,
} from './frame.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { type HeadKind, headVerdict } from './head-assembly.ts';
import type { Http2Host } from './host.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { Keepalive, type KeepaliveOwner } from './keepalive.ts';
import type { Http2Options } from './options.ts';
import { ResetMemory } from './reset-memory.ts';
import { Sender, type SenderOwner } from './sender.ts';
import { checkSetting, firstFrames, type Role, settingBytes, settingId, settingValue } from './settings.ts';
import { type Http2Stream, type Http2StreamEvents, ignoringEvents, type ResetCause } from './stream.ts';
import { StreamTable } from './stream-table.ts';

export interface Http2ConnectionEvents {
  /** Clients: TCP and TLS are up. */
  onConnected(connection: Http2Connection): void;
  /** Servers: a request; set stream.events before returning. `head` is host.head: see takeHead. */
  onStream(stream: Http2Stream, head: Head, last: boolean): void;
  /** Clients: streams can be opened again after open() gave null. */
  onCapacity(connection: Http2Connection): void;
  /** The peer will take no stream above the id; those have been reset as refused already. */
  onGoaway(connection: Http2Connection, lastStreamId: number, code: number): void;
  /**
   * Once: the connection is over, and its streams have been told. `code` is of errorCode: what we sent in GOAWAY, or
   * NO_ERROR; `detail` says what was wrong.
   */
  onClosed(connection: Http2Connection, reason: CloseReason, code: number, detail: string): void;
}

/** How many streams a client opens before the peer has said how many it takes. */
const streamsBeforeSettings = 100;
/** Time for a last GOAWAY to go out. */
const closingMs = 1000;
const goawayBytes = 8;
const nothing = Buffer.alloc(0);
/** Requests of one connection that are begun in a turn of the loop: some milliseconds' work. */
const maxStreamsPerTurn = 100;

export class Http2Connection implements StreamHandler, FrameSink, SenderOwner, KeepaliveOwner {
  readonly host: Http2Host;
  readonly socket: Stream;
  readonly role: Role;
  readonly options: Http2Options;
  events: Http2ConnectionEvents;
  /** No stream begins any more and no frame is read. */
  closed = false;
  /** The peer allows extended CONNECT (RFC 8441). */
  peerAllowsConnect = false;
  readonly #counters: Http2Counters;
  readonly #slots: Float64Array;
  readonly #activeSlot: number;
  readonly #limits: HeadLimits;
  readonly #reader: FrameReader;
  readonly #sender: Sender;
  readonly #decoder = new HpackDecoder();
  readonly #streams = new StreamTable();
  readonly #guard: FloodGuard;
  readonly #resets = new ResetMemory();
  #keepalive: Keepalive | null = null;
  #settingsTimer: TimerHandle | null = null;
  #prefaceLeft: number;
  #gotSettings = false;
  #dirty = false;
  #told = false;
  #failure = 0;
  #detail = '';
  #reason: CloseReason = 'local';
  /** The socket is of no use any more: it is closed at once. */
  #abandon = false;
  /** Highest stream id of the peer's; the next of ours. */
  #lastPeerId = 0;
  #nextId = 1;
  #peerMaxStreams = streamsBeforeSettings;
  #wanted = false;
  /** Drain: the last id that we still serve, or -1; the peer's GOAWAY, or -1. */
  #finalId = -1;
  #draining = false;
  #peerLastId = -1;
  /** What the peer may send on a new stream: at least the default until it has acknowledged our SETTINGS. */
  #streamWindow: number;
  /** What the peer may still send on the connection, and what is to be given back. */
  #receiveWindow: number;
  #unacknowledged = 0;
  #dataStream: Http2Stream | null = null;
  #openedInTurn = 0;
  #reportedFrames = 0;
  #reportedControl = 0;
  #idleSinceMs: number;

  constructor(
    host: Http2Host,
    socket: Stream,
    role: Role,
    options: Http2Options,
    counters: Http2Counters,
    events: Http2ConnectionEvents,
  ) {
    this.host = host;
    this.socket = socket;
    this.role = role;
    this.options = options;
    this.events = events;
    this.#counters = counters;
    this.#slots = counters.slots;
    this.#activeSlot = counters.at.streams_active;
    this.#limits = { maxBytes: options.maxHeaderBytes, maxHeaders: options.maxHeaders };
    this.#reader = new FrameReader(this, host.readBuffer, options.maxHeaderBytes);
    this.#sender = new Sender(host, socket, this, options, counters);
    this.#guard = new FloodGuard(options);
    this.#prefaceLeft = role === 'server' ? clientPreface.length : 0;
    this.#streamWindow = Math.max(defaultWindow, options.initialStreamWindowSize);
    this.#receiveWindow = Math.max(defaultWindow, options.initialConnectionWindowSize);
    this.#idleSinceMs = host.clock.nowMs;
  }

  /** Takes the socket over and sends our preface. Called once. */
  start(): void {
    this.socket.handler = this;
    const { out } = this.#sender;
    if (this.role === 'client') out.bytes(clientPreface);
    out.bytes(firstFrames(this.role, this.options));
    this.touch();
    const { settingsTimeoutMs, connectionKeepalive } = this.options;
    if (settingsTimeoutMs > 0) {
      this.#settingsTimer = this.host.timers.after(settingsTimeoutMs, () => {
        this.#settingsTimer = null;
        this.#fail(errorCode.settingsTimeout, 'SETTINGS were not acknowledged');
      });
    }
    if (connectionKeepalive !== null) this.#keepalive = new Keepalive(this.host, connectionKeepalive, this);
  }

  get activeStreams(): number {
    return this.#streams.size;
  }

  /** Clients: how many streams can be opened now. */
  get capacity(): number {
    if (this.closed || this.#draining || this.#peerLastId >= 0 || this.#nextId > maxStreamId) return 0;
    return Math.max(0, Math.min(this.#peerMaxStreams, this.options.maxConcurrentStreams) - this.#streams.size);
  }

  /** Whether no stream will ever be opened here again. */
  get exhausted(): boolean {
    return this.closed || this.#draining || this.#peerLastId >= 0 || this.#nextId > maxStreamId;
  }

  /** Clients: begins a request, or gives null when there is no capacity; onCapacity comes when there is. */
  open(head: Head, last: boolean, events: Http2StreamEvents): Http2Stream | null {
    if (this.capacity === 0) {
      this.#wanted = true;
      return null;
    }
    if (this.#keepalive !== null && this.#streams.size === 0) {
      this.#keepalive.afterIdle(this.host.clock.nowMs - this.#idleSinceMs);
    }
    const stream = this.#addStream(this.#nextId);
    this.#nextId += 2;
    stream.events = events;
    stream.headSent = true;
    stream.isHead = head.method === method.HEAD;
    stream.isConnect = head.method === method.CONNECT;
    this.#sender.head(stream, 'request', head, last);
    return stream;
  }

  #addStream(id: number): Http2Stream {
    const stream = this.host.takeStream();
    stream.id = id;
    stream.connection = this;
    stream.openedMs = this.host.clock.nowMs;
    stream.spent = 0;
    stream.receiveWindow = this.#streamWindow;
    this.#streams.add(stream);
    this.#slots[this.#activeSlot] = (this.#slots[this.#activeSlot] as number) + 1;
    return stream;
  }

  /**
   * Servers: tells the peer to open no more streams, in a way that loses none of those on their way; finishDrain is to
   * follow after a round trip or more. Clients: opens no more. Either way the connection closes when the last is over.
   */
  drain(): void {
    if (this.closed || this.#draining) return;
    this.#draining = true;
    if (this.role === 'server') this.#goaway(maxStreamId, errorCode.noError);
    else this.#closeWhenIdle();
  }

  /** Servers: names the last stream that is served; what comes after it is ignored, and safe to send again. */
  finishDrain(): void {
    if (this.closed || this.#finalId >= 0) return;
    this.#draining = true;
    if (this.role === 'server') {
      this.#finalId = this.#lastPeerId;
      this.#goaway(this.#finalId, errorCode.noError);
    }
    this.#closeWhenIdle();
  }

  /** Ends the connection now, with GOAWAY; its streams are told when the turn ends. */
  close(code: number, detail: string): void {
    this.#fail(code, detail);
  }

  // ---- the socket

  onConnected(): void {
    if (!this.closed) this.events.onConnected(this);
  }

  onReadable(socket: Stream): void {
    this.#openedInTurn = 0;
    for (;;) {
      const n = socket.read(readHeadroom, readCapacity);
      if (n <= 0) {
        if (n === readEof) this.#lost('remote-close', '');
        return;
      }
      this.received(readHeadroom, readHeadroom + n);
      if (this.closed || socket.readPaused || !socket.more(n, readCapacity)) return;
    }
  }

  /** Bytes of the peer in [from, end) of the read buffer, which whoever found out its protocol has read already. */
  received(from: number, end: number): void {
    const start = this.#prefaceLeft > 0 ? this.#preface(from, end) : from;
    if (this.closed) return;
    this.#afterFrames(this.#read(start, end));
  }

  #afterFrames(error: number): void {
    if (error !== 0) this.#fail(error, this.#detail === '' ? 'malformed frame' : this.#detail);
    else if (this.#reader.rested && !this.closed) this.#rest();
  }

  /** A burst of requests is begun piece by piece: the other connections come in between (CVE-2023-44487). */
  get rests(): boolean {
    return this.#openedInTurn >= maxStreamsPerTurn;
  }

  #rest(): void {
    this.socket.pauseRead();
    this.host.timers.after(0, () => {
      if (this.closed) return;
      this.#openedInTurn = 0;
      this.#afterFrames(this.#resume());
      if (!this.closed && !this.#reader.rested) this.socket.resumeRead();
    });
  }

  #read(start: number, end: number): number {
    try {
      return this.#reader.read(start, end);
    } finally {
      this.#releaseBuffer();
    }
  }

  #resume(): number {
    try {
      return this.#reader.resume();
    } finally {
      this.#releaseBuffer();
    }
  }

  /** Nobody keeps a hold of the read buffer beyond the work on what was read. */
  #releaseBuffer(): void {
    this.host.source = null;
    this.host.flushDirect();
  }

  #preface(start: number, end: number): number {
    let p = start;
    const b = this.host.readBuffer;
    while (this.#prefaceLeft > 0 && p < end) {
      if (b[p] !== clientPreface[clientPreface.length - this.#prefaceLeft]) {
        this.#fail(errorCode.protocolError, 'not the preface of HTTP/2');
        return end;
      }
      this.#prefaceLeft--;
      p++;
    }
    return p;
  }

  onDrained(): void {
    this.#sender.out.drained();
    this.touch();
  }

  onClosed(socket: Stream, reason: CloseReason): void {
    this.#lost(reason, socket.failure);
  }

  #lost(reason: CloseReason, detail: string): void {
    if (this.closed) return;
    this.closed = true;
    this.#abandon = true;
    this.#reason = reason;
    this.#detail = detail;
    this.touch();
  }

  // ---- the end of a turn

  touch(): void {
    if (this.#dirty || this.#told) return;
    this.#dirty = true;
    this.host.markDirty(this);
  }

  settle(): void {
    this.#dirty = false;
    if (this.#told) return;
    const sender = this.#sender;
    if (!this.#abandon) {
      sender.out.flush();
      if (!this.closed) {
        if (sender.waiting) {
          sender.pump();
          sender.out.flush();
        }
        this.#checkOutbound();
      }
    }
    this.#reportFrames();
    if (this.closed) this.#end();
    else if (this.#wanted && this.capacity > 0) {
      this.#wanted = false;
      this.events.onCapacity(this);
    }
  }

  #checkOutbound(): void {
    const { out } = this.#sender;
    const { maxOutboundFrames, maxOutboundControlFrames } = this.options;
    if (out.controlFrames > maxOutboundControlFrames) this.#flood('outbound_control_flood');
    else if (out.frames > maxOutboundFrames) this.#flood('outbound_flood');
    else return;
    this.#abandon = true;
  }

  #reportFrames(): void {
    const { frames, controlFrames } = this.#sender.out;
    if (frames !== this.#reportedFrames) this.#count('outbound_frames_active', frames - this.#reportedFrames);
    if (controlFrames !== this.#reportedControl) {
      this.#count('outbound_control_frames_active', controlFrames - this.#reportedControl);
    }
    this.#reportedFrames = frames;
    this.#reportedControl = controlFrames;
  }

  /** Tells everybody that the connection is over. */
  #end(): void {
    this.#told = true;
    this.#settingsTimer?.cancel();
    this.#keepalive?.stop();
    const { out } = this.#sender;
    out.drained();
    this.#reportFrames();
    out.discard();
    if (!this.socket.dead) {
      if (this.#abandon) this.socket.close();
      else this.socket.closeAfterFlush(closingMs);
    }
    const faults: unknown[] = [];
    for (const stream of this.#streams.all()) {
      try {
        if (stream.id !== 0) this.#cut(stream, this.#failure, 'connection');
      } catch (error) {
        faults.push(error); // a bug of one stream's user must not keep it from the others
      }
    }
    this.events.onClosed(this, this.#reason, this.#failure, this.#detail);
    if (faults.length > 0) throw faults[0];
  }

  /** A callback of ours has thrown at the end of a turn: the connection is given up, the others go on. */
  onFault(): void {
    this.#lost('local', 'aborted by a bug');
  }

  // ---- what is wrong

  /** An error of the connection (RFC 9113 section 5.4.1). */
  #fail(code: number, detail: string): number {
    if (this.closed) return 0;
    this.closed = true;
    this.#failure = code;
    this.#detail = detail;
    this.#goaway(this.#lastPeerId, code);
    return 0;
  }

  #flood(stat: Http2Stat): number {
    this.#count(stat, 1);
    return this.#fail(errorCode.enhanceYourCalm, stat);
  }

  #goaway(lastId: number, code: number): void {
    this.#count('goaway_sent', 1);
    this.#sender.out.numbers(frameType.goaway, 0, lastId, code);
    this.touch();
  }

  #count(stat: Http2Stat, n: number): void {
    const { slots, at } = this.#counters;
    const slot = at[stat];
    slots[slot] = (slots[slot] as number) + n;
  }

  #sendReset(id: number, code: number): void {
    this.#count('tx_reset', 1);
    this.#resets.add(id);
    const { out } = this.#sender;
    out.numbers(frameType.rstStream, id, code);
    if (out.controlFrames > this.options.maxOutboundControlFrames) this.#relieve();
    this.touch();
  }

  /** Control frames pile up within a turn: they are written now, and it is a flood when the socket does not take them. */
  #relieve(): void {
    this.#sender.out.flush();
    this.#checkOutbound();
  }

  /** An error of one stream (section 5.4.2), whose user is told. */
  #streamError(stream: Http2Stream, code: number): number {
    this.#sendReset(stream.id, code);
    this.#cut(stream, code, 'local');
    return 0;
  }

  /** A malformed message (section 8.1.1): of its stream, or of the connection as in Envoy. */
  #malformed(id: number, stream: Http2Stream | null): number {
    this.#count('rx_messaging_error', 1);
    if (!this.options.overrideStreamErrorOnInvalidHttpMessage) {
      return this.#fail(errorCode.protocolError, 'malformed message');
    }
    if (stream !== null) return this.#streamError(stream, errorCode.protocolError);
    this.#sendReset(id, errorCode.protocolError);
    return this.#ended(true);
  }

  /** A stream of the peer is over; counts those that were cut young and unanswered. */
  #ended(premature: boolean): number {
    if (this.role === 'server' && this.#guard.streamEnded(premature)) {
      this.#fail(errorCode.enhanceYourCalm, 'too many premature resets');
    }
    return 0;
  }

  #cut(stream: Http2Stream, code: number, cause: ResetCause): void {
    const { events } = stream;
    const { prematureResetMinStreamLifetimeMs } = this.options;
    const young = this.host.clock.nowMs - stream.openedMs <= prematureResetMinStreamLifetimeMs;
    const premature = cause !== 'connection' && young && !stream.headSent;
    this.#sender.drop(stream);
    // The id stays until the user has been told.
    this.#streams.remove(stream);
    stream.connection = null;
    stream.localClosed = true;
    stream.remoteClosed = true;
    events.onReset(stream, code, cause);
    this.#recycle(stream);
    this.#ended(premature);
  }

  #release(stream: Http2Stream): void {
    this.#sender.drop(stream);
    this.#streams.remove(stream);
    this.#recycle(stream);
    this.#ended(false);
  }

  #recycle(stream: Http2Stream): void {
    this.#slots[this.#activeSlot] = (this.#slots[this.#activeSlot] as number) - 1;
    if (this.#dataStream === stream) this.#dataStream = null;
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
    stream.bodyLeft = -1;
    stream.isHead = false;
    stream.isConnect = false;
    stream.resetAfterEnd = false;
    stream.endQueued = false;
    if (this.#streams.size === 0) this.#idleSinceMs = this.host.clock.nowMs;
    this.host.giveStream(stream);
    if (this.#wanted) this.touch();
    this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    if (this.closed || this.#streams.size > 0) return;
    if (this.#finalId < 0 && this.#peerLastId < 0 && !(this.#draining && this.role === 'client')) return;
    if (this.role === 'server' && this.#finalId < 0) return;
    this.closed = true;
    this.touch();
  }

  #maybeDone(stream: Http2Stream, id: number): void {
    if (stream.id === id && stream.remoteClosed && stream.localClosed) this.#release(stream);
  }

  // ---- calls of streams

  sendHead(stream: Http2Stream, head: Head, last: boolean): void {
    if (this.closed || stream.localClosed || stream.headSent) return;
    if (head.status >= 200) stream.headSent = true;
    this.#sender.head(stream, 'response', head, last);
  }

  sendData(stream: Http2Stream, buffer: Uint8Array, start: number, end: number, last: boolean): void {
    if (this.closed || stream.localClosed || stream.endQueued) return;
    this.#sender.data(stream, buffer, start, end, last);
  }

  sendTrailers(stream: Http2Stream, head: Head): void {
    if (this.closed || stream.localClosed || stream.endQueued) return;
    this.#sender.trailers(stream, head);
  }

  resetStream(stream: Http2Stream, code: number): void {
    if (stream.id === 0) return;
    if (code === errorCode.noError && stream.endQueued) {
      stream.resetAfterEnd = true;
      return;
    }
    if (!this.closed) this.#sendReset(stream.id, code);
    this.#release(stream);
  }

  /** Reading goes on: what came meanwhile is given back. */
  acknowledgeHeld(stream: Http2Stream): void {
    stream.unacknowledged += stream.held;
    stream.held = 0;
    this.#acknowledge(stream);
  }

  onLocalEnd(stream: Http2Stream): void {
    stream.localClosed = true;
    const { id } = stream;
    if (stream.resetAfterEnd && !stream.remoteClosed) {
      this.#sendReset(id, errorCode.noError);
      this.#release(stream);
    } else this.#maybeDone(stream, id);
  }

  // ---- header blocks

  onEmptyHeaders(): number {
    return this.#checkFrame(true);
  }

  #checkFrame(empty: boolean): number {
    const stat = this.#guard.frame(empty);
    return stat === null ? 0 : this.#flood(stat);
  }

  onHeaderBlock(id: number, endStream: boolean, selfDependent: boolean, b: Buffer, start: number, end: number): number {
    if (!this.#gotSettings || (id & 1) === 0) return errorCode.protocolError;
    this.host.flushDirect();
    if (end > start) this.#guard.frame(false);
    const stream = this.#streams.get(id);
    if (stream !== null) return this.#nextBlock(stream, endStream, b, start, end);
    if (this.role === 'client' || id <= this.#lastPeerId) return this.#blockOfClosed(id, b, start, end);
    return this.#newRequest(id, endStream, selfDependent, b, start, end);
  }

  /** Decodes to host.head; false when the compression state is lost. */
  #decode(kind: HeadKind, b: Buffer, start: number, end: number): boolean {
    const { host, options } = this;
    host.assembly.begin(host.head, kind, this.#limits, options.allowConnect);
    if (this.#decoder.decode(b, b === host.readBuffer ? host.readView : viewOf(b), start, end, host.assembly)) {
      host.assembly.finish();
      return true;
    }
    this.#detail = 'header block cannot be decompressed';
    return false;
  }

  #newRequest(id: number, endStream: boolean, selfDependent: boolean, b: Buffer, start: number, end: number): number {
    this.#lastPeerId = id;
    if (this.#finalId >= 0) {
      this.#resets.add(id);
      return this.#decode('ignored', b, start, end) ? 0 : errorCode.compressionError;
    }
    this.#openedInTurn++;
    this.#guard.streamOpened();
    const refused = this.#streams.size >= this.options.maxConcurrentStreams;
    if (!this.#decode(refused || selfDependent ? 'ignored' : 'request', b, start, end)) {
      return errorCode.compressionError;
    }
    if (refused || selfDependent) {
      if (refused) this.#count('stream_refused_errors', 1);
      this.#sendReset(id, refused ? errorCode.refusedStream : errorCode.protocolError);
      // Before our SETTINGS have arrived a client may open more than we take.
      return refused ? 0 : this.#ended(true);
    }
    const { head, assembly } = this.host;
    if (assembly.verdict !== headVerdict.ok) return this.#badHead(id, null);
    if (endStream && head.contentLength > 0) return this.#malformed(id, null);
    const stream = this.#addStream(id);
    stream.headReceived = true;
    stream.remoteClosed = endStream;
    stream.bodyLeft = head.method === method.CONNECT ? -1 : head.contentLength;
    this.events.onStream(stream, head, endStream);
    this.#maybeDone(stream, id);
    return 0;
  }

  #badHead(id: number, stream: Http2Stream | null): number {
    if (this.host.assembly.verdict === headVerdict.malformed) return this.#malformed(id, stream);
    this.#count('header_overflow', 1);
    if (stream !== null) return this.#streamError(stream, errorCode.internalError);
    this.#sendReset(id, errorCode.internalError);
    return this.#ended(true);
  }

  /** HEADERS of a stream that is not open: a rest of one that we cut, or an error. */
  #blockOfClosed(id: number, b: Buffer, start: number, end: number): number {
    if (this.role === 'client' && id >= this.#nextId) return errorCode.protocolError;
    if (!this.#decode('ignored', b, start, end)) return errorCode.compressionError;
    this.#count('headers_cb_no_stream', 1);
    return this.role === 'client' || this.#resets.has(id) ? 0 : errorCode.streamClosed;
  }

  /** An answer's head, or trailers. */
  #nextBlock(stream: Http2Stream, endStream: boolean, b: Buffer, start: number, end: number): number {
    const { id } = stream;
    const trailers = stream.headReceived;
    const late = stream.remoteClosed;
    const kind = late ? 'ignored' : trailers ? 'trailers' : 'response';
    if (!this.#decode(kind, b, start, end)) return errorCode.compressionError;
    if (late) return this.#streamError(stream, errorCode.streamClosed);
    if (this.host.assembly.verdict !== headVerdict.ok) return this.#badHead(id, stream);
    if (trailers) return this.#trailers(stream, endStream);
    const { head } = this.host;
    const final = head.status >= 200;
    if (!final && endStream) return this.#malformed(id, stream);
    if (final) {
      stream.headReceived = true;
      const bodiless = head.status === 204 || head.status === 304 || stream.isHead;
      stream.bodyLeft = stream.isConnect ? -1 : bodiless ? 0 : head.contentLength;
      if (endStream && stream.bodyLeft > 0) return this.#malformed(id, stream);
    }
    stream.remoteClosed = endStream;
    stream.events.onHead(stream, head, endStream);
    this.#maybeDone(stream, id);
    return 0;
  }

  #trailers(stream: Http2Stream, endStream: boolean): number {
    const { id } = stream;
    if (!endStream) return this.#malformed(id, stream);
    if (stream.bodyLeft > 0) return this.#streamError(stream, errorCode.protocolError);
    // Of requests, as in Envoy.
    if (this.role === 'server') this.#count('trailers', 1);
    stream.remoteClosed = true;
    stream.events.onTrailers(stream, this.host.head);
    this.#maybeDone(stream, id);
    return 0;
  }

  // ---- DATA

  onDataFrame(id: number, length: number, padding: number, endStream: boolean): number {
    if (!this.#gotSettings || id === 0) return errorCode.protocolError;
    this.#receiveWindow -= length;
    if (this.#receiveWindow < 0) return errorCode.flowControlError;
    this.#refill(length);
    const flood = this.#checkFrame(length === padding && !endStream);
    if (flood !== 0 || this.closed) return flood;
    const stream = this.#streams.get(id);
    this.#dataStream = stream;
    if (stream === null) return this.#dataOfClosed(id);
    if (stream.remoteClosed) return this.#streamError(stream, errorCode.streamClosed);
    if (!stream.headReceived) return this.#streamError(stream, errorCode.protocolError);
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) return this.#streamError(stream, errorCode.flowControlError);
    stream.unacknowledged += padding;
    return 0;
  }

  /** The connection's window counts what came, whoever it was for and whatever becomes of it. */
  #refill(length: number): void {
    this.#unacknowledged += length;
    const whole = Math.max(defaultWindow, this.options.initialConnectionWindowSize);
    if (this.#unacknowledged < whole / 2) return;
    this.#sender.out.numbers(frameType.windowUpdate, 0, this.#unacknowledged);
    this.#receiveWindow += this.#unacknowledged;
    this.#unacknowledged = 0;
    this.touch();
  }

  #dataOfClosed(id: number): number {
    const ours = (id & 1) === 1 && this.role === 'client';
    const idle = ours ? id >= this.#nextId : (id & 1) === 0 || id > this.#lastPeerId;
    if (idle) return errorCode.protocolError;
    if (!this.#resets.has(id)) this.#sendReset(id, errorCode.streamClosed);
    return 0;
  }

  onDataPart(start: number, end: number, last: boolean): number {
    const stream = this.#dataStream;
    if (stream === null) return 0;
    const length = end - start;
    if (stream.bodyLeft >= 0) {
      stream.bodyLeft -= length;
      if (stream.bodyLeft < 0 || (last && stream.bodyLeft > 0)) {
        return this.#streamError(stream, errorCode.protocolError);
      }
    }
    const { id } = stream;
    if (last) stream.remoteClosed = true;
    const { host } = this;
    if (host.direct !== null && host.directSource !== stream) host.flushDirect();
    host.source = stream;
    stream.events.onData(stream, start, end, last);
    host.source = null;
    if (stream.id !== id) return 0;
    if (stream.readPaused) stream.held += length;
    else {
      stream.unacknowledged += length;
      this.#acknowledge(stream);
    }
    this.#maybeDone(stream, id);
    return 0;
  }

  /** Gives the stream its window back when half of it was used up. */
  #acknowledge(stream: Http2Stream): void {
    if (stream.remoteClosed || this.closed) return;
    if (stream.unacknowledged < this.options.initialStreamWindowSize / 2) return;
    this.#sender.out.numbers(frameType.windowUpdate, stream.id, stream.unacknowledged);
    stream.receiveWindow += stream.unacknowledged;
    stream.unacknowledged = 0;
    this.touch();
  }

  // ---- other frames

  onFrame(type: number, flags: number, id: number, b: Buffer, start: number, end: number): number {
    this.host.flushDirect();
    if (!this.#gotSettings && (type !== frameType.settings || (flags & flag.ack) !== 0)) return errorCode.protocolError;
    switch (type) {
      case frameType.priority:
        return this.#onPriority(id, b, start, end);
      case frameType.rstStream:
        return this.#onReset(id, b, start, end);
      case frameType.settings:
        return this.#onSettings(flags, id, b, start, end);
      case frameType.ping:
        return this.#onPing(flags, id, b, start, end);
      case frameType.goaway:
        return this.#onGoaway(id, b, start, end);
      case frameType.windowUpdate:
        return this.#onWindowUpdate(id, b, start, end);
      case frameType.pushPromise:
        return errorCode.protocolError;
      default:
        return 0; // unknown types are ignored (section 4.1)
    }
  }

  /** Read for its form only: priorities are deprecated (section 5.3.2). */
  #onPriority(id: number, b: Buffer, start: number, end: number): number {
    if (id === 0) return errorCode.protocolError;
    const stat = this.#guard.priority();
    if (stat !== null) return this.#flood(stat);
    const stream = this.#streams.get(id);
    if (end - start !== 5) {
      return stream === null ? errorCode.frameSizeError : this.#streamError(stream, errorCode.frameSizeError);
    }
    if (readUint31(b, start) !== id) return 0;
    return stream === null ? errorCode.protocolError : this.#streamError(stream, errorCode.protocolError);
  }

  #isIdle(id: number): boolean {
    if ((id & 1) === 0) return true;
    return this.role === 'client' ? id >= this.#nextId : id > this.#lastPeerId;
  }

  #onReset(id: number, b: Buffer, start: number, end: number): number {
    if (end - start !== 4) return errorCode.frameSizeError;
    if (id === 0 || this.#isIdle(id)) return errorCode.protocolError;
    this.#count('rx_reset', 1);
    const stream = this.#streams.get(id);
    if (stream === null) return 0;
    const code = readUint32(b, start);
    this.#cut(stream, code, code === errorCode.refusedStream ? 'refused' : 'remote');
    return 0;
  }

  #onSettings(flags: number, id: number, b: Buffer, start: number, end: number): number {
    if (id !== 0) return errorCode.protocolError;
    if ((flags & flag.ack) !== 0) {
      if (end > start) return errorCode.frameSizeError;
      this.#onSettingsAcknowledged();
      return 0;
    }
    if ((end - start) % settingBytes !== 0) return errorCode.frameSizeError;
    const first = !this.#gotSettings;
    this.#gotSettings = true;
    if (first) this.#peerMaxStreams = Number.POSITIVE_INFINITY;
    for (let p = start; p < end; p += settingBytes) {
      const error = this.#applySetting(settingId(b, p), settingValue(b, p));
      if (error !== 0) return error;
    }
    return this.#control(frameType.settings, nothing, 0, 0);
  }

  #onSettingsAcknowledged(): void {
    this.#settingsTimer?.cancel();
    this.#settingsTimer = null;
    const { hpackTableSize, initialStreamWindowSize } = this.options;
    this.#decoder.setLimit(hpackTableSize);
    const less = this.#streamWindow - initialStreamWindowSize;
    this.#streamWindow = initialStreamWindowSize;
    if (less > 0) for (const stream of this.#streams.all()) stream.receiveWindow -= less;
  }

  #applySetting(id: number, value: number): number {
    const error = checkSetting(this.role, id, value);
    if (error !== 0) return error;
    if (id === setting.headerTableSize) this.#sender.encoder.setPeerLimit(value);
    else if (id === setting.maxConcurrentStreams) this.#peerMaxStreams = value;
    else if (id === setting.enableConnectProtocol) this.peerAllowsConnect = value === 1;
    else if (id === setting.initialWindowSize) {
      if (!this.#sender.setInitialWindow(value, this.#streams)) return errorCode.flowControlError;
    }
    return 0;
  }

  /** An acknowledgement, which the peer has asked for: bounded by the flood limits. */
  #control(type: number, b: Buffer, start: number, end: number): number {
    const { out } = this.#sender;
    out.control(type, flag.ack, b, start, end);
    if (out.controlFrames > this.options.maxOutboundControlFrames) this.#relieve();
    this.touch();
    return 0;
  }

  #onPing(flags: number, id: number, b: Buffer, start: number, end: number): number {
    if (end - start !== 8) return errorCode.frameSizeError;
    if (id !== 0) return errorCode.protocolError;
    if ((flags & flag.ack) === 0) return this.#control(frameType.ping, b, start, end);
    this.#keepalive?.answered(b, start);
    return 0;
  }

  sendPing(payload: Buffer): void {
    if (this.closed) return;
    this.#sender.out.control(frameType.ping, 0, payload, 0, 8);
    this.touch();
  }

  onKeepaliveTimeout(): void {
    this.#count('keepalive_timeout', 1);
    this.#fail(errorCode.noError, 'keepalive timeout');
    this.#abandon = true;
  }

  #onGoaway(id: number, b: Buffer, start: number, end: number): number {
    if (id !== 0) return errorCode.protocolError;
    if (end - start < goawayBytes) return errorCode.frameSizeError;
    const lastId = readUint31(b, start);
    const code = readUint32(b, start + 4);
    this.#peerLastId = this.#peerLastId < 0 ? lastId : Math.min(lastId, this.#peerLastId);
    if (this.role === 'client') {
      for (const stream of this.#streams.all()) {
        if (stream.id > this.#peerLastId) this.#cut(stream, errorCode.refusedStream, 'refused');
      }
    }
    this.events.onGoaway(this, lastId, code);
    this.#closeWhenIdle();
    return 0;
  }

  #onWindowUpdate(id: number, b: Buffer, start: number, end: number): number {
    if (end - start !== 4) return errorCode.frameSizeError;
    const stat = this.#guard.windowUpdate(this.#sender.out.dataFrames);
    if (stat !== null) return this.#flood(stat);
    const bytes = readUint31(b, start);
    if (id === 0) {
      if (bytes === 0) return errorCode.protocolError;
      return this.#sender.growConnection(bytes) ? 0 : errorCode.flowControlError;
    }
    if (this.#isIdle(id)) return errorCode.protocolError;
    const stream = this.#streams.get(id);
    if (stream === null) return 0;
    if (bytes === 0) return this.#streamError(stream, errorCode.protocolError);
    return this.#sender.growStream(stream, bytes) ? 0 : this.#streamError(stream, errorCode.flowControlError);
  }
}
