/**
 * A TCP connection, plain or TLS, as the protocols see it (net/stream.ts): what epoll is asked for and whom its events
 * concern. How it comes up stands in stream-opening.ts, how bytes leave it in socket-output.ts, how it is closed with
 * care in stream-closing.ts. Plain sockets are edge-triggered, for writing from the first write on that does not go
 * out whole; TLS sockets are level-triggered. Longer than most files because reading, writing and pausing are one
 * state machine.
 * Invariants: the descriptor and the TLS session are released once, in #release; the handler hears of a failure at
 * the end of the turn, never inside a call of its own.
 */
import * as libc from '../sys/libc.ts';
import { type Delivery, deliveryOf, setResetOnClose, socketError } from '../sys/tcp.ts';
import { type TlsSession, tlsFailed, tlsWantRead, tlsWantWrite } from '../sys/tls-session.ts';
import type { TimerHandle } from '../worker/runtime.ts';
import type { Edge } from './edge.ts';
import type { EventTarget, Loop, Resumable } from './loop.ts';
import { OutputQueue } from './output-queue.ts';
import type { Member } from './roster.ts';
import { SocketOutput } from './socket-output.ts';
import {
  type CloseReason,
  type ConnectionInfo,
  plainReadCapacity,
  readAgain,
  readCapacity,
  readEof,
  readError,
  recordBytes,
  type StreamHandler,
} from './stream.ts';
import { type ClosingStream, StreamClosing } from './stream-closing.ts';
import { type OpeningStep, StreamOpening } from './stream-opening.ts';
import type { TlsEnd } from './tls-end.ts';

/** What one stream may read in a turn of the loop; then the others come first. */
const turnBudgetBytes = 65_536;

const { in: IN, out: OUT, err: ERR, hup: HUP, rdhup: RDHUP, edge: EDGE } = libc.epoll;
const wholeCapacity = BigInt(readCapacity);
const wholePlainCapacity = BigInt(plainReadCapacity);
const plainEvents = IN | OUT | RDHUP | EDGE;
/** Until something does not go out whole: a new socket is writable, which would be an event of its own. */
const acceptedEvents = IN | RDHUP | EDGE;

/** Who keeps count of the stream: hears that it is up, and of its end, however that came. */
export interface StreamOwner {
  /** TCP and TLS are up and info is filled in; before the handler hears of it. Not for plain accepted streams. */
  onOpened(stream: SocketStream): void;
  /** Once. tlsEnd still tells why a handshake failed. */
  onReleased(stream: SocketStream): void;
}

const ignoringEvents: EventTarget = { onEvents() {} };

export class SocketStream implements ClosingStream, EventTarget, Resumable, Member {
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
  readonly #loop: Loop;
  readonly #fd: number;
  readonly #handle: bigint;
  readonly #output: SocketOutput;
  /** Null once it is up. */
  #opening: StreamOpening | null;
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
  #resuming = false;
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
    this.#output = new SocketOutput(this.#handle);
    this.#opening = connecting || end !== null ? new StreamOpening(this.#handle, this.#output, end, connecting) : null;
    this.lastActiveMs = loop.nowMs;
  }

  get queued(): number {
    return this.#out?.bytes ?? 0;
  }

  get handle(): bigint {
    return this.#handle;
  }

  get peerEnded(): boolean {
    return this.#eof;
  }

  /** Goes ahead of everything, TLS too. Small: it must fit into an empty socket. */
  set preface(bytes: Buffer) {
    if (this.#opening !== null) this.#opening.preface = bytes;
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
    const opening = this.#opening;
    const shakes = opening !== null && !opening.isConnecting;
    const calm = shakes ? IN | RDHUP : acceptedEvents;
    const events = opening?.isConnecting === true || this.#out !== null ? plainEvents : calm;
    this.#armed = events;
    const ok = registered ? this.#loop.change(this.#fd, this, events) : this.#loop.add(this.#fd, this, events);
    if (!ok) {
      this.#fail('connect-failed', 'epoll refuses the descriptor');
      return;
    }
    if (shakes) this.#advance(opening, opening.shake(), 0);
    else if (known && opening === null) this.#readLater();
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
    if (delayMs <= 0 || !this.#open || this.#opening === null) return;
    this.setTimer(delayMs, () => this.#fail(reason, `not established within ${delayMs} ms`));
  }

  setTimer(delayMs: number, call: () => void): void {
    this.#stopTimer();
    this.#timer = this.#loop.after(delayMs, () => {
      this.#timer = null;
      call();
    });
  }

  #stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Fails the stream, as if it had died by itself: the handler hears of it at the end of the turn. */
  abort(reason: CloseReason, detail: string): void {
    this.#fail(reason, detail);
  }

  onFault(): void {
    this.#fail('local', 'aborted by a bug');
  }

  onEvents(events: number): void {
    const opening = this.#opening;
    if (opening === null) this.#onOpenEvents(events);
    else this.#advance(opening, opening.onEvents(events), events);
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

  #advance(opening: StreamOpening, step: OpeningStep, events: number): void {
    this.#tls = opening.tls;
    if (step === 'connecting') return;
    if (step === 'failed') {
      this.#fail(opening.failure.reason, opening.failure.detail);
      return;
    }
    this.#wantWrite = step === 'want-write';
    this.#arm();
    if (step !== 'done') return;
    this.#opened();
    if (!this.#open) return;
    if (this.#tls !== null) {
      if (this.#tls.hasPending) this.#readLater();
    } else if ((events & (IN | RDHUP | HUP)) !== 0) this.#onOpenEvents(events);
  }

  #opened(): void {
    const tls = this.#tls;
    if (this.#end !== null && tls !== null) {
      this.info = this.#end.describe(tls, this.info);
      tls.forgetHandshake();
      this.#output.secure(tls);
    }
    this.#opening = null;
    this.#stopTimer();
    this.lastActiveMs = this.#loop.nowMs;
    this.owner?.onOpened(this);
    this.handler.onConnected(this);
    if (this.#open && (this.#out !== null || this.#ending === 'asked')) this.#writable();
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
    if (!this.#open || this.readPaused || this.#opening !== null) return;
    this.handler.onReadable(this);
  }

  pauseRead(): void {
    // TLS sockets are disarmed when the next event comes: most pauses are over before it.
    this.readPaused = true;
  }

  resumeRead(): void {
    if (!this.readPaused) return;
    this.readPaused = false;
    if (!this.#open || this.#eof || this.#opening !== null) return;
    if (this.#tls === null) {
      if (this.#mayRead) this.#readLater();
      return;
    }
    this.#arm();
    if (this.#tls.hasPending) this.#readLater();
  }

  readOn(): void {
    this.readPaused = false;
    this.#arm();
    this.#readLater();
  }

  write(buffer: Uint8Array, start: number, end: number): boolean {
    if (!this.#open || this.#ending !== 'no') return false;
    if (start >= end) return true;
    if (this.#out !== null || this.#opening !== null) {
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
    if (this.#open) this.#output.cork();
  }

  uncork(): void {
    if (this.#open) this.#output.uncork();
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
    const sent = this.#output.send(address, length);
    if (sent > 0) {
      this.bytesSent += sent;
      this.lastActiveMs = this.#loop.nowMs;
    }
    if (sent < 0) this.#fail(this.#output.failure.reason, this.#output.failure.detail);
    else if (sent < length) this.#waitToWrite();
    return sent;
  }

  #waitToWrite(): void {
    this.#wantWrite = true;
    this.#arm();
  }

  #stopWaitingToWrite(): void {
    if (!this.#wantWrite) return;
    this.#wantWrite = false;
    this.#arm();
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
    this.#stopWaitingToWrite();
    if (this.#ending === 'asked') this.#sendFin();
    if (this.#open) this.handler.onDrained(this);
  }

  expectEnd(): void {
    if (this.#opening === null && this.#open && this.#ending === 'no') this.#output.expectEnd();
  }

  delivered(sent: number): Delivery {
    if (sent === 0) return 'none';
    return this.#open && this.#tls === null && this.#eof ? deliveryOf(this.#handle, sent) : 'unknown';
  }

  endWrite(): void {
    if (!this.#open || this.#ending !== 'no') return;
    this.#ending = 'asked';
    if (this.#out === null && this.#opening === null) this.#sendFin();
  }

  #sendFin(): void {
    if (!this.#output.end()) {
      this.#waitToWrite();
      return;
    }
    this.#ending = 'done';
    this.#stopWaitingToWrite();
  }

  closeAfterFlush(deadlineMs: number): void {
    if (!this.#open || this.handler instanceof StreamClosing) return;
    const closing = new StreamClosing(this, deadlineMs);
    this.handler = closing;
    if (this.#out === null && this.#opening === null) closing.linger();
    else closing.flush();
  }

  close(): void {
    if (this.dead) return;
    this.dead = true;
    if (this.#open && this.#opening === null && this.#ending !== 'done') this.#output.leave();
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
    this.#stopTimer();
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
