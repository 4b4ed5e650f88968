/**
 * Flow control of what the peer sends (RFC 9113 section 5.2): what it may still send on the connection and on each
 * stream, given back when half of it was used up. What we may send is the Sender's.
 * Invariant: the connection's window counts all DATA, whoever it was for and whatever becomes of it, so that no stream
 * holds up another; a stream's is given back only for what its user takes.
 */
import type { Http2Connection } from './connection.ts';
import { defaultWindow, frameType } from './frame.ts';
import type { FrameWriter } from './frame-writer.ts';
import type { Http2Stream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';

export class ReceiveWindows {
  /** Of a new stream: at least the default until the peer has acknowledged our SETTINGS. */
  ofNewStream: number;
  readonly #connection: Http2Connection;
  readonly #out: FrameWriter;
  /** Half of the connection's, what is left of it, and what is to be given back. */
  readonly #half: number;
  #left: number;
  #unacknowledged = 0;
  /** Half of a stream's, once SETTINGS are acknowledged. */
  readonly #halfOfStream: number;

  constructor(connection: Http2Connection, out: FrameWriter) {
    const { initialStreamWindowSize, initialConnectionWindowSize } = connection.options;
    this.#connection = connection;
    this.#out = out;
    this.ofNewStream = Math.max(defaultWindow, initialStreamWindowSize);
    this.#halfOfStream = initialStreamWindowSize / 2;
    this.#left = Math.max(defaultWindow, initialConnectionWindowSize);
    this.#half = this.#left / 2;
  }

  /** A DATA frame of `length` bytes has come; false when the peer was not allowed so many. */
  take(length: number): boolean {
    this.#left -= length;
    if (this.#left < 0) return false;
    this.#unacknowledged += length;
    if (this.#unacknowledged < this.#half) return true;
    this.#out.numbers(frameType.windowUpdate, 0, this.#unacknowledged);
    this.#left += this.#unacknowledged;
    this.#unacknowledged = 0;
    this.#connection.touch();
    return true;
  }

  /** Gives the stream its window back when half of it was used up. */
  acknowledge(stream: Http2Stream): void {
    if (stream.unacknowledged < this.#halfOfStream) return;
    if (stream.remoteClosed || this.#connection.closed) return;
    this.#out.numbers(frameType.windowUpdate, stream.id, stream.unacknowledged);
    stream.receiveWindow += stream.unacknowledged;
    stream.unacknowledged = 0;
    this.#connection.touch();
  }

  /** The peer has acknowledged our SETTINGS: it keeps to our window from here on, on open streams too. */
  settle(streams: StreamTable): void {
    const { initialStreamWindowSize } = this.#connection.options;
    const less = this.ofNewStream - initialStreamWindowSize;
    this.ofNewStream = initialStreamWindowSize;
    if (less > 0) for (const stream of streams.all()) stream.receiveWindow -= less;
  }
}
