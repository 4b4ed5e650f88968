/** Round robin from a random start, so that many agents do not begin at one host; weights are exact in each cycle. */
import type { Balancer } from './balancer.ts';
import { byTurns, EarliestDeadline, equalWeights } from './earliest-deadline.ts';
import type { ClusterHost } from './host.ts';

export class RoundRobin implements Balancer {
  #hosts: readonly ClusterHost[] = [];
  #next: number;
  #schedule: EarliestDeadline | null = null;
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
    this.#next = Math.floor(random() * 0x40000000);
  }

  setHosts(hosts: readonly ClusterHost[]): void {
    this.#hosts = hosts;
    this.#schedule = equalWeights(hosts) ? null : new EarliestDeadline(hosts, byTurns);
    if (this.#schedule === null) return;
    for (let skip = Math.floor(this.#random() * hosts.length); skip > 0; skip--) this.#schedule.next();
  }

  pick(): ClusterHost | undefined {
    if (this.#schedule !== null) return this.#schedule.next();
    this.#next = (this.#next + 1) % 0x40000000;
    return this.#hosts[this.#next % this.#hosts.length];
  }
}
