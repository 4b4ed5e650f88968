/**
 * How bytes leave a socket, plain or TLS, and in how few calls and packets: what it does not take is queued, what is
 * corked waits for more, the last of it is held back for the FIN. With our own record layer the queue holds records.
 * Invariants: bytes leave in the order they came; nothing is written behind a record that went out in part but its rest;
 * after a failed send nothing is asked of the descriptor, which is closed by then.
 */
import * as libc from '../sys/libc.ts';
import { setCork, shutdownWrite } from '../sys/tcp.ts';
import { type TlsSession, tlsWantRead, tlsWantWrite } from '../sys/tls-session.ts';
import type { Loop } from './loop.ts';
import { OutputQueue } from './output-queue.ts';
import { pieceBytes, type SealingOwner, sealedBytes } from './record-scratch.ts';
import { type CloseReason, recordBytes } from './stream.ts';
import type { TlsRecords } from './tls-records.ts';

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
  /** Of the caller's bytes: those that the socket took; with our own record layer, those that were sealed. */
  bytesSent = 0;
  /** Until then everything is queued but what goes ahead of TLS. */
  isReady: boolean;
  readonly #loop: Loop;
  readonly #handle: bigint;
  /** Hears that another stream needs the place of what waits there. */
  readonly #owner: SealingOwner;
  #queue: OutputQueue | null = null;
  /** One of them for TLS, once it is up. */
  #session: TlsSession | null = null;
  #records: TlsRecords | null = null;
  #corked = false;
  /** The kernel holds the last bytes back for the FIN. */
  #held = false;

  constructor(loop: Loop, handle: bigint, owner: SealingOwner, isReady: boolean) {
    this.#loop = loop;
    this.#handle = handle;
    this.#owner = owner;
    this.isReady = isReady;
  }

  get queued(): number {
    return this.#queue === null ? 0 : this.#queue.bytes;
  }

  /** What is sent from here on goes through the session. */
  useSession(session: TlsSession): void {
    this.#session = session;
  }

  /** What was written until now and is written from here on is sealed. Results as of write(). */
  useRecords(records: TlsRecords): number {
    if (this.#corked) setCork(this.#handle, false);
    this.#records = records;
    const early = this.#queue;
    this.#queue = null;
    let sent = 0;
    for (; early !== null && early.bytes > 0 && sent >= 0; early.consume(early.length)) {
      const n = this.#seal(records, early.address, early.length);
      sent = n < 0 ? n : sent + n;
    }
    early?.clear();
    return sent;
  }

  /** Sends what the socket takes and queues the rest: how many bytes left, or -1 when it has failed. */
  write(buffer: Uint8Array, start: number, end: number): number {
    if (this.#records !== null) return this.#seal(this.#records, this.#addressIn(buffer, start, end), end - start);
    if (this.#queue !== null || !this.isReady) {
      this.#enqueue(buffer, start, end);
      return 0;
    }
    const n = this.#send(this.#addressIn(buffer, start, end), end - start);
    if (n < 0) return n;
    this.bytesSent += n;
    if (n < end - start) this.#enqueue(buffer, start + n, end);
    return n;
  }

  #addressIn(buffer: Uint8Array, start: number, end: number): bigint {
    const { region } = this.#loop;
    if (buffer === region.buffer) return region.span(start, end - start);
    if (start < 0 || end > buffer.length) throw new RangeError(`write of [${start}, ${end}) of ${buffer.length} bytes`);
    return this.#loop.addressOf(buffer) + BigInt(start);
  }

  #enqueue(buffer: Uint8Array, start: number, end: number): void {
    this.#queue ??= new OutputQueue(this.#loop.chunks);
    this.#queue.push(buffer, start, end);
  }

  /** The socket takes bytes again. Results as of write(). */
  flush(): number {
    const queue = this.#queue;
    if (queue === null) return 0;
    let sent = 0;
    while (queue.bytes > 0) {
      const { length } = queue;
      const n = this.#send(queue.address, length);
      if (n < 0) return n;
      queue.consume(n);
      sent += n;
      if (n < length) break;
    }
    if (this.#records === null) this.bytesSent += sent;
    if (queue.bytes === 0) this.#queue = null;
    return sent;
  }

  /** Sends what the socket takes: how much that was, or -1 when it has failed. */
  #send(address: bigint, length: number): number {
    return this.#session === null ? this.sendPlain(address, length) : this.#sendTls(this.#session, address, length);
  }

  /** The same, ahead of everything and of TLS. */
  sendPlain(address: bigint, length: number): number {
    const n = libc.send(this.#handle, address, libc.big(length), this.#held ? noSignalMore : noSignal);
    if (n >= 0) return n;
    const code = libc.errno();
    if (code === libc.errnos.EAGAIN) return 0;
    const reset = code === libc.errnos.ECONNRESET || code === libc.errnos.EPIPE;
    this.failure = { reason: reset ? 'remote-reset' : 'write-failed', detail: libc.errnoText(code) };
    return -1;
  }

  // ---- with our own record layer

  /** Seals the bytes, and sends the records unless it is corked and they may wait for more. */
  #seal(records: TlsRecords, address: bigint, length: number): number {
    let sent = 0;
    for (let from = 0; from < length; from += pieceBytes) {
      const size = Math.min(length - from, pieceBytes);
      const before = this.#makeRoom(sealedBytes(size));
      if (before < 0) return before;
      const scratch = this.#loop.records;
      scratch.sealed = records.seal(from === 0 ? address : address + BigInt(from), size, scratch.sealed);
      const n = this.#corked ? 0 : this.sendSealed();
      if (n < 0) return n;
      this.bytesSent += size;
      sent += before + n;
    }
    return sent;
  }

  /** The place for records is ours, with so much room behind what waits in it. */
  #makeRoom(bytes: number): number {
    const scratch = this.#loop.records;
    scratch.claim(this.#owner);
    return scratch.room < bytes ? this.sendSealed() : 0;
  }

  /** Sends the records that wait, or queues them behind what is queued. Results as of write(). */
  sendSealed(): number {
    const scratch = this.#loop.records;
    if (scratch.owner !== this.#owner) return 0;
    const length = scratch.sealed;
    scratch.sealed = 0;
    if (length === 0) return 0;
    const n = this.#queue === null ? this.sendPlain(scratch.sealingAddress, length) : 0;
    if (n >= 0 && n < length) this.#enqueue(scratch.sealing.buffer, n, length);
    return n;
  }

  /** An alert behind everything that was written. Results as of write(). */
  say(code: Parameters<TlsRecords['sealAlert']>[0]): number {
    const records = this.#records;
    if (records === null) return 0;
    const before = this.#makeRoom(sealedBytes(2));
    if (before < 0) return before;
    const scratch = this.#loop.records;
    scratch.sealed = records.sealAlert(code, scratch.sealed);
    const n = this.sendSealed();
    return n < 0 ? n : before + n;
  }

  // ---- with OpenSSL's

  /** OpenSSL writes record by record: corked, they leave as one, which spares both ends a packet for each. */
  #sendTls(session: TlsSession, address: bigint, length: number): number {
    if (length <= recordBytes || this.#corked) return this.#sendRecords(session, address, length);
    setCork(this.#handle, true);
    const sent = this.#sendRecords(session, address, length);
    if (sent >= 0 && !this.#held) setCork(this.#handle, false);
    return sent;
  }

  #sendRecords(session: TlsSession, address: bigint, length: number): number {
    let sent = 0;
    while (sent < length) {
      const n = session.write(sent === 0 ? address : address + BigInt(sent), libc.big(length - sent));
      if (n > 0) {
        sent += n;
        continue;
      }
      if (n === tlsWantWrite || n === tlsWantRead) return sent;
      this.failure = { reason: 'write-failed', detail: session.failure };
      return -1;
    }
    return sent;
  }

  // ---- how it is held back, and ends

  /** Until uncork() only whole segments leave; records of ours not at all, unless their place is wanted. */
  cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    if (this.#records === null) setCork(this.#handle, true);
  }

  /** Results as of write(). */
  uncork(): number {
    if (!this.#corked) return 0;
    this.#corked = false;
    if (this.#records !== null) return this.sendSealed();
    setCork(this.#handle, false);
    return 0;
  }

  /** What is sent from here on waits for end() or leave(). */
  expectEnd(): void {
    this.#held = true;
    if (this.#session !== null) setCork(this.#handle, true);
  }

  /** FIN, after close_notify for OpenSSL's TLS. False when the socket is full: again when it takes bytes. */
  end(): boolean {
    if (this.#session !== null) return this.#session.endWrite(this.#handle);
    shutdownWrite(this.#handle);
    return true;
  }

  /** Instead of end(), when the descriptor is about to be closed. */
  leave(): void {
    this.#session?.sayGoodbye();
    // Bytes that nobody has read make a reset of the close, which would take along what is held back.
    if (this.#held) shutdownWrite(this.#handle);
  }

  /** Drops what has not left. */
  discard(): void {
    this.#loop.records.drop(this.#owner);
    this.#queue?.clear();
    this.#queue = null;
    this.#records = null;
    this.#session = null;
  }
}
