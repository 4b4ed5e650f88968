/**
 * The connection_limit filters of a filter chain. They count a connection from its first moment, before TLS and before
 * any rule is asked, so that what is one too many costs neither. Invariant: enter() is answered by one leave().
 */
import type { ConnectionLimitSpec } from '../model/listener.ts';
import { connectionLimitStat } from '../stats/layout.ts';
import type { ConnectionTallies } from './connection-tallies.ts';

/** What Envoy says of a connection that it closes for this. */
export const overLimitDetails = 'over_connection_limit';

export class ConnectionLimits {
  readonly #specs: readonly ConnectionLimitSpec[];
  readonly #tallies: ConnectionTallies;
  readonly #slots: Float64Array;

  constructor(specs: readonly ConnectionLimitSpec[], tallies: ConnectionTallies, slots: Float64Array) {
    this.#specs = specs;
    this.#tallies = tallies;
    this.#slots = slots;
  }

  /** Counts a connection, also one that is refused: it counts until it is closed. The limit that refuses it, or null. */
  enter(): ConnectionLimitSpec | null {
    let refusedBy: ConnectionLimitSpec | null = null;
    for (const spec of this.#specs) {
      this.#add(spec.stats + connectionLimitStat.at.active_connections, 1);
      if (this.#tallies.enter(spec.cell) <= spec.maxConnections || refusedBy !== null) continue;
      refusedBy = spec;
      this.#add(spec.stats + connectionLimitStat.at.limited_connections, 1);
    }
    return refusedBy;
  }

  leave(): void {
    for (const spec of this.#specs) {
      this.#add(spec.stats + connectionLimitStat.at.active_connections, -1);
      this.#tallies.leave(spec.cell);
    }
  }

  /** Whether one more would be let in. */
  get hasRoom(): boolean {
    return this.#specs.every((s) => this.#tallies.count(s.cell) < s.maxConnections);
  }

  #add(slot: number, by: number): void {
    this.#slots[slot] = (this.#slots[slot] ?? 0) + by;
  }
}
