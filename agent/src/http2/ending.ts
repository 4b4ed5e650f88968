/**
 * How a connection comes to its end: by an error (GOAWAY, RFC 9113 section 5.4.1), with its socket, or because it was
 * drained and its last stream is over.
 * Invariant: the first cause stands. From then on no frame is read and no stream begins; whoever is concerned is told
 * when the turn ends.
 */
import type { CloseReason } from '../net/stream.ts';
import type { Http2Connection } from './connection.ts';
import { countStat, type Http2Stat } from './counters.ts';
import { errorCode, frameType, maxStreamId } from './frame.ts';
import type { FrameWriter } from './frame-writer.ts';
import type { StreamTable } from './stream-table.ts';

export class Ending {
  /** No stream begins any more and no frame is read. */
  closed = false;
  /** What onClosed says. `detail` may be set before the failure, by who knows more than its code. */
  reason: CloseReason = 'local';
  code = 0;
  detail = '';
  /** The socket is of no use any more: it is closed at once. */
  abandoned = false;
  draining = false;
  /** Highest stream id of the peer's. */
  lastPeerId = 0;
  /** The last id that we still serve, or -1. */
  finalId = -1;
  /** The last id that the peer serves, by its GOAWAY, or -1. */
  peerFinalId = -1;
  readonly #connection: Http2Connection;
  readonly #out: FrameWriter;
  readonly #streams: StreamTable;

  constructor(connection: Http2Connection, out: FrameWriter, streams: StreamTable) {
    this.#connection = connection;
    this.#out = out;
    this.#streams = streams;
  }

  /** Whether no stream of ours may begin any more. */
  get isEnding(): boolean {
    return this.closed || this.draining || this.peerFinalId >= 0;
  }

  /** An error of the connection. 0, for frame handlers: the reader stops because it is closed. */
  fail(code: number, detail: string): number {
    if (this.closed) return 0;
    this.code = code;
    this.detail = detail;
    this.#end();
    this.#goaway(this.lastPeerId, code);
    return 0;
  }

  /** A limit against floods is broken. */
  flood(stat: Http2Stat): number {
    countStat(this.#connection.counters, stat, 1);
    return this.fail(errorCode.enhanceYourCalm, stat);
  }

  /** The socket is gone, or to be given up. */
  lost(reason: CloseReason, detail: string): void {
    if (this.closed) return;
    this.abandoned = true;
    this.reason = reason;
    this.detail = detail;
    this.#end();
    this.#connection.touch();
  }

  drain(): void {
    if (this.closed || this.draining) return;
    this.draining = true;
    if (this.#connection.role === 'server') this.#goaway(maxStreamId, errorCode.noError);
    else this.closeWhenIdle();
  }

  finishDrain(): void {
    if (this.closed || this.finalId >= 0) return;
    this.draining = true;
    if (this.#connection.role === 'server') {
      this.finalId = this.lastPeerId;
      this.#goaway(this.finalId, errorCode.noError);
    }
    this.closeWhenIdle();
  }

  /** Asked whenever a stream is over: whether that was the last of a connection that takes no more. */
  closeWhenIdle(): void {
    if (this.closed || this.#streams.size > 0) return;
    const { role } = this.#connection;
    if (this.finalId < 0 && this.peerFinalId < 0 && !(this.draining && role === 'client')) return;
    if (role === 'server' && this.finalId < 0) return;
    this.#end();
    this.#connection.touch();
  }

  #end(): void {
    this.closed = true;
    const connection = this.#connection;
    connection.events.onEnding?.(connection, this.reason, this.code);
  }

  #goaway(lastId: number, code: number): void {
    countStat(this.#connection.counters, 'goaway_sent', 1);
    this.#out.numbers(frameType.goaway, 0, lastId, code);
    this.#connection.touch();
  }
}
