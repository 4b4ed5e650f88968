/** The edges of a worker: bounded, so that peers cannot grow it; beyond the bound they share one entry per direction. */
import type { EdgeCount } from '../model/update.ts';
import type { Edge } from './edge.ts';

const maxEdges = 4096;

/** The next connection is often of the pair that the last one was of. */
function isOf(
  e: Edge,
  direction: Edge['direction'],
  local: string,
  peer: string,
  target: string,
  tls: string,
): boolean {
  return e.target === target && e.peer === peer && e.local === local && e.direction === direction && e.tls === tls;
}

export class EdgeTable {
  readonly #edges = new Map<string, Edge>();
  #last: Edge | null = null;
  #posted = 0;

  obtain(direction: Edge['direction'], local: string, peer: string, target: string, tls: string): Edge {
    const last = this.#last;
    if (last !== null && isOf(last, direction, local, peer, target, tls)) return last;
    const key = `${direction}\n${local}\n${peer}\n${target}\n${tls}`;
    const known = this.#edges.get(key);
    if (known !== undefined) {
      this.#last = known;
      return known;
    }
    if (this.#edges.size >= maxEdges && target !== 'other')
      return this.obtain(direction, 'other', 'other', 'other', '');
    const edge: Edge = { direction, local, peer, target, tls, connections: 0, active: 0, requests: 0, failures: 0 };
    this.#edges.set(key, edge);
    return edge;
  }

  /** All totals if something has changed since the last call, else null. */
  takeChanges(): readonly EdgeCount[] | null {
    let sum = this.#edges.size;
    for (const e of this.#edges.values()) sum += e.connections + e.active * 1e-6 + e.requests + e.failures;
    if (sum === this.#posted) return null;
    this.#posted = sum;
    return [...this.#edges.values()].map((e) => ({ ...e }));
  }
}
