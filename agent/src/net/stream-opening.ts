/**
 * How a stream comes up: the TCP handshake of a dialled one, what is sent in plaintext ahead of TLS, and the TLS
 * handshake. It only says what it waits for; the stream does the waiting, and has none of it once it is open.
 */
import { addressOf } from '../sys/ffi.ts';
import * as libc from '../sys/libc.ts';
import { socketError } from '../sys/tcp.ts';
import type { TlsSession } from '../sys/tls-session.ts';
import { noFailure, type SocketOutput, type StreamFailure } from './socket-output.ts';
import type { TlsEnd } from './tls-end.ts';

const { out: OUT, err: ERR, hup: HUP } = libc.epoll;

export type OpeningStep = 'connecting' | 'want-read' | 'want-write' | 'done' | 'failed';

export class StreamOpening {
  /** Sent in plaintext as soon as TCP is up, before TLS. Small: it must fit into an empty socket. */
  preface: Buffer | null = null;
  /** Until TCP is up. */
  isConnecting: boolean;
  /** Why the last step failed. */
  failure: StreamFailure = noFailure;
  readonly #handle: bigint;
  readonly #output: SocketOutput;
  readonly #end: TlsEnd | null;
  /** Made by the first step of the TLS handshake. */
  #tls: TlsSession | null = null;

  /** Without an end it is over when TCP is up. */
  constructor(handle: bigint, output: SocketOutput, end: TlsEnd | null, connecting: boolean) {
    this.#handle = handle;
    this.#output = output;
    this.#end = end;
    this.isConnecting = connecting;
  }

  onEvents(events: number): OpeningStep {
    return this.isConnecting ? this.#connect(events) : this.shake();
  }

  #connect(events: number): OpeningStep {
    if ((events & (OUT | ERR | HUP)) === 0) return 'connecting';
    const code = socketError(this.#handle);
    if (code !== 0) return this.#fail(connectReason(code), libc.errnoText(code));
    if ((events & OUT) === 0) return 'connecting';
    if (!this.#sendPreface()) return 'failed';
    this.isConnecting = false;
    return this.#end === null ? 'done' : this.shake();
  }

  #sendPreface(): boolean {
    const { preface } = this;
    const sent = preface === null ? 0 : this.#output.sendPlain(addressOf(preface), preface.length);
    if (sent < 0) this.failure = this.#output.failure;
    else if (sent < (preface?.length ?? 0)) this.#fail('connect-failed', 'the first bytes did not fit');
    else return true;
    return false;
  }

  /** The next step of the TLS handshake. */
  shake(): OpeningStep {
    const end = this.#end;
    const tls = this.#tls ?? this.#startTls();
    if (end === null || tls === null) return 'failed';
    const step = tls.handshake(end);
    return step === 'failed' ? this.#fail('tls-failed', end.explain(tls)) : step;
  }

  #startTls(): TlsSession | null {
    try {
      this.#tls = this.#end?.start(this.#handle) ?? null;
    } catch (error) {
      this.#fail('tls-failed', error instanceof Error ? error.message : 'no TLS context');
    }
    return this.#tls;
  }

  /** After the handshake: whoever takes the session frees it. */
  giveTls(): TlsSession | null {
    const tls = this.#tls;
    this.#tls = null;
    return tls;
  }

  free(): void {
    this.#tls?.free();
    this.#tls = null;
  }

  #fail(reason: StreamFailure['reason'], detail: string): 'failed' {
    this.failure = { reason, detail };
    return 'failed';
  }
}

function connectReason(code: number): StreamFailure['reason'] {
  if (code === libc.errnos.ECONNREFUSED) return 'connect-refused';
  return code === libc.errnos.ETIMEDOUT ? 'connect-timeout' : 'connect-failed';
}
