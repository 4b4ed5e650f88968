/**
 * Consistent hashing with bounded loads (hash_balance_factor): a host that has more than its share of the requests in
 * flight, by the factor, gives way to another one. Which, is a shuffle of the hosts by the hash of the request, so that the
 * same request goes the same way and an overloaded host does not overload its neighbour. Envoy's arithmetic and shuffle.
 */
import type { Balancer, Choice } from './balancer.ts';
import { anyPlace, sharesOf } from './consistent-hash.ts';
import type { ClusterHost } from './host.ts';
import { MersenneTwister } from './mersenne-twister.ts';

export interface BoundedLoadOptions {
  /** Percent of a host's share that it may have, at least 100. */
  readonly factor: number;
  /** Requests in flight of the cluster. */
  readonly active: () => number;
  readonly random: () => number;
}

export class BoundedLoad implements Balancer {
  readonly #inner: Balancer;
  readonly #options: BoundedLoadOptions;
  readonly #twister = new MersenneTwister();
  #hosts: readonly ClusterHost[] = [];
  #indexes: ReadonlyMap<ClusterHost, number> = new Map();
  #shares: readonly number[] = [];
  #order: Uint32Array = new Uint32Array(0);

  constructor(inner: Balancer, options: BoundedLoadOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  setHosts(hosts: readonly ClusterHost[]): void {
    this.#inner.setHosts(hosts);
    this.#hosts = hosts;
    this.#indexes = new Map(hosts.map((host, i) => [host, i]));
    this.#shares = sharesOf(hosts);
    this.#order = new Uint32Array(hosts.length);
  }

  pick({ hash, attempt }: Choice): ClusterHost | undefined {
    const place = hash ?? anyPlace(this.#options.random);
    const host = this.#inner.pick({ hash: place, attempt });
    if (host === undefined) return undefined;
    const load = this.#load(this.#indexes.get(host) ?? 0);
    return load <= 1 ? host : this.#another(host, load, place);
  }

  /** Requests of a host per place that it has for them; above 1 it is overloaded. */
  #load(index: number): number {
    const places = Math.floor(((this.#options.active() + 1) * this.#options.factor + 99) / 100);
    const own = Math.max(1, Math.ceil(places * (this.#shares[index] ?? 0)));
    return (this.#hosts[index]?.activeRequests ?? 0) / own;
  }

  /** The first one of the shuffle that is not overloaded, else the least overloaded. */
  #another(first: ClusterHost, firstLoad: number, hash: bigint): ClusterHost {
    const order = this.#order;
    const count = order.length;
    for (let i = 0; i < count; i++) order[i] = i;
    this.#twister.seed(Number(BigInt.asUintN(32, hash)));
    let least = first;
    let leastLoad = firstLoad;
    for (let i = 0; i < count; i++) {
      const j = i + this.#twister.below(count - i);
      const index = order[j] as number;
      order[j] = order[i] as number;
      order[i] = index;
      const host = this.#hosts[index] as ClusterHost;
      if (host === first) continue;
      const load = this.#load(index);
      if (load <= 1) return host;
      if (load < leastLoad) {
        least = host;
        leastLoad = load;
      }
    }
    return least;
  }
}
