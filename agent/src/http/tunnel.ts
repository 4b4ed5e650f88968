/**
 * Two connections joined after a 101: bytes go both ways untouched, each side read only as fast as the other takes them,
 * and each direction ends for itself.
 */
import {
  type CloseReason,
  readCapacity,
  readEof,
  readHeadroom,
  type Stream,
  type StreamHandler,
} from '../net/stream.ts';

export interface TunnelOwner {
  readonly readBuffer: Buffer;
  /** Bytes have moved. */
  onTunnelActivity(): void;
  /** Both directions have ended, or one side has failed. Both streams are closed. */
  onTunnelClosed(fromDownstream: number, fromUpstream: number): void;
}

export class Tunnel {
  readonly #owner: TunnelOwner;
  readonly #downstream: Stream;
  readonly #upstream: Stream;
  #fromDownstream = 0;
  #fromUpstream = 0;
  #ends = 0;
  #closed = false;

  constructor(owner: TunnelOwner, downstream: Stream, upstream: Stream) {
    this.#owner = owner;
    this.#downstream = downstream;
    this.#upstream = upstream;
    downstream.handler = this.#side(downstream, upstream, (n) => {
      this.#fromDownstream += n;
    });
    upstream.handler = this.#side(upstream, downstream, (n) => {
      this.#fromUpstream += n;
    });
    if (downstream.queued > 0) upstream.pauseRead();
    else if (upstream.readPaused) upstream.resumeRead();
    if (downstream.readPaused) downstream.resumeRead();
  }

  /** Bytes of the client that had come before the 101, in the read buffer. */
  push(start: number, end: number): void {
    this.#fromDownstream += end - start;
    this.#upstream.write(this.#owner.readBuffer, start, end);
    if (this.#upstream.queued > 0) this.#downstream.pauseRead();
  }

  #side(from: Stream, to: Stream, count: (bytes: number) => void): StreamHandler {
    return {
      onReadable: () => this.#move(from, to, count),
      onDrained: () => {
        if (to.readPaused) to.resumeRead();
      },
      onConnected: () => {},
      onClosed: (_stream: Stream, _reason: CloseReason) => this.#fail(to),
    };
  }

  #move(from: Stream, to: Stream, count: (bytes: number) => void): void {
    for (;;) {
      const n = from.read(readHeadroom, readCapacity);
      if (n <= 0) {
        if (n === readEof) this.#onEof(to);
        return;
      }
      count(n);
      this.#owner.onTunnelActivity();
      to.write(this.#owner.readBuffer, readHeadroom, readHeadroom + n);
      if (to.queued > 0) from.pauseRead();
      if (this.#closed || from.dead || from.readPaused || !from.more(n, readCapacity)) return;
    }
  }

  #onEof(to: Stream): void {
    to.endWrite();
    if (++this.#ends < 2) return;
    this.#finish();
    this.#downstream.closeAfterFlush(1000);
    this.#upstream.closeAfterFlush(1000);
  }

  #fail(other: Stream): void {
    if (this.#closed) return;
    this.#finish();
    other.reset();
  }

  #finish(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#owner.onTunnelClosed(this.#fromDownstream, this.#fromUpstream);
  }
}
