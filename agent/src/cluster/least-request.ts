/**
 * Least request: of a few hosts drawn at random the one with the fewest requests in flight. With unequal weights a
 * weighted schedule in which requests in flight make a host lighter, as Envoy does.
 */
import type { Balancer } from './balancer.ts';
import { type DeadlineOf, EarliestDeadline, equalWeights } from './earliest-deadline.ts';
import type { ClusterHost } from './host.ts';

const byLoad: DeadlineOf = (host, _turns, now) => now + (host.activeRequests + 1) / host.weight;

export class LeastRequest implements Balancer {
  #hosts: readonly ClusterHost[] = [];
  #schedule: EarliestDeadline | null = null;
  readonly #random: () => number;
  readonly #choices: number;

  constructor(random: () => number, choices: number) {
    this.#random = random;
    this.#choices = Math.max(1, choices);
  }

  setHosts(hosts: readonly ClusterHost[]): void {
    this.#hosts = hosts;
    this.#schedule = equalWeights(hosts) ? null : new EarliestDeadline(hosts, byLoad);
  }

  pick(): ClusterHost | undefined {
    if (this.#schedule !== null) return this.#schedule.next();
    const count = this.#hosts.length;
    let at = Math.floor(this.#random() * count);
    let best = this.#hosts[at];
    for (let drawn = 1; drawn < this.#choices && count > 1; drawn++) {
      at = (at + 1 + Math.floor(this.#random() * (count - 1))) % count;
      const other = this.#hosts[at];
      if (best === undefined || (other !== undefined && other.activeRequests < best.activeRequests)) best = other;
    }
    return best;
  }
}
