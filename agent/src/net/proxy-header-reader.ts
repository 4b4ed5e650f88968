/**
 * Takes the PROXY header off an accepted connection, before any other inspection: looks with MSG_PEEK until it is
 * whole, then reads exactly its bytes. Invariant: ends exactly once, by onHeader() or by closing the descriptor.
 */
import * as libc from '../sys/libc.ts';
import { peek } from '../sys/tcp.ts';
import type { TimerHandle } from '../worker/runtime.ts';
import type { EventTarget, Loop } from './loop.ts';
import { inspectProxyHeader, maxProxyHeaderBytes, type ProxyHeaderResult } from './proxy-protocol.ts';

/** What became of it, as the statistics tell it apart. */
export type ProxyOutcome = Exclude<ProxyHeaderResult, { kind: 'more' }> | { readonly kind: 'timeout' | 'closed' };

export interface ProxyHeaderOwner {
  /** Whether the connection goes on; otherwise its descriptor is closed after this call. Not registered with the loop. */
  onHeader(outcome: ProxyOutcome): boolean;
}

const { in: IN, rdhup: RDHUP, hup: HUP, err: ERR, edge: EDGE } = libc.epoll;

export class ProxyHeaderReader implements EventTarget {
  readonly #loop: Loop;
  readonly #fd: number;
  readonly #owner: ProxyHeaderOwner;
  #timer: TimerHandle | null = null;
  #registered = false;

  constructor(loop: Loop, fd: number, owner: ProxyHeaderOwner) {
    this.#loop = loop;
    this.#fd = fd;
    this.#owner = owner;
  }

  start(timeoutMs: number): void {
    if (this.#look(false)) return;
    if (timeoutMs > 0) this.#timer = this.#loop.after(timeoutMs, () => this.#end({ kind: 'timeout' }));
    this.#registered = true;
    if (!this.#loop.add(this.#fd, this, IN | RDHUP | EDGE)) this.#end({ kind: 'closed' });
  }

  onEvents(events: number): void {
    this.#look((events & (RDHUP | HUP | ERR)) !== 0);
  }

  /** True when it has ended. */
  #look(peerGone: boolean): boolean {
    const { region } = this.#loop;
    const n = peek(BigInt(this.#fd), region.span(0, maxProxyHeaderBytes), BigInt(maxProxyHeaderBytes));
    if (n < 0 && libc.errno() === libc.errnos.EAGAIN) return false;
    const found = n > 0 ? inspectProxyHeader(region.buffer.subarray(0, n)) : null;
    if (found !== null && found.kind !== 'more') this.#end(found);
    else if (n <= 0 || peerGone) this.#end({ kind: 'closed' });
    else return false;
    return true;
  }

  #end(outcome: ProxyOutcome): void {
    this.#timer?.cancel();
    const gone = outcome.kind === 'header' && !this.#consume(outcome.length);
    if (this.#registered) this.#loop.remove(this.#fd);
    if (!this.#owner.onHeader(gone ? { kind: 'closed' } : outcome)) libc.close(BigInt(this.#fd), 0n);
  }

  /** The kernel holds the bytes, as was just seen: they come in one piece. */
  #consume(length: number): boolean {
    return libc.read(BigInt(this.#fd), this.#loop.region.span(0, length), BigInt(length)) === length;
  }
}
