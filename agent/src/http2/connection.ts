/**
 * An HTTP/2 connection (RFC 9113), server or client, over a Stream of net/stream.ts: its public surface, and its life
 * from the first bytes to onClosed. Bytes come in by Intake, become frames in FrameReader, messages in Receiver and
 * orders in ControlFrames; OpenStreams, ReceiveWindows, OutboundLimits and Ending keep the state; Sender sends.
 * Invariants: no callback comes inside a call of the user's; an error of the connection is told to its streams when the
 * turn ends; a stream that is over has id 0.
 */
import type { Head } from '../http1/head.ts';
import { method } from '../http1/known-headers.ts';
import type { CloseReason, Stream, StreamHandler } from '../net/stream.ts';
import { ControlFrames } from './control-frames.ts';
import type { Http2Counters } from './counters.ts';
import { Ending } from './ending.ts';
import { clientPreface } from './frame.ts';
import type { Http2Host, Settled } from './host.ts';
import { Intake } from './intake.ts';
import { OpenStreams } from './open-streams.ts';
import type { Http2Options } from './options.ts';
import { OutboundLimits } from './outbound-limits.ts';
import { ReceiveWindows } from './receive-windows.ts';
import { Receiver } from './receiver.ts';
import { Sender, type SenderOwner } from './sender.ts';
import { firstFrames, type Role } from './settings.ts';
import type { Http2Stream, Http2StreamEvents } from './stream.ts';
import { StreamTable } from './stream-table.ts';

export interface Http2ConnectionEvents {
  /** Clients: TCP and TLS are up. */
  onConnected(connection: Http2Connection): void;
  /** Servers: a request; set stream.events before returning. `head` is host.head: see takeHead. */
  onStream(stream: Http2Stream, head: Head, last: boolean): void;
  /** The peer's first SETTINGS have come: from now on it is known what it allows. */
  onSettings?(connection: Http2Connection): void;
  /** Clients: streams can be opened again after open() gave null. */
  onCapacity(connection: Http2Connection): void;
  /** The peer will take no stream above the id; those have been reset as refused already. */
  onGoaway(connection: Http2Connection, lastStreamId: number, code: number): void;
  /**
   * Once: the connection is over, which neither its peer nor its streams know yet. For counters, which are then right
   * for whoever sees an answer that comes of it; nothing else may be done here. Parameters as of onClosed.
   */
  onEnding?(connection: Http2Connection, reason: CloseReason, code: number): void;
  /**
   * Once, when the turn ends: the connection is over, and its streams have been told. `code` is of errorCode: what we
   * sent in GOAWAY, or NO_ERROR; `detail` says what was wrong.
   */
  onClosed(connection: Http2Connection, reason: CloseReason, code: number, detail: string): void;
}

/** Time for a last GOAWAY to go out. */
const closingMs = 1000;

export class Http2Connection implements StreamHandler, SenderOwner, Settled {
  readonly host: Http2Host;
  readonly socket: Stream;
  readonly role: Role;
  readonly options: Http2Options;
  readonly counters: Http2Counters;
  events: Http2ConnectionEvents;
  readonly #sender: Sender;
  readonly #ending: Ending;
  readonly #limits: OutboundLimits;
  readonly #windows: ReceiveWindows;
  readonly #streams: OpenStreams;
  readonly #control: ControlFrames;
  readonly #intake: Intake;
  /** The end of the turn is awaited; onClosed was called. */
  #dirty = false;
  #told = false;

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
    this.counters = counters;
    this.events = events;
    const sender = new Sender(host, socket, this, options, counters);
    const table = new StreamTable();
    const ending = new Ending(this, sender.out, table);
    const limits = new OutboundLimits(this, sender.out, ending);
    const windows = new ReceiveWindows(this, sender.out);
    const streams = new OpenStreams(this, table, sender, ending, limits, windows);
    const control = new ControlFrames(this, streams, sender, ending, limits, windows);
    this.#sender = sender;
    this.#ending = ending;
    this.#limits = limits;
    this.#windows = windows;
    this.#streams = streams;
    this.#control = control;
    this.#intake = new Intake(this, ending, new Receiver(this, streams, ending, windows, control));
  }

  /** Takes the socket over and sends our preface. Called once. */
  start(): void {
    this.socket.handler = this;
    const { out } = this.#sender;
    if (this.role === 'client') out.bytes(clientPreface);
    out.bytes(firstFrames(this.role, this.options));
    this.touch();
    this.#control.start();
  }

  /** No stream begins any more and no frame is read. */
  get closed(): boolean {
    return this.#ending.closed;
  }

  /** The peer's first SETTINGS have come. */
  get gotSettings(): boolean {
    return this.#control.gotSettings;
  }

  /** The peer allows extended CONNECT (RFC 8441). */
  get peerAllowsConnect(): boolean {
    return this.#control.peerAllowsConnect;
  }

  get activeStreams(): number {
    return this.#streams.table.size;
  }

  /** Clients: how many streams can be opened now. */
  get capacity(): number {
    return this.#streams.capacity;
  }

  /** Clients: there is no capacity; onCapacity comes when there is. */
  wantCapacity(): void {
    this.#streams.wanted = true;
  }

  /** Whether no stream will ever be opened here again. */
  get exhausted(): boolean {
    return this.#streams.exhausted;
  }

  /** Clients: begins a request, or gives null when there is no capacity; onCapacity comes when there is. */
  open(head: Head, last: boolean, events: Http2StreamEvents): Http2Stream | null {
    const streams = this.#streams;
    if (streams.capacity === 0) {
      streams.wanted = true;
      return null;
    }
    this.#control.beforeStream();
    const stream = streams.beginNext();
    stream.events = events;
    stream.headSent = true;
    stream.isHead = head.method === method.HEAD;
    stream.isConnect = head.method === method.CONNECT;
    this.#sender.head(stream, 'request', head, last);
    return stream;
  }

  /**
   * Servers: tells the peer to open no more streams, in a way that loses none of those on their way; finishDrain is to
   * follow after a round trip or more. Clients: opens no more. Either way the connection closes when the last is over.
   */
  drain(): void {
    this.#ending.drain();
  }

  /** Servers: names the last stream that is served; what comes after it is ignored, and safe to send again. */
  finishDrain(): void {
    this.#ending.finishDrain();
  }

  /** Ends the connection now, with GOAWAY; its streams are told when the turn ends. */
  close(code: number, detail: string): void {
    this.#ending.fail(code, detail);
  }

  // ---- the socket

  onConnected(): void {
    if (!this.closed) this.events.onConnected(this);
  }

  onReadable(socket: Stream): void {
    this.#intake.readAll(socket);
  }

  /** Bytes of the peer in [from, end) of the read buffer, which whoever found out its protocol has read already. */
  received(from: number, end: number): void {
    this.#intake.take(from, end);
  }

  onDrained(): void {
    this.#sender.out.drained();
    this.touch();
  }

  onClosed(socket: Stream, reason: CloseReason): void {
    this.#ending.lost(reason, socket.failure);
  }

  // ---- the end of a turn

  /** Something was appended, or is to be told: settle() comes when the turn ends. */
  touch(): void {
    if (this.#dirty || this.#told) return;
    this.#dirty = true;
    this.host.markDirty(this);
  }

  settle(): void {
    this.#dirty = false;
    if (this.#told) return;
    const ending = this.#ending;
    if (!ending.abandoned) this.#flush();
    this.#sender.out.uncork();
    this.#limits.report();
    const streams = this.#streams;
    if (ending.closed) this.#end();
    else if (streams.wanted && streams.capacity > 0) {
      streams.wanted = false;
      this.events.onCapacity(this);
    }
  }

  #flush(): void {
    const sender = this.#sender;
    sender.out.flush();
    if (this.closed) return;
    if (sender.waiting) {
      sender.pump();
      sender.out.flush();
    }
    this.#limits.check();
  }

  /** Tells everybody that the connection is over. */
  #end(): void {
    this.#told = true;
    this.#control.stop();
    const { out } = this.#sender;
    out.drained();
    this.#limits.report();
    out.discard();
    const { abandoned, reason, code } = this.#ending;
    if (!this.socket.dead) {
      if (abandoned) this.socket.close();
      else this.socket.closeAfterFlush(closingMs);
    }
    const faults: unknown[] = [];
    for (const stream of this.#streams.table.all()) {
      try {
        if (stream.id !== 0) this.#streams.cut(stream, code, 'connection');
      } catch (error) {
        faults.push(error); // a bug of one stream's user must not keep it from the others
      }
    }
    this.events.onClosed(this, reason, code, this.#ending.detail);
    if (faults.length > 0) throw faults[0];
  }

  /** A callback of ours has thrown at the end of a turn: the connection is given up, the others go on. */
  onFault(): void {
    this.#ending.lost('local', 'aborted by a bug');
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

  waitForRoom(stream: Http2Stream): boolean {
    if (this.closed || stream.localClosed || stream.endQueued) return false;
    return this.#sender.waitForRoom(stream);
  }

  sendTrailers(stream: Http2Stream, head: Head): void {
    if (this.closed || stream.localClosed || stream.endQueued) return;
    this.#sender.trailers(stream, head);
  }

  resetStream(stream: Http2Stream, code: number): void {
    this.#streams.abort(stream, code);
  }

  /** Reading goes on: what came meanwhile is given back. */
  acknowledgeHeld(stream: Http2Stream): void {
    stream.unacknowledged += stream.held;
    stream.held = 0;
    this.#windows.acknowledge(stream);
  }

  onLocalEnd(stream: Http2Stream): void {
    this.#streams.endLocally(stream);
  }
}
