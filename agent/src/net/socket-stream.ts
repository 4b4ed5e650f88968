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
import type { TimerHandle } from '../worker/runtime.ts';
import type { Edge } from './edge.ts';
import type { EventTarget, Loop, Resumable } from './loop.ts';
import type { SealingOwner } from './record-scratch.ts';
import type { Member } from './roster.ts';
import type { SecureInput } from './secure-input.ts';
import { SocketOutput } from './socket-output.ts';
import {
  type CloseReason,
  type ConnectionInfo,
  plainReadCapacity,
  readAgain,
  readEof,
  readError,
  type StreamHandler,
} from './stream.ts';
import { type ClosingStream, StreamClosing } from './stream-closing.ts';
import { type OpeningStep, StreamOpening } from './stream-opening.ts';
import { alert } from './tls-alerts.ts';
import type { TlsEnd } from './tls-end.ts';
import { TlsRecords } from './tls-records.ts';

/** What one stream may read in a turn of the loop; then the others come first. */
const turnBudgetBytes = 65_536;

const { in: IN, out: OUT, err: ERR, hup: HUP, rdhup: RDHUP, edge: EDGE } = libc.epoll;
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

export class SocketStream implements ClosingStream, EventTarget, Resumable, SealingOwner, Member {
  handler: StreamHandler;
  info: ConnectionInfo;
  failure = '';
  dead = false;
  readPaused = false;
  edge: Edge | null = null;
  bytesReceived = 0;
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
  /** Null for plaintext, and until TLS is up. */
  #input: SecureInput | null = null;
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
    const opens = connecting || end !== null;
    this.#output = new SocketOutput(loop, this.#handle, this, !opens);
    this.#opening = opens ? new StreamOpening(this.#handle, this.#output, end, connecting) : null;
    this.lastActiveMs = loop.nowMs;
  }

  get queued(): number {
    return this.#output.queued;
  }

  get bytesSent(): number {
    return this.#output.bytesSent;
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
    const events = opening?.isConnecting === true || this.queued > 0 ? plainEvents : calm;
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
    if ((events & OUT) !== 0 || this.#end !== null) {
      this.#writable();
      if (!this.#open) return;
    }
    if ((events & (IN | RDHUP | HUP | ERR)) === 0) return;
    this.#mayRead = true;
    if (!this.readPaused) this.handler.onReadable(this);
    else if ((events & ERR) !== 0) this.#failFromSocket();
    else if (this.#end !== null) this.#arm();
  }

  #failFromSocket(): void {
    const code = socketError(this.#handle);
    this.#fail('remote-reset', libc.errnoText(code));
  }

  #advance(opening: StreamOpening, step: OpeningStep, events: number): void {
    if (step === 'connecting') return;
    if (step === 'failed') {
      this.#fail(opening.failure.reason, opening.failure.detail);
      return;
    }
    this.#wantWrite = step === 'want-write';
    this.#arm();
    if (step !== 'done') return;
    this.#opened(opening);
    if (!this.#open) return;
    if (this.#input !== null) {
      if (this.#input.hasPending) this.#readLater();
    } else if ((events & (IN | RDHUP | HUP)) !== 0) this.#onOpenEvents(events);
  }

  #opened(opening: StreamOpening): void {
    this.#opening = null;
    this.#output.isReady = true;
    if (this.#end !== null && !this.#secure(this.#end, opening)) return;
    this.#stopTimer();
    this.lastActiveMs = this.#loop.nowMs;
    this.owner?.onOpened(this);
    this.handler.onConnected(this);
    if (this.#open && (this.queued > 0 || this.#ending === 'asked')) this.#writable();
  }

  /** TLS is up: what was written meanwhile is sealed now. False when the stream has failed. */
  #secure(end: TlsEnd, opening: StreamOpening): boolean {
    const tls = opening.giveTls();
    if (tls === null) return true;
    this.info = end.describe(tls, this.info);
    const input = end.inputOf(tls, this.#handle, this.#loop);
    this.#input = input;
    if (!(input instanceof TlsRecords)) {
      this.#output.useSession(tls);
      return true;
    }
    return this.#left(this.#output.useRecords(input)) && (this.#ending === 'no' || this.#say(alert.closeNotify));
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
    const n = this.#input === null ? this.#readPlain(at, capacity) : this.#readSecure(this.#input, offset, capacity);
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

  #readSecure(input: SecureInput, offset: number, capacity: number): number {
    const n = input.read(offset, capacity);
    if (n === readEof) return this.#readEof();
    if (n === readError) this.#failSecurely(input);
    return n;
  }

  #failSecurely(input: SecureInput): void {
    const { failure } = input;
    if (input.alert === null || this.#say(input.alert)) this.#fail('remote-reset', failure);
  }

  #readEof(): number {
    this.#eof = true;
    this.#mayRead = false;
    this.#arm();
    return readEof;
  }

  more(_lastRead: number, _capacity: number): boolean {
    if (!this.#open || this.readPaused || this.#eof) return false;
    if (this.#input === null ? !this.#mayRead : !this.#input.hasPending) return false;
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
    if (this.#input === null) {
      if (this.#mayRead) this.#readLater();
      return;
    }
    this.#arm();
    if (this.#input.hasPending) this.#readLater();
  }

  readOn(): void {
    this.readPaused = false;
    this.#arm();
    this.#readLater();
  }

  write(buffer: Uint8Array, start: number, end: number): boolean {
    if (!this.#open || this.#ending !== 'no') return false;
    if (start >= end) return true;
    return this.#left(this.#output.write(buffer, start, end));
  }

  cork(): void {
    if (this.#open) this.#output.cork();
  }

  uncork(): void {
    if (this.#open) this.#left(this.#output.uncork());
  }

  onPlaceWanted(): void {
    this.#left(this.#output.sendSealed());
  }

  #say(code: Parameters<SocketOutput['say']>[0]): boolean {
    return this.#left(this.#output.say(code));
  }

  /** So many bytes have left: false when the output has failed, and the stream with it. */
  #left(sent: number): boolean {
    if (sent < 0) {
      this.#fail(this.#output.failure.reason, this.#output.failure.detail);
      return false;
    }
    if (sent > 0) this.lastActiveMs = this.#loop.nowMs;
    if (this.#output.queued > 0) this.#waitToWrite();
    return true;
  }

  #waitToWrite(): void {
    if (this.#end === null) {
      if (this.#armed !== acceptedEvents) return;
      this.#armed = plainEvents;
      this.#loop.change(this.#fd, this, plainEvents);
    } else if (this.#opening === null && !this.#wantWrite) {
      this.#wantWrite = true;
      this.#arm();
    }
  }

  #stopWaitingToWrite(): void {
    if (!this.#wantWrite) return;
    this.#wantWrite = false;
    this.#arm();
  }

  /** The socket takes bytes again. */
  #writable(): void {
    const output = this.#output;
    const waited = output.queued > 0;
    if (waited) {
      if (!this.#left(output.flush()) || output.queued > 0) return;
      this.#stopWaitingToWrite();
    }
    if (this.#ending === 'asked') this.#sendFin();
    if (waited && this.#open) this.handler.onDrained(this);
  }

  expectEnd(): void {
    if (this.#opening === null && this.#open && this.#ending === 'no') this.#output.expectEnd();
  }

  delivered(sent: number): Delivery {
    if (sent === 0) return 'none';
    return this.#open && this.#end === null && this.#eof ? deliveryOf(this.#handle, sent) : 'unknown';
  }

  endWrite(): void {
    if (!this.#open || this.#ending !== 'no') return;
    this.#ending = 'asked';
    if (this.#opening === null && this.#say(alert.closeNotify) && this.queued === 0) this.#sendFin();
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
    this.uncork();
    if (!this.#open) return;
    const closing = new StreamClosing(this, deadlineMs);
    this.handler = closing;
    if (this.queued === 0 && this.#opening === null) closing.linger();
    else closing.flush();
  }

  close(): void {
    if (this.dead) return;
    this.dead = true;
    if (this.#open && this.#opening === null && this.#ending !== 'done') this.#leave();
    this.#release();
  }

  #leave(): void {
    const speaks = this.#ending === 'no' && this.queued === 0;
    if (!speaks || this.#say(alert.closeNotify)) this.#output.leave();
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
    this.#opening?.free();
    this.#output.discard();
    this.#input?.free();
    this.#input = null;
    if (this.#fd >= 0) {
      this.#loop.forget(this.#fd);
      libc.close(this.#handle, 0n);
    }
    this.owner?.onReleased(this);
  }
}
