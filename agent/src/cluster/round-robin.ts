/** Round robin from a random start, so that many agents do not begin at one host; weights are exact in each cycle. */
import type { Balancer } from './balancer.ts';
import { byTurns, type DeadlineOf, EarliestDeadline, equalWeights } from './earliest-deadline.ts';
import type { ClusterHost } from './host.ts';
import type { SlowStart } from './slow-start.ts';

export class RoundRobin implements Balancer {
  #hosts: readonly ClusterHost[] = [];
  #next: number;
  #schedule: EarliestDeadline<ClusterHost> | null = null;
  /** Until when weights grow; 0 when none does. */
  #growingUntilMs = 0;
  readonly #random: () => number;
  readonly #slowStart: SlowStart | null;
  readonly #byGrowth: DeadlineOf<ClusterHost> = (host, _turns, now) =>
    now + 1 / (this.#slowStart?.weightOf(host) ?? host.weight);

  constructor(random: () => number, slowStart: SlowStart | null = null) {
    this.#random = random;
    this.#slowStart = slowStart;
    this.#next = Math.floor(random() * 0x40000000);
  }

  setHosts(hosts: readonly ClusterHost[]): void {
    this.#hosts = hosts;
    this.#growingUntilMs = this.#growth(hosts);
    if (this.#growingUntilMs > 0) this.#schedule = new EarliestDeadline(hosts, this.#byGrowth);
    else this.#schedule = equalWeights(hosts) ? null : new EarliestDeadline<ClusterHost>(hosts, byTurns);
    if (this.#schedule === null) return;
    for (let skip = Math.floor(this.#random() * hosts.length); skip > 0; skip--) this.#schedule.next();
  }

  #growth(hosts: readonly ClusterHost[]): number {
    const end = this.#slowStart?.endMs(hosts) ?? 0;
    return this.#slowStart === null || this.#slowStart.isOver(end) ? 0 : end;
  }

  pick(): ClusterHost | undefined {
    if (this.#growingUntilMs > 0 && this.#slowStart?.isOver(this.#growingUntilMs) === true) this.setHosts(this.#hosts);
    if (this.#schedule !== null) return this.#schedule.next();
    this.#next = (this.#next + 1) % 0x40000000;
    return this.#hosts[this.#next % this.#hosts.length];
  }
}
