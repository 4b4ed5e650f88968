/**
 * One stream (RFC 9113 section 5) as its user sees it: a request and its answer. Pooled: it is over after onReset, or
 * when both sides have ended (the last onData, onHead or onTrailers, and our own last send); from then on its id is 0,
 * every call is ignored, and it must be let go of, because the next turn may give it to somebody else.
 */
import type { Head } from '../http1/head.ts';
import type { ByteQueue } from './byte-queue.ts';
import type { Http2Connection } from './connection.ts';

/**
 * Why a stream was cut: `remote` by the peer's RST_STREAM; `refused` by the peer before it did anything, so that it is
 * safe to send again (REFUSED_STREAM, or above GOAWAY's last id); `local` by us because the peer broke a rule;
 * `connection` because the connection is over.
 */
export type ResetCause = 'remote' | 'refused' | 'local' | 'connection';

export interface Http2StreamEvents {
  /** Clients: the answer's head; several with a status of 1xx may come before it. `head` is host.head: see takeHead. */
  onHead(stream: Http2Stream, head: Head, last: boolean): void;
  /** Body in [start, end) of host.readBuffer, only while the call runs; the bytes in front of start may be written to. */
  onData(stream: Http2Stream, start: number, end: number, last: boolean): void;
  /** Always the last of the peer. */
  onTrailers(stream: Http2Stream, head: Head): void;
  /** The stream is gone. `code` is of frame.ts's errorCode. */
  onReset(stream: Http2Stream, code: number, cause: ResetCause): void;
  /** What was queued has gone out; not after the end. */
  onDrained(stream: Http2Stream): void;
}

/** For streams nobody listens to. */
export const ignoringEvents: Http2StreamEvents = {
  onHead() {},
  onData() {},
  onTrailers() {},
  onReset() {},
  onDrained() {},
};

/**
 * Where a stream's data goes on to. `bytes`: data of consecutive frames of one read is handed on together. `frames`: it
 * becomes DATA again as it is, and only a FrameWriter writes to the bytes in front of it. `unknown` is neither.
 */
export type DataSink = 'unknown' | 'bytes' | 'frames';

export class Http2Stream {
  /** 0 when it is over. */
  id = 0;
  events: Http2StreamEvents = ignoringEvents;
  connection: Http2Connection | null = null;
  /** Monotonic milliseconds. */
  openedMs = 0;
  /** The peer has ended its side; we have ended ours, and nothing waits. */
  remoteClosed = false;
  localClosed = false;
  /** A final head went out or came in. */
  headSent = false;
  headReceived = false;

  // What follows is the connection's.
  /**
   * What we sent less what the peer gave back. Its initial window less this is what we may send, so that a change of
   * the initial window costs nothing for each stream; negative after it was made smaller.
   */
  spent = 0;
  /** What the peer may still send, and what of it was used up and not given back yet. */
  receiveWindow = 0;
  unacknowledged = 0;
  /** Came while paused: given back when reading goes on. */
  held = 0;
  readPaused = false;
  sink: DataSink = 'unknown';
  /** What is missing of content-length; -1 when there is none. */
  bodyLeft = -1;
  /** Of the request: its answer has no body (HEAD), or one of any length (CONNECT). */
  isHead = false;
  isConnect = false;
  queue: ByteQueue | null = null;
  queuedTrailers: Head | null = null;
  endQueued = false;
  /** RST_STREAM(NO_ERROR) follows the queued end. */
  resetAfterEnd = false;
  ready = false;

  /** Bytes that wait for the stream's window, the connection's, or the socket. */
  get queued(): number {
    return this.queue === null ? 0 : this.queue.length;
  }

  /** Servers: a head with status; several of 1xx may go before it. `last` ends the stream. */
  sendHead(head: Head, last: boolean): void {
    this.connection?.sendHead(this, head, last);
  }

  /** [start, end) is sent or copied before this returns. What cannot go out counts in `queued` until onDrained. */
  sendData(buffer: Uint8Array, start: number, end: number, last: boolean): void {
    this.connection?.sendData(this, buffer, start, end, last);
  }

  /** Whether data would only be queued for now; onDrained comes then when it is this stream's turn. */
  waitForRoom(): boolean {
    return this.connection?.waitForRoom(this) ?? false;
  }

  /** Ends the stream with fields; goes out behind what is queued. */
  sendTrailers(head: Head): void {
    this.connection?.sendTrailers(this, head);
  }

  /**
   * Cuts the stream, and what is queued with it. NO_ERROR of a server whose answer has ended, but not the request, asks
   * the client to stop sending (RFC 9113 section 8.1), after what is queued.
   */
  reset(code: number): void {
    this.connection?.resetStream(this, code);
  }

  /** The peer is given no more window: at most what it still has may come. */
  pauseRead(): void {
    this.readPaused = true;
  }

  resumeRead(): void {
    if (!this.readPaused) return;
    this.readPaused = false;
    this.connection?.acknowledgeHeld(this);
  }
}
