/** Longest-prefix match over IP networks of both families. Built once; a lookup costs one map access per prefix length in use. */
import { parseIp } from '../policy/cidr.ts';

interface Level<T> {
  readonly bits: number;
  readonly entries: Map<string, T>;
}

function masked(words: readonly number[], bits: number): string {
  return words
    .map((word, i) => {
      const keep = bits - 32 * i;
      const mask = keep <= 0 ? 0 : keep >= 32 ? 0xffffffff : (0xffffffff << (32 - keep)) >>> 0;
      return (word & mask) >>> 0;
    })
    .join('.');
}

/** Addresses whose networks are remembered: parsing text costs more than all of the lookup. */
const maxRemembered = 1024;

export class PrefixTable<T> {
  readonly #levels: { readonly 4: Level<T>[]; readonly 6: Level<T>[] } = { 4: [], 6: [] };

  readonly #found = new Map<string, T | undefined>();

  /** The value of exactly this network, made when it is new. @throws RangeError for what is no `ip/len` */
  obtain(cidr: string, make: () => T): T {
    const [ip = '', length] = cidr.split('/');
    const parsed = parseIp(ip);
    const bits = length === undefined ? (parsed?.family === 4 ? 32 : 128) : Number(length);
    if (parsed === null || !Number.isInteger(bits) || bits < 0 || bits > (parsed.family === 4 ? 32 : 128)) {
      throw new RangeError(`not a network: ${cidr}`);
    }
    const levels = this.#levels[parsed.family];
    let level = levels.find((l) => l.bits === bits);
    if (level === undefined) {
      level = { bits, entries: new Map() };
      levels.push(level);
      levels.sort((a, b) => b.bits - a.bits);
    }
    const key = masked(parsed.words, bits);
    let value = level.entries.get(key);
    if (value === undefined) {
      value = make();
      level.entries.set(key, value);
      this.#found.clear();
    }
    return value;
  }

  /** Every value there is. */
  values(): readonly T[] {
    return [...this.#levels[4], ...this.#levels[6]].flatMap((level) => [...level.entries.values()]);
  }

  /** The value of the longest network that holds the address. */
  find(ip: string): T | undefined {
    if (this.#levels[4].length === 0 && this.#levels[6].length === 0) return undefined;
    const known = this.#found.get(ip);
    if (known !== undefined || this.#found.has(ip)) return known;
    const value = this.#look(ip);
    if (this.#found.size >= maxRemembered) this.#found.clear();
    this.#found.set(ip, value);
    return value;
  }

  #look(ip: string): T | undefined {
    const parsed = parseIp(ip);
    if (parsed === null) return undefined;
    for (const level of this.#levels[parsed.family]) {
      const value = level.entries.get(masked(parsed.words, level.bits));
      if (value !== undefined) return value;
    }
    return undefined;
  }
}
