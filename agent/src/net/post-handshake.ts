/**
 * The handshake messages that may come once the handshake is over (RFC 8446 section 4.6): tickets, which a client of ours
 * never uses, and changes of the peer's key. Messages may be cut anywhere by records, and share them.
 * Invariant: nothing of a message is kept but its header, however long it says it is.
 */
import { type Alert, alert } from './tls-alerts.ts';

const newSessionTicket = 4;
const keyUpdate = 24;
const headerBytes = 4;
/** Lifetime, age, nonce, ticket, and extensions at their longest. */
const maxTicketBytes = 4 + 4 + 256 + 65_537 + 65_536;

/** What a record of the handshake's came to: the peer changes its key behind it, and may ask us for the same. */
export type PostHandshakeResult = 'nothing' | 'updated' | 'update-asked' | { readonly refused: Alert };

const unexpected = { refused: alert.unexpectedMessage } as const;

export class PostHandshake {
  readonly #takesTickets: boolean;
  readonly #header = Buffer.alloc(headerBytes);
  #headerLength = 0;
  /** Of the message whose header is there. */
  #left = 0;

  constructor(role: 'client' | 'server') {
    this.#takesTickets = role === 'client';
  }

  /** Within a message: no record of another type may come. */
  get isInside(): boolean {
    return this.#headerLength > 0;
  }

  /** The content of a record, at least a byte of it. */
  take(bytes: Uint8Array, start: number, end: number): PostHandshakeResult {
    let at = start;
    while (at < end) {
      if (this.#headerLength < headerBytes) {
        this.#header[this.#headerLength++] = bytes[at++] ?? 0;
        if (this.#headerLength < headerBytes) continue;
        const refused = this.#begin();
        if (refused !== null) return { refused };
      } else if (this.#header[0] === keyUpdate) {
        // What comes behind it would be under the next key.
        return at + 1 === end ? this.#update(bytes[at]) : unexpected;
      } else at = this.#skip(at, end);
    }
    return 'nothing';
  }

  #begin(): Alert | null {
    const length = this.#header.readUIntBE(1, 3);
    this.#left = length;
    if (this.#header[0] === keyUpdate) return length === 1 ? null : alert.decodeError;
    if (this.#header[0] !== newSessionTicket || !this.#takesTickets) return alert.unexpectedMessage;
    return length > 0 && length <= maxTicketBytes ? null : alert.decodeError;
  }

  #skip(at: number, end: number): number {
    const size = Math.min(this.#left, end - at);
    this.#left -= size;
    if (this.#left === 0) this.#headerLength = 0;
    return at + size;
  }

  #update(request: number | undefined): PostHandshakeResult {
    this.#headerLength = 0;
    if (request !== 0 && request !== 1) return { refused: alert.illegalParameter };
    return request === 1 ? 'update-asked' : 'updated';
  }
}
