/**
 * One listening socket in the loop: accepts a bounded number per turn, and takes a short break when the process is out
 * of descriptors, because a level-triggered listener would spin.
 */
import * as libc from '../sys/libc.ts';
import { acceptedFrom, acceptTcp, listenTcp, localAddress, type SocketAddress } from '../sys/tcp.ts';
import type { TimerHandle } from '../worker/runtime.ts';
import type { EventTarget, Loop } from './loop.ts';

/** What one socket may take of a turn where nothing else is configured. */
const usualPerTurn = 64;
const breakMs = 100;

export interface AcceptOwner {
  /** Connections that one turn may accept; 0 is the usual number. */
  readonly acceptsPerTurn: number;
  onAccepted(fd: number, remote: SocketAddress, socket: AcceptSocket): void;
  /** A turn is over that has accepted so many. */
  onTurn(accepted: number): void;
  /** Descriptors or memory have run out; accepting goes on after a break. */
  onExhausted(reason: string): void;
}

export class AcceptSocket implements EventTarget {
  readonly family: 4 | 6;
  /** The address as bound (a port of 0 resolved). */
  readonly bound: SocketAddress;
  readonly #loop: Loop;
  readonly #owner: AcceptOwner;
  readonly #fd: number;
  readonly #handle: bigint;
  #break: TimerHandle | null = null;
  #listening = true;

  /** @throws SocketError */
  constructor(loop: Loop, address: SocketAddress, backlog: number, owner: AcceptOwner) {
    this.#loop = loop;
    this.#owner = owner;
    this.#fd = listenTcp(address.ip, address.port, backlog);
    this.#handle = BigInt(this.#fd);
    this.family = address.ip.includes(':') ? 6 : 4;
    this.bound = localAddress(this.#handle);
    loop.add(this.#fd, this, libc.epoll.in);
  }

  onEvents(): void {
    const accepted = this.#accept(this.#owner.acceptsPerTurn || usualPerTurn);
    if (accepted > 0) this.#owner.onTurn(accepted);
  }

  /** How many there were; the loop comes back by itself when some are left. */
  #accept(limit: number): number {
    let accepted = 0;
    for (let i = 0; i < limit && this.#listening; i++) {
      const fd = acceptTcp(this.#handle);
      if (fd >= 0) {
        accepted++;
        this.#owner.onAccepted(fd, acceptedFrom(), this);
        continue;
      }
      const code = libc.errno();
      const { EMFILE, ENFILE, ENOMEM, ENOBUFS } = libc.errnos;
      if (code === EMFILE || code === ENFILE || code === ENOMEM || code === ENOBUFS) this.#takeBreak(code);
      if (code !== libc.errnos.ECONNABORTED && code !== libc.errnos.EINTR) break;
    }
    return accepted;
  }

  #takeBreak(code: number): void {
    this.#owner.onExhausted(libc.errnoText(code));
    this.#loop.change(this.#fd, this, 0);
    this.#break = this.#loop.after(breakMs, () => {
      this.#break = null;
      this.#loop.change(this.#fd, this, libc.epoll.in);
    });
  }

  close(): void {
    if (!this.#listening) return;
    this.#listening = false;
    this.#break?.cancel();
    this.#loop.forget(this.#fd);
    libc.close(this.#handle, 0n);
  }
}
