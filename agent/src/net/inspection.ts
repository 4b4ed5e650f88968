/**
 * A connection whose filter chain is not chosen yet: its first bytes are looked at with MSG_PEEK, so they stay in the
 * kernel for whoever gets the connection. Invariant: ends exactly once, by decided() or by closing the descriptor.
 */
import * as libc from '../sys/libc.ts';
import { peek, type SocketAddress } from '../sys/tcp.ts';
import type { TimerHandle } from '../worker/runtime.ts';
import { inspectClientHello, maxClientHelloBytes } from './client-hello.ts';
import type { Needs } from './filter-chain-match.ts';
import { detectHttp, type HttpResult } from './http-detect.ts';
import type { EventTarget, Loop } from './loop.ts';

/** What the inspectors found. */
export interface Findings {
  readonly tls: 'found' | 'absent' | 'unknown';
  readonly serverName: string;
  readonly applicationProtocols: readonly string[];
  readonly http: HttpResult | 'unknown';
}

export const noFindings: Findings = { tls: 'unknown', serverName: '', applicationProtocols: [], http: 'unknown' };

export interface Inspected {
  readonly fd: number;
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
  /** The socket's own peer, when a PROXY header has named another; otherwise null. */
  readonly direct: SocketAddress | null;
}

/** A guess at what a silent client waits for. It may end by itself; cancel() is harmless then. */
export interface Guess {
  cancel(): void;
}

export interface InspectionOwner {
  /** The descriptor is the owner's again, still in epoll (when `registered`), and so is the guess. */
  onDecided(connection: Inspected, findings: Findings, registered: boolean, guess: Guess | null): void;
  /** The client has been silent for a while: begins a guess, or null. onConfirmed: it was right, decide now. */
  onSilent(connection: Inspected, onConfirmed: () => void): Guess | null;
  /** The peer went away or the time is over; the descriptor is closed. */
  onAbandoned(cause: 'closed' | 'timeout'): void;
}

export interface InspectionLimits {
  /** Ask for a guess after this silence; 0 never does. */
  readonly silenceMs: number;
  readonly timeoutMs: number;
  readonly continueOnTimeout: boolean;
}

const { in: IN, rdhup: RDHUP, hup: HUP, err: ERR, edge: EDGE } = libc.epoll;

/** Looks at the bytes so far; null while they do not decide. */
export function inspect(bytes: Uint8Array, needs: Needs): Findings | null {
  let tls: Findings['tls'] = 'unknown';
  if (needs.tls) {
    const hello = inspectClientHello(bytes);
    if (hello.kind === 'more') return null;
    if (hello.kind === 'hello') {
      return { tls: 'found', serverName: hello.serverName, applicationProtocols: hello.alpn, http: 'unknown' };
    }
    tls = 'absent';
  }
  if (!needs.http) return { ...noFindings, tls };
  const http = detectHttp(bytes);
  if (http === 'more') return null;
  return { tls, serverName: '', applicationProtocols: http === 'not-http' ? [] : [http], http };
}

export class Inspection implements EventTarget {
  readonly #loop: Loop;
  readonly #connection: Inspected;
  readonly #needs: Needs;
  readonly #owner: InspectionOwner;
  readonly #limits: InspectionLimits;
  #timer: TimerHandle | null = null;
  #silence: TimerHandle | null = null;
  #guess: Guess | null = null;
  #registered = false;

  constructor(loop: Loop, connection: Inspected, needs: Needs, limits: InspectionLimits, owner: InspectionOwner) {
    this.#loop = loop;
    this.#connection = connection;
    this.#needs = needs;
    this.#limits = limits;
    this.#owner = owner;
  }

  /** Often the bytes are there already and epoll is not needed at all. */
  start(): void {
    if (this.#look(false)) return;
    const { timeoutMs, silenceMs } = this.#limits;
    if (silenceMs > 0) this.#silence = this.#loop.after(silenceMs, () => this.#guessNow());
    if (timeoutMs > 0) this.#timer = this.#loop.after(timeoutMs, () => this.#timeout());
    this.#registered = true;
    if (!this.#loop.add(this.#connection.fd, this, IN | RDHUP | EDGE)) this.#abandon('closed');
  }

  #guessNow(): void {
    this.#silence = null;
    this.#guess = this.#owner.onSilent(this.#connection, () => this.#decide(noFindings));
  }

  onEvents(events: number): void {
    this.#look((events & (RDHUP | HUP | ERR)) !== 0);
  }

  /** True when it has ended. */
  #look(peerGone: boolean): boolean {
    const region = this.#loop.region;
    const address = region.span(0, maxClientHelloBytes);
    const n = peek(BigInt(this.#connection.fd), address, BigInt(maxClientHelloBytes));
    if (n < 0 && libc.errno() === libc.errnos.EAGAIN) return false;
    const findings = n > 0 ? inspect(region.buffer.subarray(0, n), this.#needs) : null;
    if (n > 0) this.#silence?.cancel(); // whoever speaks first is no longer waiting for the server
    if (findings !== null) this.#decide(findings);
    else if (n <= 0 || peerGone) this.#abandon('closed');
    else return false;
    return true;
  }

  #timeout(): void {
    this.#timer = null;
    if (this.#limits.continueOnTimeout) this.#decide(noFindings);
    else this.#abandon('timeout');
  }

  #decide(findings: Findings): void {
    this.#timer?.cancel();
    this.#silence?.cancel();
    this.#owner.onDecided(this.#connection, findings, this.#registered, this.#guess);
  }

  #abandon(cause: 'closed' | 'timeout'): void {
    this.#timer?.cancel();
    this.#silence?.cancel();
    this.#guess?.cancel();
    this.#loop.forget(this.#connection.fd);
    libc.close(BigInt(this.#connection.fd), 0n);
    this.#owner.onAbandoned(cause);
  }

  /** The listener goes away. */
  cancel(): void {
    this.#abandon('closed');
  }
}
