/**
 * Finds out whether a silent client waits for the server to speak first: dials the host that an opaque connection
 * would get and keeps what it says. Invariant: ends once, by take() or cancel(); nothing of the client is sent.
 */
import { readCapacity, readEof, readHeadroom, type Stream, type StreamHandler } from '../net/stream.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import type { UpstreamLeg } from './upstream-leg.ts';

/** A connection to a host that is up, and what the host has said on it. */
export interface PreparedUpstream {
  readonly leg: UpstreamLeg;
  readonly greeting: Buffer;
}

export class ServerFirstProbe implements StreamHandler {
  readonly #runtime: WorkerRuntime;
  readonly #onSpoke: () => void;
  #leg: UpstreamLeg | null = null;
  #connected = false;
  #greeting: Buffer = Buffer.alloc(0);

  constructor(runtime: WorkerRuntime, onSpoke: () => void) {
    this.#runtime = runtime;
    this.#onSpoke = onSpoke;
  }

  /** The leg that was dialled with this probe as its handler. */
  watch(leg: UpstreamLeg): void {
    this.#leg = leg;
  }

  onConnected(): void {
    this.#connected = true;
    this.#leg?.established();
  }

  onReadable(stream: Stream): void {
    const n = stream.read(readHeadroom, readCapacity);
    if (n > 0) {
      stream.pauseRead();
      this.#greeting = Buffer.from(this.#runtime.readBuffer.subarray(readHeadroom, readHeadroom + n));
      this.#onSpoke();
    } else if (n === readEof) this.cancel(); // it has nothing to say, which decides nothing
  }

  onDrained(): void {}

  onClosed(_stream: Stream, reason: string): void {
    const leg = this.#leg;
    this.#leg = null;
    if (leg === null) return;
    if (this.#connected) leg.release('remote');
    else leg.failed(reason === 'connect-timeout');
  }

  /** Hands the connection over, when it is up. */
  take(): PreparedUpstream | null {
    const leg = this.#leg;
    if (leg === null || !this.#connected || leg.stream.dead) {
      this.cancel();
      return null;
    }
    this.#leg = null;
    return { leg, greeting: this.#greeting };
  }

  cancel(): void {
    const leg = this.#leg;
    this.#leg = null;
    if (leg === null) return;
    leg.stream.close();
    leg.release('local');
  }
}
