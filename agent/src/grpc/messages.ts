/**
 * gRPC's length-prefixed messages: one byte that says whether it is compressed, four of length. Takes the stream's bytes
 * however they are split. Invariant: no more is held than one message of the allowed size.
 */
import { RpcFailure, rpcStatus } from '@chainmail/xds/rpc-status';

export const prefixBytes = 5;

/** A message with its prefix, uncompressed. */
export function frameMessage(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(prefixBytes + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, prefixBytes);
  return framed;
}

export class MessageReader {
  readonly #maxBytes: number;
  readonly #onMessage: (message: Buffer) => void;
  readonly #prefix: Buffer = Buffer.alloc(prefixBytes);
  #prefixed = 0;
  #message: Buffer | null = null;
  #filled = 0;

  /** onMessage gets bytes of its own. */
  constructor(maxBytes: number, onMessage: (message: Buffer) => void) {
    this.#maxBytes = maxBytes;
    this.#onMessage = onMessage;
  }

  /** Whether the stream may end here. */
  get isBetweenMessages(): boolean {
    return this.#prefixed === 0;
  }

  /** @throws RpcFailure for a message that is too large or compressed */
  take(from: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end || this.#isComplete()) {
      if (this.#prefixed < prefixBytes) {
        const n = Math.min(prefixBytes - this.#prefixed, end - at);
        from.copy(this.#prefix, this.#prefixed, at, at + n);
        this.#prefixed += n;
        at += n;
        if (this.#prefixed < prefixBytes) return;
        this.#begin();
      }
      const message = this.#message ?? Buffer.alloc(0);
      const n = Math.min(message.length - this.#filled, end - at);
      from.copy(message, this.#filled, at, at + n);
      this.#filled += n;
      at += n;
      if (!this.#isComplete()) return;
      this.#prefixed = 0;
      this.#message = null;
      this.#onMessage(message);
    }
  }

  #isComplete(): boolean {
    return this.#message !== null && this.#filled === this.#message.length;
  }

  #begin(): void {
    if (this.#prefix[0] !== 0) {
      throw new RpcFailure(rpcStatus.INTERNAL, 'the server compresses messages, which nobody asked for');
    }
    const length = this.#prefix.readUInt32BE(1);
    if (length > this.#maxBytes) {
      const text = `a message of ${length} bytes, where ${this.#maxBytes} are allowed`;
      throw new RpcFailure(rpcStatus.RESOURCE_EXHAUSTED, text);
    }
    this.#message = Buffer.allocUnsafeSlow(length);
    this.#filled = 0;
  }
}
