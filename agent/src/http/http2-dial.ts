/** An HTTP/2 connection on its way: until it is up, nobody knows whether the peer agrees on the protocol. */
import type { CloseReason, Stream, StreamHandler } from '../net/stream.ts';
import type { Http2Pool } from './http2-pool.ts';

export class Http2Dial implements StreamHandler {
  readonly sni: string;
  /** Counted by the circuit breaker of the cluster. */
  readonly admitted: boolean;
  readonly #pool: Http2Pool;
  readonly #startedMs: number;

  constructor(pool: Http2Pool, sni: string, admitted: boolean) {
    this.#pool = pool;
    this.sni = sni;
    this.admitted = admitted;
    this.#startedMs = pool.runtime.clock.nowMs;
  }

  onConnected(stream: Stream): void {
    this.#pool.countConnect(this.#startedMs);
    this.#pool.connected(this, stream);
  }

  onClosed(stream: Stream, reason: CloseReason): void {
    this.#pool.connectFailed(this, reason, stream.failure);
  }

  onReadable(): void {}

  onDrained(): void {}
}
