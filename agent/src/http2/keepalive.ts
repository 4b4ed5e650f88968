/** connection_keepalive: PINGs at an interval, and the end of a connection whose peer does not answer in time. */
import type { TimerHandle } from '../worker/runtime.ts';
import type { Http2Host } from './host.ts';
import type { KeepaliveOptions } from './options.ts';

export interface KeepaliveOwner {
  sendPing(payload: Buffer): void;
  onKeepaliveTimeout(): void;
}

export class Keepalive {
  readonly #host: Http2Host;
  readonly #options: KeepaliveOptions;
  readonly #owner: KeepaliveOwner;
  readonly #payload: Buffer = Buffer.alloc(8);
  #count = 0;
  #interval: TimerHandle | null = null;
  #timeout: TimerHandle | null = null;

  constructor(host: Http2Host, options: KeepaliveOptions, owner: KeepaliveOwner) {
    this.#host = host;
    this.#options = options;
    this.#owner = owner;
    this.#schedule();
  }

  #schedule(): void {
    const { intervalMs, intervalJitterPercent } = this.#options;
    if (intervalMs <= 0) return;
    const delayMs = intervalMs * (1 + (this.#host.random() * intervalJitterPercent) / 100);
    this.#interval = this.#host.timers.after(delayMs, () => {
      this.#interval = null;
      this.ping();
    });
  }

  /** A stream is about to be opened after so long a silence. */
  afterIdle(idleMs: number): void {
    const { connectionIdleIntervalMs } = this.#options;
    if (connectionIdleIntervalMs > 0 && idleMs >= connectionIdleIntervalMs) this.ping();
  }

  ping(): void {
    if (this.#timeout !== null) return;
    this.#payload.writeUInt32BE(++this.#count >>> 0, 4);
    this.#owner.sendPing(this.#payload);
    this.#timeout = this.#host.timers.after(this.#options.timeoutMs, () => {
      this.#timeout = null;
      this.#owner.onKeepaliveTimeout();
    });
  }

  /** A PING with ACK in [start, start + 8). */
  answered(b: Buffer, start: number): void {
    if (this.#timeout === null || this.#payload.compare(b, start, start + 8) !== 0) return;
    this.#timeout.cancel();
    this.#timeout = null;
    this.#interval?.cancel();
    this.#schedule();
  }

  stop(): void {
    this.#interval?.cancel();
    this.#timeout?.cancel();
    this.#interval = null;
    this.#timeout = null;
  }
}
