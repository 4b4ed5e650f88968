/**
 * A TCP connection, plain or TLS, as the protocols see it (net/stream.ts). Plain sockets are edge-triggered, for
 * writing from the first write on that does not go out whole; TLS sockets are level-triggered. Longer than most files because it is one state machine.
 * Invariants: the descriptor and the TLS session are released once, in #release; the handler hears of a failure at
 * the end of the turn, never inside a call of its own.
 */

import { addressOf } from '../sys/ffi.ts';
import * as libc from '../sys/libc.ts';
import { setCork, setResetOnClose, shutdownWrite, socketError } from '../sys/tcp.ts';
import { type TlsSession, tlsFailed, tlsWantRead, tlsWantWrite } from '../sys/tls-session.ts';
import type { TimerHandle } from '../worker/runtime.ts';
import type { Edge } from './edge.ts';
import type { EventTarget, Loop, Resumable } from './loop.ts';
import { OutputQueue } from './output-queue.ts';
import type { Member } from './roster.ts';
import {
  type CloseReason,
  type ConnectionInfo,
  plainReadCapacity,
  readAgain,
  readCapacity,
  readEof,
  readError,
  readHeadroom,
  recordBytes,
  type Stream,
  type StreamHandler,
} from './stream.ts';
import type { TlsEnd } from './tls-end.ts';

/** What one stream may read in a turn of the loop; then the others come first. */
const turnBudgetBytes = 65_536;
/** How long a closing stream may take to write its queue when the caller gave no deadline. */
const flushDeadlineMs = 1000;

const { in: IN, out: OUT, err: ERR, hup: HUP, rdhup: RDHUP, edge: EDGE } = libc.epoll;
const wholeCapacity = BigInt(readCapacity);
const wholePlainCapacity = BigInt(plainReadCapacity);
const noSignal = 0x4000n; // MSG_NOSIGNAL
const noSignalMore = 0x4000n | 0x8000n; // and MSG_MORE
const plainEvents = IN | OUT | RDHUP | EDGE;
/** Until something does not go out whole: a new socket is writable, which would be an event of its own. */
const acceptedEvents = IN | RDHUP | EDGE;

type Phase = 'connecting' | 'handshake' | 'open';

/** Who keeps count of the stream: hears that it is up, and of its end, however that came. */
export interface StreamOwner {
  /** TCP and TLS are up and info is filled in; before the handler hears of it. Not for plain accepted streams. */
  onOpened(stream: SocketStream): void;
  /** Once. tlsEnd still tells why a handshake failed. */
  onReleased(stream: SocketStream): void;
}

const ignoring: StreamHandler = {
  onReadable(stream) {
    while (stream.read(readHeadroom, readCapacity) > 0 && stream.more(0, 0));
  },
  onDrained() {},
  onConnected() {},
  onClosed() {},
};

const ignoringEvents: EventTarget = { onEvents() {} };

export class SocketStream implements Stream, EventTarget, Resumable, Member {
  handler: StreamHandler;
  info: ConnectionInfo;
  failure = '';
  dead = false;
  readPaused = false;
  edge: Edge | null = null;
  bytesReceived = 0;
  bytesSent = 0;
  lastActiveMs: number;
  owner: StreamOwner | null = null;
  /** In its owner's roster. */
  place = -1;
  /** Sent in plaintext as soon as TCP is up, before TLS. Small: it must fit into an empty socket. */
  preface: Buffer | null = null;
  readonly #loop: Loop;
  readonly #fd: number;
  readonly #handle: bigint;
  #phase: Phase;
  #open = true;
  #end: TlsEnd | null;
  #tls: TlsSession | null = null;
  #out: OutputQueue | null = null;
  /** What epoll delivers now, or 0 before the registration. */
  #armed = 0;
  /** The kernel may hold bytes (plain: the edge has been seen and not read empty). */
  #mayRead = false;
  #peerGone = false;
  #eof = false;
  #wantWrite = false;
  #ending: 'no' | 'asked' | 'done' = 'no';
  /** The kernel holds the last bytes back for the FIN. */
  #held = false;
  #closing = false;
  #lingerMs = 0;
  #resuming = false;
  #corked = false;
  #turn = 0;
  #spent = 0;
  #timer: TimerHandle | null = null;

  /** Takes the descriptor over. `end` makes it TLS; `connecting` waits for the TCP handshake first. */
  constructor(
    loop: Loop,
    fd: number,
    handler: StreamHandler,
    info: ConnectionInfo,
    end: TlsEnd | null,
    connecting: boolean,
  ) {
    this.#loop = loop;
    this.#fd = fd;
    this.#handle = BigInt(fd);
    this.handler = handler;
    this.info = info;
    this.#end = end;
    this.#phase = connecting ? 'connecting' : end === null ? 'open' : 'handshake';
    this.lastActiveMs = loop.nowMs;
  }

  get queued(): number {
    return this.#out?.bytes ?? 0;
  }

  get handle(): bigint {
    return this.#handle;
  }

  /** The TLS side, for whoever wants to know why a handshake failed. */
  get tlsEnd(): TlsEnd | null {
    return this.#end;
  }

  /**
   * Registers with the loop; called once. `known` says that bytes wait already; `registered` that the descriptor is
   * in epoll from an earlier target.
   */
  start(known: boolean, registered: boolean): void {
    const opening = this.#phase === 'handshake' ? IN | RDHUP : acceptedEvents;
    const events = this.#phase === 'connecting' || this.#out !== null ? plainEvents : opening;
    this.#armed = events;
    const ok = registered ? this.#loop.change(this.#fd, this, events) : this.#loop.add(this.#fd, this, events);
    if (!ok) {
      this.#fail('connect-failed', 'epoll refuses the descriptor');
      return;
    }
    if (this.#phase === 'handshake') this.#startTls();
    else if (known && this.#phase === 'open') this.#readLater();
  }

  /** The descriptor is in epoll for an earlier target, and start() comes later: until then it is not looked at. */
  hold(): void {
    this.#loop.change(this.#fd, ignoringEvents, EDGE);
  }

  /** Instead of start(): nothing is read and nothing begins; onEnd is called when the peer ends it, by FIN or RST. */
  waitForEnd(registered: boolean, onEnd: () => void): void {
    const target: EventTarget = {
      onEvents: (events) => {
        if ((events & (RDHUP | HUP | ERR)) !== 0) onEnd();
      },
    };
    if (registered) this.#loop.change(this.#fd, target, RDHUP | EDGE);
    else this.#loop.add(this.#fd, target, RDHUP | EDGE);
  }

  /** Fails the stream unless it is open by then. */
  limitOpening(delayMs: number, reason: CloseReason): void {
    if (delayMs <= 0 || !this.#open || this.#phase === 'open') return;
    this.#timer = this.#loop.after(delayMs, () => {
      this.#timer = null;
      this.#fail(reason, `not established within ${delayMs} ms`);
    });
  }

  /** Fails the stream, as if it had died by itself: the handler hears of it at the end of the turn. */
  abort(reason: CloseReason, detail: string): void {
    this.#fail(reason, detail);
  }

  onFault(): void {
    this.#fail('local', 'aborted by a bug');
  }

  onEvents(events: number): void {
    if (this.#phase === 'open') this.#onOpenEvents(events);
    else if (this.#phase === 'handshake') this.#shake();
    else this.#onConnectEvents(events);
  }

  #onOpenEvents(events: number): void {
    if ((events & (RDHUP | HUP | ERR)) !== 0) this.#peerGone = true;
    if ((events & OUT) !== 0 || this.#tls !== null) {
      this.#writable();
      if (!this.#open) return;
    }
    if ((events & (IN | RDHUP | HUP | ERR)) === 0) return;
    this.#mayRead = true;
    if (!this.readPaused) this.handler.onReadable(this);
    else if ((events & ERR) !== 0) this.#failFromSocket();
    else if (this.#tls !== null) this.#arm();
  }

  #failFromSocket(): void {
    const code = socketError(this.#handle);
    this.#fail('remote-reset', libc.errnoText(code));
  }

  #onConnectEvents(events: number): void {
    if ((events & (OUT | ERR | HUP)) === 0) return;
    const code = socketError(this.#handle);
    if (code !== 0) {
      const { ECONNREFUSED, ETIMEDOUT } = libc.errnos;
      const reason =
        code === ECONNREFUSED ? 'connect-refused' : code === ETIMEDOUT ? 'connect-timeout' : 'connect-failed';
      this.#fail(reason, libc.errnoText(code));
      return;
    }
    if ((events & OUT) === 0 || !this.#sendPreface()) return;
    if (this.#end === null) {
      this.#opened();
      if (this.#open && (events & (IN | RDHUP | HUP)) !== 0) this.#onOpenEvents(events);
      return;
    }
    this.#phase = 'handshake';
    this.#startTls();
  }

  #sendPreface(): boolean {
    const { preface } = this;
    this.preface = null;
    if (preface === null || this.#sendPlain(addressOf(preface), preface.length) === preface.length) return true;
    this.#fail('connect-failed', 'the first bytes did not fit');
    return false;
  }

  #startTls(): void {
    try {
      this.#tls = this.#end?.start(this.#handle) ?? null;
    } catch (error) {
      this.#fail('tls-failed', error instanceof Error ? error.message : 'no TLS context');
      return;
    }
    this.#shake();
  }

  #shake(): void {
    const end = this.#end;
    const tls = this.#tls;
    if (end === null || tls === null) return;
    const step = tls.handshake(end);
    if (step === 'failed') {
      this.#fail('tls-failed', end.explain(tls));
      return;
    }
    this.#wantWrite = step === 'want-write';
    this.#arm();
    if (step !== 'done') return;
    this.info = end.describe(tls, this.info);
    this.#opened();
    if (this.#open && tls.hasPending) this.#readLater();
  }

  #opened(): void {
    this.#phase = 'open';
    this.#timer?.cancel();
    this.#timer = null;
    this.lastActiveMs = this.#loop.nowMs;
    this.owner?.onOpened(this);
    this.handler.onConnected(this);
    if (!this.#open) return;
    if (this.#out !== null || this.#ending === 'asked') this.#writable();
    else if (this.#closing) this.#linger();
  }

  /** TLS: asks epoll for exactly what is wanted now. Plain sockets stay as they are. */
  #arm(): void {
    if (this.#end === null) return;
    const wanted = this.#wantWrite ? OUT : 0;
    // A socket that is not read still reports HUP and ERR; the edge mode keeps them from spinning.
    const events = this.readPaused || this.#eof ? wanted | RDHUP | EDGE : wanted | IN;
    if (events === this.#armed) return;
    this.#armed = events;
    this.#loop.change(this.#fd, this, events);
  }

  read(offset: number, capacity: number): number {
    if (!this.#open) return readError;
    const region = this.#loop.region;
    const at = region.span(offset, capacity);
    const n = this.#tls === null ? this.#readPlain(at, capacity) : this.#readTls(this.#tls, offset, capacity);
    if (n > 0) {
      this.bytesReceived += n;
      this.lastActiveMs = this.#loop.nowMs;
      if (this.#turn !== this.#loop.turn) {
        this.#turn = this.#loop.turn;
        this.#spent = 0;
      }
      this.#spent += n;
    }
    return n;
  }

  #readPlain(at: bigint, room: number): number {
    const capacity = Math.min(room, plainReadCapacity);
    const n = libc.recv(this.#handle, at, capacity === plainReadCapacity ? wholePlainCapacity : BigInt(capacity), 0n);
    if (n > 0) {
      // A short read has emptied the socket, and the next byte makes a new event, unless FIN was announced before.
      if (n < capacity && !this.#peerGone) this.#mayRead = false;
      return n;
    }
    if (n === 0) return this.#readEof();
    const code = libc.errno();
    if (code === libc.errnos.EINTR) this.#readLater();
    else if (code === libc.errnos.EAGAIN) this.#mayRead = false;
    if (code === libc.errnos.EAGAIN || code === libc.errnos.EINTR) return readAgain;
    this.#fail('remote-reset', libc.errnoText(code));
    return readError;
  }

  #readTls(tls: TlsSession, offset: number, capacity: number): number {
    const region = this.#loop.region;
    const n = tls.read(region.at(offset), capacity === readCapacity ? wholeCapacity : BigInt(capacity));
    if (n <= 0) return this.#tlsReadResult(tls, n);
    let total = n;
    // Records that lie decrypted or at hand come along, so that one write downstream carries them all.
    while (capacity - total >= recordBytes && tls.hasPending) {
      const more = tls.read(region.at(offset + total), BigInt(capacity - total));
      if (more <= 0) {
        if (more === tlsFailed || more === readEof) this.#readLater();
        break;
      }
      total += more;
    }
    return total;
  }

  #tlsReadResult(tls: TlsSession, n: number): number {
    if (n === tlsWantRead || n === tlsWantWrite) return readAgain;
    if (n === tlsFailed) {
      this.#fail('remote-reset', tls.failure);
      return readError;
    }
    return this.#readEof();
  }

  #readEof(): number {
    this.#eof = true;
    this.#mayRead = false;
    this.#arm();
    return readEof;
  }

  more(_lastRead: number, _capacity: number): boolean {
    if (!this.#open || this.readPaused || this.#eof) return false;
    if (this.#tls === null ? !this.#mayRead : !this.#tls.hasPending) return false;
    if (this.#spent < turnBudgetBytes || this.#turn !== this.#loop.turn) return true;
    this.#readLater();
    return false;
  }

  #readLater(): void {
    if (this.#resuming) return;
    this.#resuming = true;
    this.#loop.resumeLater(this);
  }

  onResume(): void {
    this.#resuming = false;
    this.#mayRead = true;
    if (!this.#open || this.readPaused || this.#phase !== 'open') return;
    this.handler.onReadable(this);
  }

  pauseRead(): void {
    // TLS sockets are disarmed when the next event comes: most pauses are over before it.
    this.readPaused = true;
  }

  resumeRead(): void {
    if (!this.readPaused) return;
    this.readPaused = false;
    if (!this.#open || this.#eof || this.#phase !== 'open') return;
    if (this.#tls === null) {
      if (this.#mayRead) this.#readLater();
      return;
    }
    this.#arm();
    if (this.#tls.hasPending) this.#readLater();
  }

  write(buffer: Uint8Array, start: number, end: number): boolean {
    if (!this.#open || this.#ending !== 'no') return false;
    if (start >= end) return true;
    if (this.#out !== null || this.#phase !== 'open') {
      this.#queue(buffer, start, end);
      return true;
    }
    const region = this.#loop.region;
    const base = buffer === region.buffer ? region.span(start, end - start) : this.#addressIn(buffer, start, end);
    const n = this.#send(base, end - start);
    if (n < 0) return false;
    if (n < end - start) this.#queue(buffer, start + n, end);
    return true;
  }

  cork(): void {
    if (!this.#open || this.#corked) return;
    this.#corked = true;
    setCork(this.#handle, true);
  }

  uncork(): void {
    if (!this.#corked) return;
    this.#corked = false;
    if (this.#open) setCork(this.#handle, false);
  }

  #addressIn(buffer: Uint8Array, start: number, end: number): bigint {
    if (start < 0 || end > buffer.length) throw new RangeError(`write of [${start}, ${end}) of ${buffer.length} bytes`);
    return this.#loop.addressOf(buffer) + BigInt(start);
  }

  #queue(buffer: Uint8Array, start: number, end: number): void {
    this.#out ??= new OutputQueue(this.#loop.chunks);
    this.#out.push(buffer, start, end);
    if (this.#armed !== acceptedEvents) return;
    this.#armed = plainEvents;
    this.#loop.change(this.#fd, this, plainEvents);
  }

  /** Sends what the socket takes: how much that was, or -1 when the stream has failed. */
  #send(address: bigint, length: number): number {
    const sent = this.#tls === null ? this.#sendPlain(address, length) : this.#sendTls(this.#tls, address, length);
    if (sent > 0) {
      this.bytesSent += sent;
      this.lastActiveMs = this.#loop.nowMs;
    }
    return sent;
  }

  #sendPlain(address: bigint, length: number): number {
    const n = libc.send(this.#handle, address, libc.big(length), this.#held ? noSignalMore : noSignal);
    if (n >= 0) return n;
    const code = libc.errno();
    if (code === libc.errnos.EAGAIN) return 0;
    const reset = code === libc.errnos.ECONNRESET || code === libc.errnos.EPIPE;
    this.#fail(reset ? 'remote-reset' : 'write-failed', libc.errnoText(code));
    return -1;
  }

  /** OpenSSL writes record by record: corked, they leave as one, which spares both ends a packet for each. */
  #sendTls(tls: TlsSession, address: bigint, length: number): number {
    if (length <= recordBytes || this.#corked) return this.#sendRecords(tls, address, length);
    setCork(this.#handle, true);
    const sent = this.#sendRecords(tls, address, length);
    if (this.#open && !this.#held) setCork(this.#handle, false);
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
      if (n === tlsWantWrite || n === tlsWantRead) {
        this.#wantWrite = true;
        this.#arm();
        return sent;
      }
      this.#fail('write-failed', tls.failure);
      return -1;
    }
    return sent;
  }

  /** The socket takes bytes again. */
  #writable(): void {
    const out = this.#out;
    if (out === null) {
      if (this.#ending === 'asked') this.#sendFin();
      return;
    }
    while (out.bytes > 0) {
      const length = out.length;
      const n = this.#send(out.address, length);
      if (n < 0) return;
      out.consume(n);
      if (n < length) return;
    }
    this.#out = null;
    if (this.#wantWrite) {
      this.#wantWrite = false;
      this.#arm();
    }
    if (this.#ending === 'asked') this.#sendFin();
    if (this.#closing) this.#linger();
    else if (this.#open) this.handler.onDrained(this);
  }

  expectEnd(): void {
    if (this.#phase !== 'open' || !this.#open || this.#ending !== 'no') return;
    this.#held = true;
    if (this.#tls !== null) setCork(this.#handle, true);
  }

  endWrite(): void {
    if (!this.#open || this.#ending !== 'no') return;
    this.#ending = 'asked';
    if (this.#out === null && this.#phase === 'open') this.#sendFin();
  }

  #sendFin(): void {
    if (this.#tls === null) shutdownWrite(this.#handle);
    else if (!this.#tls.endWrite(this.#handle)) {
      this.#wantWrite = true;
      this.#arm();
      return;
    }
    this.#ending = 'done';
    if (!this.#wantWrite) return;
    this.#wantWrite = false;
    this.#arm();
  }

  /**
   * After the queue has gone out, FIN is sent and what the peer still sends is thrown away until its FIN or the
   * deadline, because closing on unread bytes would make the kernel send RST and take our last bytes with it. A
   * deadline of 0 closes at once when the queue is empty.
   */
  closeAfterFlush(deadlineMs: number): void {
    if (!this.#open || this.#closing) return;
    this.handler = ignoring;
    this.#closing = true;
    this.#lingerMs = deadlineMs;
    if (this.#out === null && this.#phase === 'open') {
      this.#linger();
      return;
    }
    this.#limitFlush(deadlineMs > 0 ? deadlineMs : flushDeadlineMs, this.bytesSent);
  }

  /** The deadline starts again with every byte the peer has taken. */
  #limitFlush(deadlineMs: number, sentBefore: number): void {
    this.#timer?.cancel();
    this.#timer = this.#loop.after(deadlineMs, () => {
      this.#timer = null;
      if (this.bytesSent === sentBefore) this.close();
      else this.#limitFlush(deadlineMs, this.bytesSent);
    });
  }

  #linger(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#lingerMs <= 0 || this.#eof || !this.#open) {
      this.close();
      return;
    }
    if (this.#ending === 'no') this.#ending = 'asked';
    if (this.#ending === 'asked') this.#sendFin();
    this.#timer = this.#loop.after(this.#lingerMs, () => this.close());
    this.handler = new Lingering();
    this.readPaused = false;
    this.#arm();
    this.#readLater();
  }

  close(): void {
    if (this.dead) return;
    this.dead = true;
    if (this.#open && this.#phase === 'open' && this.#ending !== 'done') {
      this.#tls?.sayGoodbye();
      // Bytes that nobody has read make a reset of the close, which would take along what is held back.
      if (this.#held) shutdownWrite(this.#handle);
    }
    this.#release();
  }

  reset(): void {
    if (this.dead) return;
    this.dead = true;
    if (this.#open) setResetOnClose(this.#handle);
    this.#release();
  }

  /** The stream has died by itself: released now, told to the handler at the end of the turn. */
  #fail(reason: CloseReason, detail: string): void {
    if (!this.#open) return;
    this.failure = detail;
    this.#release();
    this.#loop.defer(() => {
      if (this.dead) return;
      this.dead = true;
      this.handler.onClosed(this, reason);
    });
  }

  #release(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#timer?.cancel();
    this.#timer = null;
    this.#tls?.free();
    this.#tls = null;
    if (this.#fd >= 0) {
      this.#loop.forget(this.#fd);
      libc.close(this.#handle, 0n);
    }
    this.#out?.clear();
    this.#out = null;
    this.owner?.onReleased(this);
  }
}

/** Throws away what comes until the peer's FIN. */
class Lingering implements StreamHandler {
  onReadable(stream: Stream): void {
    for (;;) {
      const n = stream.read(readHeadroom, readCapacity);
      if (n === readEof) stream.close();
      if (n <= 0 || !stream.more(n, readCapacity)) return;
    }
  }
  onDrained(): void {}
  onConnected(): void {}
  onClosed(): void {}
}
