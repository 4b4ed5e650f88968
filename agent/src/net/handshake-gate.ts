/**
 * Keeps new TLS handshakes, a millisecond of work each, from starving the connections that are open: a few begin in
 * each turn of the loop and a bounded number is under way at once; the others wait in order, unread.
 * Invariant: enter() is answered by one leave(), also for who has only waited.
 */
import type { Loop, Resumable } from './loop.ts';

export interface HandshakeGateLimits {
  readonly startsPerTurn: number;
  readonly concurrent: number;
}

const usual: HandshakeGateLimits = { startsPerTurn: 16, concurrent: 1024 };

export class HandshakeGate implements Resumable {
  readonly #loop: Loop;
  readonly #limits: HandshakeGateLimits;
  /** Map order is the order of arrival. */
  readonly #waiting = new Map<object, () => void>();
  readonly #running = new Set<object>();
  #turn = -1;
  #started = 0;
  #scheduled = false;

  constructor(loop: Loop, limits: HandshakeGateLimits = usual) {
    this.#loop = loop;
    this.#limits = limits;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get running(): number {
    return this.#running.size;
  }

  /** Calls begin now (true), or later when its turn has come (false). */
  enter(who: object, begin: () => void): boolean {
    if (this.#waiting.size === 0 && this.#mayStart()) {
      this.#start(who, begin);
      return true;
    }
    this.#waiting.set(who, begin);
    this.#schedule();
    return false;
  }

  /** The handshake has ended, well or not, or whoever waited is gone. */
  leave(who: object): void {
    this.#waiting.delete(who);
    if (this.#running.delete(who) && this.#waiting.size > 0) this.#schedule();
  }

  #mayStart(): boolean {
    if (this.#turn !== this.#loop.turn) {
      this.#turn = this.#loop.turn;
      this.#started = 0;
    }
    return this.#started < this.#limits.startsPerTurn && this.#running.size < this.#limits.concurrent;
  }

  #start(who: object, begin: () => void): void {
    this.#started++;
    this.#running.add(who);
    begin();
  }

  #schedule(): void {
    if (this.#scheduled || this.#running.size >= this.#limits.concurrent) return;
    this.#scheduled = true;
    this.#loop.resumeLater(this);
  }

  onResume(): void {
    this.#scheduled = false;
    for (const [who, begin] of this.#waiting) {
      if (!this.#mayStart()) break;
      this.#waiting.delete(who);
      this.#start(who, begin);
    }
    if (this.#waiting.size > 0) this.#schedule();
  }
}
