/** The names that the proxy answers itself, compiled for looking up: exact ones, then the longest wildcard. */
import type { DnsDomainSpec } from '../model/dns.ts';
import { isIPv6 } from '../sys/ip-text.ts';
import { recordType } from './message.ts';
import type { ResolvConf } from './resolv-conf.ts';

export interface KnownName {
  readonly v4: readonly Buffer[];
  readonly v6: readonly Buffer[];
  readonly ttlS: number;
}

export class NameTable {
  readonly #exact = new Map<string, KnownName>();
  /** By what stands behind `*.`. */
  readonly #below = new Map<string, KnownName>();

  constructor(domains: readonly DnsDomainSpec[]) {
    for (const { name, addresses, ttlS } of domains) {
      const bytes = addresses.map(addressBytes);
      const known = { v4: bytes.filter((b) => b.length === 4), v6: bytes.filter((b) => b.length === 16), ttlS };
      if (name.startsWith('*.')) this.#below.set(name.slice(2), known);
      else this.#exact.set(name, known);
    }
  }

  get size(): number {
    return this.#exact.size + this.#below.size;
  }

  find(name: string): KnownName | null {
    const exact = this.#exact.get(name);
    if (exact !== undefined) return exact;
    if (this.#below.size === 0) return null;
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const found = this.#below.get(name.slice(dot + 1));
      if (found !== undefined) return found;
    }
    return null;
  }

  /** As the C library would look it up: a short name is tried below the search domains as well. */
  findAsSearched(name: string, { search, ndots }: Pick<ResolvConf, 'search' | 'ndots'>): KnownName | null {
    const found = this.find(name);
    if (found !== null || name === '' || dotsIn(name) >= ndots) return found;
    for (const domain of search) {
      const expanded = this.find(`${name}.${domain}`);
      if (expanded !== null) return expanded;
    }
    return null;
  }
}

export function addressesOf(known: KnownName, type: number): readonly Buffer[] {
  return type === recordType.A ? known.v4 : known.v6;
}

function dotsIn(name: string): number {
  let dots = 0;
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) === 46) dots++;
  return dots;
}

/** An address in canonical text as its 4 or 16 bytes. */
export function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number));
  const tail = /^(.*:)([0-9]+\.[0-9.]+)$/.exec(address);
  const text = tail === null ? address : `${tail[1]}${groupsOfV4(tail[2] ?? '')}`;
  const [left = '', right] = text.split('::');
  const before = left === '' ? [] : left.split(':');
  const after = right === undefined || right === '' ? [] : right.split(':');
  const zeros = Array<string>(right === undefined ? 0 : 8 - before.length - after.length).fill('0');
  return Buffer.from([...before, ...zeros, ...after].map((g) => g.padStart(4, '0')).join(''), 'hex');
}

function groupsOfV4(dotted: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = dotted.split('.').map(Number);
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}
