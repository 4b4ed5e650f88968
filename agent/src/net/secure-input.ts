/** How the bytes of a secure connection are read: by our own record layer, or by OpenSSL where that does not fit. */

import { type TlsSession, tlsFailed, tlsWantRead, tlsWantWrite } from '../sys/tls-session.ts';
import type { Loop } from './loop.ts';
import { readAgain, readCapacity, readEof, readError, recordBytes } from './stream.ts';
import type { Alert } from './tls-alerts.ts';

export interface SecureInput {
  /** Why the last read failed. */
  readonly failure: string;
  /** What the peer has yet to be told of it. */
  readonly alert: Alert | null;
  /** There may be more to read though the socket says nothing. */
  readonly hasPending: boolean;
  /** To `offset` of the loop's region: how many bytes, or readEof, readAgain, readError. */
  read(offset: number, capacity: number): number;
  free(): void;
}

const wholeCapacity = BigInt(readCapacity);

/** TLS 1.2. */
export class SessionInput implements SecureInput {
  /** OpenSSL sends its alerts itself. */
  readonly alert = null;
  readonly #session: TlsSession;
  readonly #loop: Loop;
  #mustGoOn = false;

  constructor(session: TlsSession, loop: Loop) {
    this.#session = session;
    this.#loop = loop;
  }

  get failure(): string {
    return this.#session.failure;
  }

  get hasPending(): boolean {
    return this.#mustGoOn || this.#session.hasPending;
  }

  read(offset: number, capacity: number): number {
    const session = this.#session;
    const { region } = this.#loop;
    this.#mustGoOn = false;
    const n = session.read(region.at(offset), capacity === readCapacity ? wholeCapacity : BigInt(capacity));
    if (n <= 0) return resultOf(n);
    let total = n;
    // Records that lie decrypted or at hand come along, so that one write downstream carries them all.
    while (capacity - total >= recordBytes && session.hasPending) {
      const more = session.read(region.at(offset + total), BigInt(capacity - total));
      if (more <= 0) {
        this.#mustGoOn = more === tlsFailed || more === readEof;
        break;
      }
      total += more;
    }
    return total;
  }

  free(): void {
    this.#session.free();
  }
}

function resultOf(n: number): number {
  if (n === tlsWantRead || n === tlsWantWrite) return readAgain;
  return n === tlsFailed ? readError : readEof;
}
