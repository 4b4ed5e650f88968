/**
 * What goes out on a connection: heads through HPACK, data as the windows and the socket allow, the rest queued for each
 * stream. A stream that may not send holds nobody up: those that may take turns of a few frames.
 * Invariant: a stream with something queued, or whose user waits for room, is in the ready list; its end and trailers go
 * out behind its data.
 */
import { Head } from '../http1/head.ts';
import { viewOf } from '../http1/words.ts';
import type { Stream } from '../net/stream.ts';
import { ByteQueue } from './byte-queue.ts';
import type { Http2Counters } from './counters.ts';
import {
  defaultFrameBytes,
  defaultWindow,
  flag,
  frameHeaderBytes,
  frameType,
  maxWindow,
  writeFrameHeader,
} from './frame.ts';
import { FrameWriter } from './frame-writer.ts';
import { chunkBytes, type Http2Host } from './host.ts';
import { encodedBound, HpackEncoder } from './hpack-encoder.ts';
import type { Http2Options } from './options.ts';
import type { Http2Stream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';

/** Blocks of one stream's queue in a turn: together a read of the peer, which hands them on as one. */
const turnBlocks = 11;

export type SentKind = 'request' | 'response' | 'trailers';

export interface SenderOwner {
  /** Something was appended: settle() is wanted at the end of the turn. */
  touch(): void;
  /** END_STREAM of ours has been appended. */
  onLocalEnd(stream: Http2Stream): void;
}

export class Sender {
  readonly out: FrameWriter;
  readonly encoder: HpackEncoder;
  readonly #host: Http2Host;
  readonly #owner: SenderOwner;
  readonly #options: Http2Options;
  readonly #counters: Http2Counters;
  /** What the peer lets us send on the connection, and on a new stream. */
  #window = defaultWindow;
  initialWindow = defaultWindow;
  /** At least what any open stream was given beyond what it has sent. */
  #largestCredit = 0;
  #ready: Http2Stream[] = [];
  #turn: Http2Stream[] = [];

  constructor(host: Http2Host, socket: Stream, owner: SenderOwner, options: Http2Options, counters: Http2Counters) {
    this.out = new FrameWriter(host, socket);
    this.encoder = new HpackEncoder(options.hpackTableSize);
    this.#host = host;
    this.#owner = owner;
    this.#options = options;
    this.#counters = counters;
  }

  /** Whether streams wait for the socket or for the connection's window. */
  get waiting(): boolean {
    return this.#ready.length > 0;
  }

  head(stream: Http2Stream, kind: SentKind, head: Head, last: boolean): void {
    this.#writeBlock(stream.id, kind, head, last);
    if (last) this.#owner.onLocalEnd(stream);
  }

  #writeBlock(streamId: number, kind: SentKind, head: Head, last: boolean): void {
    const { out } = this;
    const bound = encodedBound(head);
    this.#owner.touch();
    if (bound + frameHeaderBytes > chunkBytes) {
      const block = Buffer.allocUnsafeSlow(bound);
      out.headerBlock(streamId, last, block, this.#encode(kind, head, viewOf(block), 0));
      return;
    }
    const at = out.room(bound + frameHeaderBytes);
    const from = at + frameHeaderBytes;
    const { buffer, view } = out.chunk;
    const end = this.#encode(kind, head, view, from);
    if (end - from > defaultFrameBytes) {
      const block = Buffer.from(buffer.subarray(from, end));
      out.headerBlock(streamId, last, block, block.length);
      return;
    }
    const flags = last ? flag.endHeaders | flag.endStream : flag.endHeaders;
    writeFrameHeader(buffer, at, end - from, frameType.headers, flags, streamId);
    out.wrote(end);
  }

  #encode(kind: SentKind, head: Head, to: DataView, at: number): number {
    const { encoder } = this;
    if (kind === 'request') return encoder.request(head, this.#options.scheme, to, at);
    return kind === 'response' ? encoder.response(head, to, at) : encoder.trailers(head, to, at);
  }

  data(stream: Http2Stream, b: Uint8Array, start: number, end: number, last: boolean): void {
    let p = start;
    if (!stream.ready) p = this.#putData(stream, b, start, end, last);
    if (p < end) this.#enqueue(stream, b, p, end);
    if (!last) return;
    if (stream.ready) stream.endQueued = true;
    else this.#end(stream);
  }

  /** Appends what the windows and the socket allow; where it stopped. last: the stream ends with it. */
  #putData(stream: Http2Stream, b: Uint8Array, start: number, end: number, last: boolean): number {
    const { out } = this;
    let p = start;
    while (p < end) {
      const allowed = Math.min(this.initialWindow - stream.spent, this.#window, end - p);
      if (allowed <= 0) break;
      const n = out.data(stream.id, b, p, p + allowed, last && p + allowed === end);
      if (n === 0) break;
      stream.spent += n;
      this.#window -= n;
      p += n;
    }
    if (p > start) this.#owner.touch();
    return p;
  }

  #end(stream: Http2Stream): void {
    this.#owner.touch();
    this.out.endStream(stream.id);
    this.#owner.onLocalEnd(stream);
  }

  #enqueue(stream: Http2Stream, b: Uint8Array, start: number, end: number): void {
    stream.queue ??= new ByteQueue();
    stream.queue.push(this.#host, b, start, end);
    this.#count(end - start);
    if (stream.ready) return;
    stream.ready = true;
    this.#ready.push(stream);
    // Windows may be open while the socket is not: whoever drains it comes back here.
    this.#owner.touch();
  }

  /**
   * Whether data would only be queued, and copied for it, because the socket takes none. Who hears so has a place in the
   * row of those that wait: onDrained says when it is its turn. Not for the sake of windows: what comes next may be the
   * end, which needs none, and without which the peer may open none.
   */
  waitForRoom(stream: Http2Stream): boolean {
    if (stream.ready) return true;
    if (!this.out.blocked) return false;
    stream.ready = true;
    this.#ready.push(stream);
    return true;
  }

  #count(bytes: number): void {
    const { slots, at } = this.#counters;
    slots[at.pending_send_bytes] = (slots[at.pending_send_bytes] as number) + bytes;
  }

  trailers(stream: Http2Stream, head: Head): void {
    if (!stream.ready) {
      this.head(stream, 'trailers', head, true);
      return;
    }
    stream.queuedTrailers = new Head();
    stream.queuedTrailers.copyFrom(head);
    stream.endQueued = true;
  }

  /** Lets streams send in turns while the socket takes it. */
  pump(): void {
    const { out } = this;
    let progress = true;
    while (progress && this.#ready.length > 0 && !out.blocked) {
      progress = false;
      const streams = this.#ready;
      this.#ready = this.#turn;
      this.#turn = streams;
      for (const stream of streams) if (stream.ready && this.#pumpOne(stream)) progress = true;
      streams.length = 0;
    }
  }

  /** A few frames of the stream; whether anything went out. */
  #pumpOne(stream: Http2Stream): boolean {
    const { queue } = stream;
    if (queue === null || queue.length === 0) {
      this.#drained(stream);
      return true;
    }
    const before = queue.length;
    for (let i = 0; i < turnBlocks && queue.length > 0; i++) {
      const { buffer, start, end } = queue.first();
      const n = this.#putData(stream, buffer, start, end, false) - start;
      queue.consume(this.#host, n);
      this.#count(-n);
      if (n < end - start) break;
    }
    if (queue.length > 0) {
      this.#ready.push(stream);
      return queue.length < before;
    }
    this.#drained(stream);
    return true;
  }

  #drained(stream: Http2Stream): void {
    stream.ready = false;
    if (stream.endQueued) this.#endQueued(stream);
    else stream.events.onDrained(stream);
  }

  #endQueued(stream: Http2Stream): void {
    stream.endQueued = false;
    const { queuedTrailers } = stream;
    stream.queuedTrailers = null;
    if (queuedTrailers === null) this.#end(stream);
    else this.head(stream, 'trailers', queuedTrailers, true);
  }

  /** The stream is over: what is queued is dropped. */
  drop(stream: Http2Stream): void {
    if (stream.ready) {
      const index = this.#ready.indexOf(stream);
      if (index >= 0) this.#ready.splice(index, 1);
    }
    stream.ready = false;
    stream.endQueued = false;
    stream.queuedTrailers = null;
    if (stream.queue === null || stream.queue.length === 0) return;
    this.#count(-stream.queue.length);
    stream.queue.clear(this.#host);
  }

  /** WINDOW_UPDATE of the connection; false when the window overflows. */
  growConnection(bytes: number): boolean {
    this.#window += bytes;
    if (this.waiting) this.#owner.touch();
    return this.#window <= maxWindow;
  }

  growStream(stream: Http2Stream, bytes: number): boolean {
    stream.spent -= bytes;
    if (stream.ready) this.#owner.touch();
    if (-stream.spent > this.#largestCredit) this.#largestCredit = -stream.spent;
    return this.initialWindow - stream.spent <= maxWindow;
  }

  /**
   * SETTINGS_INITIAL_WINDOW_SIZE applies to open streams too; false when a window overflows. Those are looked at only
   * when that may be.
   */
  setInitialWindow(size: number, streams: StreamTable): boolean {
    this.initialWindow = size;
    if (this.waiting) this.#owner.touch();
    if (size + this.#largestCredit <= maxWindow) return true;
    this.#largestCredit = 0;
    for (const { spent } of streams.all()) this.#largestCredit = Math.max(this.#largestCredit, -spent);
    return size + this.#largestCredit <= maxWindow;
  }
}
