/**
 * Maglev: a table with a prime number of places, filled by each host's own permutation in turns; a request belongs to
 * the host at its hash modulo the size. Spreads more evenly than a ring, and moves a few more requests on changes.
 */
import type { Balancer, Choice } from './balancer.ts';
import { anyPlace, type ConsistentHashOptions, placeOf, sharesOf, sizesOf } from './consistent-hash.ts';
import type { ClusterHost } from './host.ts';
import { xxHash64 } from './xx-hash.ts';

export interface MaglevOptions extends ConsistentHashOptions {
  /** A prime; Envoy's default is 65,537. */
  readonly tableSize: number;
}

interface Row {
  readonly offset: number;
  readonly skip: number;
  readonly share: number;
  target: number;
  next: number;
}

const vacant = 0xffff_ffff;

export class Maglev implements Balancer {
  #hosts: readonly ClusterHost[] = [];
  #table: Uint32Array = new Uint32Array(0);
  #built = '';
  readonly #random: () => number;
  readonly #options: MaglevOptions;

  constructor(random: () => number, options: MaglevOptions) {
    this.#random = random;
    this.#options = options;
  }

  setHosts(hosts: readonly ClusterHost[]): void {
    this.#hosts = hosts;
    const shape = hosts.map((host) => `${placeOf(host, this.#options)} ${host.weight}`).join('\n');
    if (shape === this.#built) return;
    this.#built = shape;
    this.#table = hosts.length === 0 ? new Uint32Array(0) : this.#build();
    this.#options.onBuilt?.(sizesOf(this.#table, hosts.length));
  }

  /** A further attempt looks at another place of the table. */
  pick({ hash, attempt }: Choice): ClusterHost | undefined {
    const { length } = this.#table;
    if (length === 0) return undefined;
    const own = hash ?? anyPlace(this.#random);
    const place = attempt === 0 ? own : BigInt.asUintN(64, own ^ (BigInt.asUintN(64, ~BigInt(attempt)) + 1n));
    return this.#hosts[this.#table[Number(place % BigInt(length))] ?? 0];
  }

  /** Hosts with a full share take a place in each turn, lighter ones in as many turns as their share says. */
  #build(): Uint32Array {
    const size = this.#options.tableSize;
    const rows = this.#rows(size);
    const fullShare = Math.max(...rows.map((row) => row.share));
    const table = new Uint32Array(size).fill(vacant);
    let filled = 0;
    for (let turn = 1; filled < size; turn++) {
      for (let host = 0; host < rows.length && filled < size; host++) {
        const row = rows[host] as Row;
        if (turn * row.share < row.target) continue;
        row.target += fullShare;
        table[nextVacant(row, table)] = host;
        filled++;
      }
    }
    return table;
  }

  #rows(size: number): readonly Row[] {
    const shares = sharesOf(this.#hosts);
    return this.#hosts.map((host, i) => {
      const place = placeOf(host, this.#options);
      return {
        offset: Number(xxHash64(place) % BigInt(size)),
        skip: Number(xxHash64(place, 1n) % BigInt(size - 1)) + 1,
        share: shares[i] ?? 0,
        target: 0,
        next: 0,
      };
    });
  }
}

function nextVacant(row: Row, table: Uint32Array): number {
  for (;;) {
    const at = (row.offset + row.skip * row.next++) % table.length;
    if (table[at] === vacant) return at;
  }
}
