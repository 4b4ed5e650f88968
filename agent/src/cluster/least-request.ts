/**
 * Least request: of a few hosts drawn at random the one with the fewest requests in flight. With unequal weights, and
 * while one grows, a weighted schedule in which requests in flight make a host lighter, as Envoy does.
 */
import type { Balancer } from './balancer.ts';
import { type DeadlineOf, EarliestDeadline, equalWeights } from './earliest-deadline.ts';
import type { ClusterHost } from './host.ts';
import type { SlowStart } from './slow-start.ts';

export class LeastRequest implements Balancer {
  #hosts: readonly ClusterHost[] = [];
  #schedule: EarliestDeadline<ClusterHost> | null = null;
  #growingUntilMs = 0;
  readonly #random: () => number;
  readonly #choices: number;
  readonly #activeBias: number;
  readonly #slowStart: SlowStart | null;
  readonly #byLoad: DeadlineOf<ClusterHost> = (host, _turns, now) => {
    const load = host.activeRequests + 1;
    const weight = this.#slowStart?.weightOf(host) ?? host.weight;
    return now + (this.#activeBias === 1 ? load : load ** this.#activeBias) / weight;
  };

  /** activeBias: how much requests in flight count beside the weight; 0 is not at all. */
  constructor(random: () => number, choices: number, activeBias = 1, slowStart: SlowStart | null = null) {
    this.#random = random;
    this.#choices = Math.max(1, choices);
    this.#activeBias = activeBias;
    this.#slowStart = slowStart;
  }

  setHosts(hosts: readonly ClusterHost[]): void {
    this.#hosts = hosts;
    this.#growingUntilMs = this.#growth(hosts);
    const weighted = this.#growingUntilMs > 0 || !equalWeights(hosts);
    this.#schedule = weighted ? new EarliestDeadline(hosts, this.#byLoad) : null;
  }

  #growth(hosts: readonly ClusterHost[]): number {
    const end = this.#slowStart?.endMs(hosts) ?? 0;
    return this.#slowStart === null || this.#slowStart.isOver(end) ? 0 : end;
  }

  pick(): ClusterHost | undefined {
    if (this.#growingUntilMs > 0 && this.#slowStart?.isOver(this.#growingUntilMs) === true) this.setHosts(this.#hosts);
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
