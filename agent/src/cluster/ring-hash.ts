/**
 * Ring hash (Ketama): each host stands at many points of a ring of 64 bits, a request belongs to the first point at or
 * after its hash. When a host comes or goes only its own points change hands. The ring is Envoy's, point by point, so
 * that a mixed fleet agrees about the host.
 */
import type { Balancer, Choice } from './balancer.ts';
import { anyPlace, type ConsistentHashOptions, placeOf, sharesOf, sizesOf } from './consistent-hash.ts';
import type { ClusterHost } from './host.ts';

export interface RingOptions extends ConsistentHashOptions {
  /** Entries of the ring; Envoy's defaults are 1024 and 8 Mi. */
  readonly minSize: number;
  readonly maxSize: number;
  /** Where on the ring a text stands. */
  readonly place: (text: string) => bigint;
}

export class RingHash implements Balancer {
  #hosts: readonly ClusterHost[] = [];
  #points: BigUint64Array = new BigUint64Array(0);
  #owners: Uint32Array = new Uint32Array(0);
  #built = '';
  readonly #random: () => number;
  readonly #options: RingOptions;

  constructor(random: () => number, options: RingOptions) {
    this.#random = random;
    this.#options = options;
  }

  get size(): number {
    return this.#points.length;
  }

  setHosts(hosts: readonly ClusterHost[]): void {
    this.#hosts = hosts;
    const shape = hosts.map((host) => `${placeOf(host, this.#options)} ${host.weight}`).join('\n');
    if (shape === this.#built) return;
    this.#built = shape;
    this.#build();
  }

  /** A further attempt takes the following point. */
  pick({ hash, attempt }: Choice): ClusterHost | undefined {
    const { length } = this.#points;
    if (length === 0) return undefined;
    const at = (this.#firstFrom(hash ?? anyPlace(this.#random)) + attempt) % length;
    return this.#hosts[this.#owners[at] ?? 0];
  }

  #firstFrom(hash: bigint): number {
    let low = 0;
    let high = this.#points.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#points[middle] ?? 0n) < hash) low = middle + 1;
      else high = middle;
    }
    return low % this.#points.length;
  }

  /** The lightest host gets a whole number of points, unless the ring would become too large. */
  #build(): void {
    const shares = sharesOf(this.#hosts);
    const least = Math.min(...shares);
    const { minSize, maxSize } = this.#options;
    const scale = Math.min(Math.ceil(least * minSize) / least, maxSize);
    const entries: [point: bigint, owner: number][] = [];
    let target = 0;
    for (const [owner, host] of this.#hosts.entries()) {
      target += scale * (shares[owner] ?? 0);
      const place = placeOf(host, this.#options);
      for (let i = 0; entries.length < target; i++) entries.push([this.#options.place(`${place}_${i}`), owner]);
    }
    entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#points = BigUint64Array.from(entries, ([point]) => point);
    this.#owners = Uint32Array.from(entries, ([, owner]) => owner);
    this.#options.onBuilt?.(sizesOf(this.#owners, this.#hosts.length));
  }
}
