/**
 * Weighted choice by earliest deadline first: an item of weight w comes up w times in each unit of virtual time. A binary
 * heap; ties go by the order of the list, so equal configurations give equal sequences.
 */

export interface Weighted {
  readonly weight: number;
}

interface Entry<T> {
  readonly item: T;
  readonly order: number;
  deadline: number;
  turns: number;
}

/** The next deadline of an item that has had `turns` turns, the last one at virtual time `now`. */
export type DeadlineOf<T> = (item: T, turns: number, now: number) => number;

/** Turns over weight, not a running sum: a whole cycle ends on the same number for all, without rounding. */
export const byTurns: DeadlineOf<Weighted> = (item, turns) => (turns + 1) / item.weight;

/** All of one weight: no schedule is needed. */
export function equalWeights(items: readonly Weighted[]): boolean {
  const [first] = items;
  return first === undefined || items.every((item) => item.weight === first.weight);
}

export class EarliestDeadline<T> {
  readonly #heap: Entry<T>[];
  readonly #deadlineOf: DeadlineOf<T>;

  constructor(items: readonly T[], deadlineOf: DeadlineOf<T>) {
    this.#deadlineOf = deadlineOf;
    this.#heap = items.map((item, order) => ({ item, order, deadline: deadlineOf(item, 0, 0), turns: 0 }));
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at--) this.#sink(at);
  }

  next(): T | undefined {
    const [top] = this.#heap;
    if (top === undefined) return undefined;
    top.turns++;
    top.deadline = this.#deadlineOf(top.item, top.turns, top.deadline);
    this.#sink(0);
    return top.item;
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
