/** Any host with equal chance; weights do not count, as in Envoy. */
import type { Balancer } from './balancer.ts';
import type { ClusterHost } from './host.ts';

export class RandomChoice implements Balancer {
  #hosts: readonly ClusterHost[] = [];
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  setHosts(hosts: readonly ClusterHost[]): void {
    this.#hosts = hosts;
  }

  pick(): ClusterHost | undefined {
    return this.#hosts[Math.floor(this.#random() * this.#hosts.length)];
  }
}
