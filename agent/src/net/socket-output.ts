/**
 * How bytes leave a socket, plain or TLS, and in how few packets: corked while more follows, the last of them held back
 * for the FIN. Invariant: after a failed send nothing is asked of the descriptor, which is closed by then.
 */
import * as libc from '../sys/libc.ts';
import { setCork, shutdownWrite } from '../sys/tcp.ts';
import { type TlsSession, tlsWantRead, tlsWantWrite } from '../sys/tls-session.ts';
import { type CloseReason, recordBytes } from './stream.ts';

const noSignal = 0x4000n; // MSG_NOSIGNAL
const noSignalMore = 0x4000n | 0x8000n; // and MSG_MORE

/** Why a stream has failed: for the handler, and for people. */
export interface StreamFailure {
  readonly reason: CloseReason;
  readonly detail: string;
}

export const noFailure: StreamFailure = { reason: 'local', detail: '' };

export class SocketOutput {
  /** Why the last send failed. */
  failure: StreamFailure = noFailure;
  readonly #handle: bigint;
  /** Null for plaintext, and for what goes ahead of TLS. */
  #tls: TlsSession | null = null;
  #corked = false;
  /** The kernel holds the last bytes back for the FIN. */
  #held = false;

  constructor(handle: bigint) {
    this.#handle = handle;
  }

  /** What is sent from here on goes through the session. */
  secure(tls: TlsSession): void {
    this.#tls = tls;
  }

  /** Sends what the socket takes: how much that was, or -1 when it has failed. */
  send(address: bigint, length: number): number {
    return this.#tls === null ? this.#sendPlain(address, length) : this.#sendTls(this.#tls, address, length);
  }

  #sendPlain(address: bigint, length: number): number {
    const n = libc.send(this.#handle, address, libc.big(length), this.#held ? noSignalMore : noSignal);
    if (n >= 0) return n;
    const code = libc.errno();
    if (code === libc.errnos.EAGAIN) return 0;
    const reset = code === libc.errnos.ECONNRESET || code === libc.errnos.EPIPE;
    this.failure = { reason: reset ? 'remote-reset' : 'write-failed', detail: libc.errnoText(code) };
    return -1;
  }

  /** OpenSSL writes record by record: corked, they leave as one, which spares both ends a packet for each. */
  #sendTls(tls: TlsSession, address: bigint, length: number): number {
    if (length <= recordBytes || this.#corked) return this.#sendRecords(tls, address, length);
    setCork(this.#handle, true);
    const sent = this.#sendRecords(tls, address, length);
    if (sent >= 0 && !this.#held) setCork(this.#handle, false);
    return sent;
  }

  #sendRecords(tls: TlsSession, address: bigint, length: number): number {
    let sent = 0;
    while (sent < length) {
      const n = tls.write(sent === 0 ? address : address + BigInt(sent), libc.big(length - sent));
      if (n > 0) {
        sent += n;
        continue;
      }
      if (n === tlsWantWrite || n === tlsWantRead) return sent;
      this.failure = { reason: 'write-failed', detail: tls.failure };
      return -1;
    }
    return sent;
  }

  /** Until uncork() only whole segments leave. */
  cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    setCork(this.#handle, true);
  }

  uncork(): void {
    if (!this.#corked) return;
    this.#corked = false;
    setCork(this.#handle, false);
  }

  /** What is sent from here on waits for end() or leave(). */
  expectEnd(): void {
    this.#held = true;
    if (this.#tls !== null) setCork(this.#handle, true);
  }

  /** FIN, after close_notify for TLS. False when the socket is full: again when it takes bytes. */
  end(): boolean {
    if (this.#tls !== null) return this.#tls.endWrite(this.#handle);
    shutdownWrite(this.#handle);
    return true;
  }

  /** Instead of end(), when the descriptor is about to be closed. */
  leave(): void {
    this.#tls?.sayGoodbye();
    // Bytes that nobody has read make a reset of the close, which would take along what is held back.
    if (this.#held) shutdownWrite(this.#handle);
  }
}
