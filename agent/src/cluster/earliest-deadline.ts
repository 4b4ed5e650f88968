/**
 * Weighted choice by earliest deadline first: a host of weight w comes up w times in each unit of virtual time. A binary
 * heap; ties go by the order of the list, so equal configurations give equal sequences.
 */
import type { ClusterHost } from './host.ts';

interface Entry {
  readonly host: ClusterHost;
  readonly order: number;
  deadline: number;
  turns: number;
}

/** The next deadline of a host that has had `turns` turns, the last one at virtual time `now`. */
export type DeadlineOf = (host: ClusterHost, turns: number, now: number) => number;

/** Turns over weight, not a running sum: a whole cycle ends on the same number for all, without rounding. */
export const byTurns: DeadlineOf = (host, turns) => (turns + 1) / host.weight;

/** All of one weight: no schedule is needed. */
export function equalWeights(hosts: readonly ClusterHost[]): boolean {
  const [first] = hosts;
  return first === undefined || hosts.every((host) => host.weight === first.weight);
}

export class EarliestDeadline {
  readonly #heap: Entry[];
  readonly #deadlineOf: DeadlineOf;

  constructor(hosts: readonly ClusterHost[], deadlineOf: DeadlineOf) {
    this.#deadlineOf = deadlineOf;
    this.#heap = hosts.map((host, order) => ({ host, order, deadline: deadlineOf(host, 0, 0), turns: 0 }));
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at--) this.#sink(at);
  }

  next(): ClusterHost | undefined {
    const [top] = this.#heap;
    if (top === undefined) return undefined;
    top.turns++;
    top.deadline = this.#deadlineOf(top.host, top.turns, top.deadline);
    this.#sink(0);
    return top.host;
  }

  #sink(from: number): void {
    const heap = this.#heap;
    for (let at = from; ; ) {
      const left = 2 * at + 1;
      const right = left + 1;
      let least = at;
      if (this.#before(left, least)) least = left;
      if (this.#before(right, least)) least = right;
      const a = heap[at];
      const b = heap[least];
      if (least === at || a === undefined || b === undefined) return;
      heap[at] = b;
      heap[least] = a;
      at = least;
    }
  }

  #before(i: number, j: number): boolean {
    const a = this.#heap[i];
    const b = this.#heap[j];
    if (a === undefined || b === undefined) return false;
    return a.deadline < b.deadline || (a.deadline === b.deadline && a.order < b.order);
  }
}
