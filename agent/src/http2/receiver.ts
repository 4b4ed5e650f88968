/**
 * What comes in on a connection: the messages of its streams, from HEADERS (their CONTINUATIONs joined) and DATA, to
 * their users; all other frames to ControlFrames.
 * Invariant: header blocks are decoded whoever they are for, or the compression state would be lost; a handler gives an
 * error code of the connection, or 0 when the reader is to go on. No user is called for a stream after its end.
 */
import { method } from '../http1/known-headers.ts';
import type { HeadLimits } from '../http1/parse-head.ts';
import { viewOf } from '../http1/words.ts';
import type { Http2Connection } from './connection.ts';
import type { ControlFrames } from './control-frames.ts';
import { countStat } from './counters.ts';
import type { Ending } from './ending.ts';
import { errorCode } from './frame.ts';
import type { FrameSink } from './frame-reader.ts';
import { type HeadKind, headVerdict } from './head-assembly.ts';
import type { Http2Host } from './host.ts';
import type { HpackDecoder } from './hpack-decoder.ts';
import type { OpenStreams } from './open-streams.ts';
import type { Http2Options } from './options.ts';
import type { ReceiveWindows } from './receive-windows.ts';
import type { Http2Stream } from './stream.ts';

/** Requests of one connection that are begun in a turn of the loop: some milliseconds' work. */
const maxStreamsPerTurn = 100;

export class Receiver implements FrameSink {
  /** Requests begun since the loop came round. */
  openedInTurn = 0;
  readonly #connection: Http2Connection;
  readonly #host: Http2Host;
  readonly #options: Http2Options;
  readonly #isClient: boolean;
  readonly #limits: HeadLimits;
  readonly #decoder: HpackDecoder;
  readonly #streams: OpenStreams;
  readonly #ending: Ending;
  readonly #windows: ReceiveWindows;
  readonly #control: ControlFrames;
  /** Data in [start, end) of the read buffer that waits for what follows it, and whose it is. */
  #joined: Http2Stream | null = null;
  #joinedId = 0;
  #joinedStart = 0;
  #joinedEnd = 0;

  constructor(
    connection: Http2Connection,
    streams: OpenStreams,
    ending: Ending,
    windows: ReceiveWindows,
    control: ControlFrames,
  ) {
    const { host, role, options } = connection;
    this.#connection = connection;
    this.#host = host;
    this.#options = options;
    this.#isClient = role === 'client';
    this.#limits = { maxBytes: options.maxHeaderBytes, maxHeaders: options.maxHeaders };
    this.#decoder = control.decoder;
    this.#streams = streams;
    this.#ending = ending;
    this.#windows = windows;
    this.#control = control;
  }

  get closed(): boolean {
    return this.#ending.closed;
  }

  /** A burst of requests is begun piece by piece: the other connections come in between (CVE-2023-44487). */
  get rests(): boolean {
    return this.openedInTurn >= maxStreamsPerTurn;
  }

  onFrame(type: number, flags: number, id: number, b: Buffer, start: number, end: number): number {
    this.flushJoined();
    if (this.#ending.closed) return 0;
    return this.#control.onFrame(type, flags, id, b, start, end);
  }

  // ---- header blocks

  onEmptyHeaders(): number {
    return this.#checkFrame(true);
  }

  #checkFrame(empty: boolean): number {
    const stat = this.#streams.guard.frame(empty);
    return stat === null ? 0 : this.#ending.flood(stat);
  }

  onHeaderBlock(id: number, endStream: boolean, selfDependent: boolean, b: Buffer, start: number, end: number): number {
    if (!this.#control.gotSettings || (id & 1) === 0) return errorCode.protocolError;
    this.flushJoined();
    if (this.#ending.closed) return 0;
    this.#host.flushDirect();
    const streams = this.#streams;
    if (end > start) streams.guard.frame(false);
    const stream = streams.table.get(id);
    if (stream !== null) return this.#nextBlock(stream, endStream, b, start, end);
    if (this.#isClient || id <= this.#ending.lastPeerId) return this.#blockOfClosed(id, b, start, end);
    return this.#newRequest(id, endStream, selfDependent, b, start, end);
  }

  /** Decodes to host.head; false when the compression state is lost. */
  #decode(kind: HeadKind, b: Buffer, start: number, end: number): boolean {
    const host = this.#host;
    host.assembly.begin(host.head, kind, this.#limits, this.#options.allowConnect);
    if (this.#decoder.decode(b, b === host.readBuffer ? host.readView : viewOf(b), start, end, host.assembly)) {
      host.assembly.finish();
      return true;
    }
    this.#ending.detail = 'header block cannot be decompressed';
    return false;
  }

  #newRequest(id: number, endStream: boolean, selfDependent: boolean, b: Buffer, start: number, end: number): number {
    const streams = this.#streams;
    this.#ending.lastPeerId = id;
    if (this.#ending.finalId >= 0) {
      streams.resets.add(id);
      return this.#decode('ignored', b, start, end) ? 0 : errorCode.compressionError;
    }
    this.openedInTurn++;
    streams.guard.streamOpened();
    const refused = streams.table.size >= this.#options.maxConcurrentStreams;
    if (!this.#decode(refused || selfDependent ? 'ignored' : 'request', b, start, end)) {
      return errorCode.compressionError;
    }
    if (refused) return this.#refuse(id);
    if (selfDependent) return streams.refuse(id, errorCode.protocolError);
    const { head, assembly } = this.#host;
    if (assembly.verdict !== headVerdict.ok) return this.#badHead(id, null);
    if (endStream && head.contentLength > 0) return streams.malformed(id, null);
    const stream = streams.begin(id);
    stream.headReceived = true;
    stream.remoteClosed = endStream;
    stream.bodyLeft = head.method === method.CONNECT ? -1 : head.contentLength;
    this.#connection.events.onStream(stream, head, endStream);
    streams.releaseWhenDone(stream, id);
    return 0;
  }

  /** No fault of the peer's: before our SETTINGS have arrived a client may open more than we take. */
  #refuse(id: number): number {
    countStat(this.#connection.counters, 'stream_refused_errors', 1);
    this.#streams.sendReset(id, errorCode.refusedStream);
    return 0;
  }

  #badHead(id: number, stream: Http2Stream | null): number {
    const streams = this.#streams;
    if (this.#host.assembly.verdict === headVerdict.malformed) return streams.malformed(id, stream);
    countStat(this.#connection.counters, 'header_overflow', 1);
    return stream === null
      ? streams.refuse(id, errorCode.internalError)
      : streams.fail(stream, errorCode.internalError);
  }

  /** HEADERS of a stream that is not open: a rest of one that we cut, or an error. */
  #blockOfClosed(id: number, b: Buffer, start: number, end: number): number {
    const isClient = this.#isClient;
    if (isClient && this.#streams.isIdle(id)) return errorCode.protocolError;
    if (!this.#decode('ignored', b, start, end)) return errorCode.compressionError;
    countStat(this.#connection.counters, 'headers_cb_no_stream', 1);
    return isClient || this.#streams.resets.has(id) ? 0 : errorCode.streamClosed;
  }

  /** An answer's head, or trailers. */
  #nextBlock(stream: Http2Stream, endStream: boolean, b: Buffer, start: number, end: number): number {
    const { id } = stream;
    const streams = this.#streams;
    const trailers = stream.headReceived;
    const late = stream.remoteClosed;
    const kind = late ? 'ignored' : trailers ? 'trailers' : 'response';
    if (!this.#decode(kind, b, start, end)) return errorCode.compressionError;
    if (late) return streams.fail(stream, errorCode.streamClosed);
    if (this.#host.assembly.verdict !== headVerdict.ok) return this.#badHead(id, stream);
    if (trailers) return this.#trailers(stream, endStream);
    const { head } = this.#host;
    const final = head.status >= 200;
    if (!final && endStream) return streams.malformed(id, stream);
    if (final) {
      stream.headReceived = true;
      const bodiless = head.status === 204 || head.status === 304 || stream.isHead;
      // RFC 9110 section 9.3.6: only where a tunnel begins the length means nothing.
      const isTunnel = stream.isConnect && head.status < 300;
      stream.bodyLeft = isTunnel ? -1 : bodiless ? 0 : head.contentLength;
      if (endStream && stream.bodyLeft > 0) return streams.malformed(id, stream);
    }
    stream.remoteClosed = endStream;
    stream.events.onHead(stream, head, endStream);
    streams.releaseWhenDone(stream, id);
    return 0;
  }

  #trailers(stream: Http2Stream, endStream: boolean): number {
    const { id } = stream;
    if (!endStream) return this.#streams.malformed(id, stream);
    if (stream.bodyLeft > 0) return this.#streams.fail(stream, errorCode.protocolError);
    // Of requests, as in Envoy.
    if (!this.#isClient) countStat(this.#connection.counters, 'trailers', 1);
    stream.remoteClosed = true;
    stream.events.onTrailers(stream, this.#host.head);
    this.#streams.releaseWhenDone(stream, id);
    return 0;
  }

  // ---- DATA

  onDataFrame(id: number, length: number, padding: number, endStream: boolean): number {
    if (!this.#control.gotSettings || id === 0) return errorCode.protocolError;
    if (!this.#windows.take(length)) return errorCode.flowControlError;
    const flood = this.#checkFrame(length === padding && !endStream);
    if (flood !== 0 || this.#ending.closed) return flood;
    const streams = this.#streams;
    const stream = streams.table.get(id);
    streams.receiving = stream;
    if (stream === null) return this.#dataOfClosed(id);
    if (stream.remoteClosed) return streams.fail(stream, errorCode.streamClosed);
    if (!stream.headReceived) return streams.fail(stream, errorCode.protocolError);
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) return streams.fail(stream, errorCode.flowControlError);
    stream.unacknowledged += padding;
    return 0;
  }

  #dataOfClosed(id: number): number {
    const streams = this.#streams;
    if (streams.isIdle(id)) return errorCode.protocolError;
    if (!streams.resets.has(id)) streams.sendReset(id, errorCode.streamClosed);
    return 0;
  }

  onDataPart(start: number, end: number, last: boolean): number {
    const streams = this.#streams;
    const joined = this.#joined;
    // A handler may write in front of what it is given.
    if (joined !== null && (joined !== streams.receiving || joined.sink !== 'bytes')) this.flushJoined();
    const stream = streams.receiving;
    if (stream === null || this.#ending.closed) return 0;
    const length = end - start;
    if (stream.bodyLeft >= 0) {
      stream.bodyLeft -= length;
      if (stream.bodyLeft < 0 || (last && stream.bodyLeft > 0)) return streams.fail(stream, errorCode.protocolError);
    }
    if (stream.sink !== 'bytes') return this.#handOn(stream, start, end, last);
    return this.#join(stream, start, end, last);
  }

  /**
   * Payloads of consecutive frames are moved together over the frame headers between them: moving 16 KiB costs a fifth
   * of the system call that it spares.
   */
  #join(stream: Http2Stream, start: number, end: number, last: boolean): number {
    if (this.#joined === null) {
      this.#joined = stream;
      this.#joinedId = stream.id;
      this.#joinedStart = start;
      this.#joinedEnd = end;
    } else {
      this.#host.readBuffer.copyWithin(this.#joinedEnd, start, end);
      this.#joinedEnd += end - start;
    }
    return last ? this.#handOnJoined(true) : 0;
  }

  /** Hands on what waits; before anything else happens on the connection or to the read buffer. */
  flushJoined(): void {
    if (this.#joined !== null) this.#handOnJoined(false);
  }

  #handOnJoined(last: boolean): number {
    const stream = this.#joined;
    this.#joined = null;
    if (stream === null || stream.id !== this.#joinedId) return 0;
    return this.#handOn(stream, this.#joinedStart, this.#joinedEnd, last);
  }

  #handOn(stream: Http2Stream, start: number, end: number, last: boolean): number {
    const length = end - start;
    const { id } = stream;
    if (last) stream.remoteClosed = true;
    const host = this.#host;
    if (host.direct !== null && stream.sink !== 'frames') host.flushDirect();
    host.source = stream;
    stream.events.onData(stream, start, end, last);
    host.source = null;
    if (stream.id !== id) return 0;
    if (stream.readPaused) stream.held += length;
    else {
      stream.unacknowledged += length;
      this.#windows.acknowledge(stream);
    }
    this.#streams.releaseWhenDone(stream, id);
    return 0;
  }
}
