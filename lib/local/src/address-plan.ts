/**
 * The addresses of one local cluster, in ranges that exist only inside its node namespace, and the allocator over
 * them. Invariant: an address is held by one owner at a time, and an owner that comes back gets its old one.
 */
import { UserError } from '@chainmail/runtime';

/** The node's two addresses on the bridge, and the four ranges; documented in docs/local.md. */
export const addressPlan = {
  nodeV4: '10.77.0.1',
  nodeV6: 'fd00:77::1',
  podV4: '10.77.0.0/16',
  podV6: 'fd00:77::/112',
  serviceV4: '10.78.0.0/16',
  serviceV6: 'fd00:78::/112',
} as const;

export type Family = 'IPv4' | 'IPv6';

export const familyOf = (address: string): Family => (address.includes(':') ? 'IPv6' : 'IPv4');

/** The n-th address of a range written as `a.b.0.0/16` or `x:y::/112`; n from 1 to 65534. */
export function addressAt(cidr: string, n: number): string {
  const base = cidr.slice(0, cidr.indexOf('/'));
  if (base.includes(':')) return `${base}${n.toString(16)}`;
  const [a, b] = base.split('.');
  return `${a}.${b}.${n >> 8}.${n & 255}`;
}

export function numberOf(address: string): number {
  if (address.includes(':')) return Number.parseInt(address.slice(address.lastIndexOf(':') + 1), 16);
  const [, , c, d] = address.split('.').map(Number);
  return (c ?? 0) * 256 + (d ?? 0);
}

const last = 65534;

/** Numbers 1..65534 to owners; both families of an owner use the same number, which makes addresses readable. */
export class NumberPool {
  readonly #byOwner = new Map<string, number>();
  readonly #held = new Set<number>();
  readonly #first: number;
  #next: number;

  constructor(first: number, known: Readonly<Record<string, number>> = {}) {
    this.#first = first;
    this.#next = first;
    for (const [owner, n] of Object.entries(known)) this.claim(owner, n);
  }

  /** The owner's number, the one it has or the next free one after the last given out (so that reuse comes late). */
  take(owner: string): number {
    const known = this.#byOwner.get(owner);
    if (known !== undefined) return known;
    for (let tried = 0; tried <= last - this.#first; tried++) {
      const n = this.#next;
      this.#next = n >= last ? this.#first : n + 1;
      if (this.#held.has(n)) continue;
      this.#set(owner, n);
      return n;
    }
    throw new UserError('LOCAL_ADDRESSES_EXHAUSTED', `no free address for ${owner}`);
  }

  /** True when the number is free or already the owner's. */
  claim(owner: string, n: number): boolean {
    if (this.#byOwner.get(owner) === n) return true;
    if (!Number.isInteger(n) || n < this.#first || n > last || this.#held.has(n)) return false;
    this.release(owner);
    this.#set(owner, n);
    return true;
  }

  release(owner: string): void {
    const n = this.#byOwner.get(owner);
    if (n === undefined) return;
    this.#byOwner.delete(owner);
    this.#held.delete(n);
  }

  snapshot(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#byOwner);
  }

  #set(owner: string, n: number): void {
    this.#byOwner.set(owner, n);
    this.#held.add(n);
  }
}
