/**
 * Which block of slots belongs to whom: the main thread's half of the statistics. Blocks are handed out by sort and
 * name, freed when nothing uses them any more, and used again only after a rest, because a worker may still finish
 * requests of a removed cluster. Invariant: a block handed out anew reads zero in every worker.
 */
import { type Clock, UserError } from '@chainmail/runtime';
import { type BlockKind, blockSorts, type Label, virtualHostBlock } from './blocks.ts';
import { slotCount, workerStat, workerStatBase } from './layout.ts';

/** How long a freed block rests; longer than any drain. */
export const restMs = 600_000;

export interface StatBlock {
  readonly kind: BlockKind;
  readonly name: string;
  readonly base: number;
}

interface FreeBlock {
  readonly base: number;
  readonly freedMs: number;
}

/** A number that the main thread keeps itself, e.g. `server.uptime`. */
export interface MainStat {
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly value: number;
  /** For Prometheus, where parts of the name are labels. */
  readonly family?: string;
  readonly labels?: readonly Label[];
}

export interface MainHistogram {
  readonly name: string;
  readonly family: string;
  readonly labels: readonly Label[];
  readonly sum: number;
  /** As of layout.ts. */
  readonly buckets: Float64Array;
}

export class StatRegistry {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #blocks = new Map<string, StatBlock>();
  /** Freed blocks by their size, oldest first. */
  readonly #free = new Map<number, FreeBlock[]>();
  readonly #workers: Float64Array[] = [];
  readonly #sources: (() => Iterable<MainStat>)[] = [];
  readonly #histograms: (() => Iterable<MainHistogram>)[] = [];
  #next = workerStatBase + workerStat.layout.slots.length;

  /** limit: slots of each worker. */
  constructor(clock: Clock, limit = slotCount) {
    this.#clock = clock;
    this.#limit = limit;
    this.#blocks.set('worker', { kind: 'worker', name: '', base: workerStatBase });
  }

  /** The slots of one more worker, to be summed up with the others'. */
  attachWorker(slots: Float64Array): void {
    this.#workers.push(slots);
  }

  /** Numbers that the main thread keeps; asked for at each rendering. */
  addSource(source: () => Iterable<MainStat>): void {
    this.#sources.push(source);
  }

  addHistograms(source: () => Iterable<MainHistogram>): void {
    this.#histograms.push(source);
  }

  listener(prefix: string): number {
    return this.block('listener', prefix);
  }
  http(prefix: string): number {
    return this.block('http', prefix);
  }
  cluster(name: string): number {
    return this.block('cluster', name);
  }
  virtualHost(virtualHost: string, part: 'vcluster' | 'route', name: string): number {
    return this.block('virtual_host', virtualHostBlock(virtualHost, part, name));
  }
  tcp(prefix: string): number {
    return this.block('tcp', prefix);
  }
  proxyProto(prefix: string): number {
    return this.block('proxy_proto', prefix);
  }
  listenerFilters(): number {
    return this.block('listener_filters', '');
  }
  http2(): number {
    return this.block('http2', '');
  }
  rbac(prefix: string): number {
    return this.block('rbac', prefix);
  }
  connectionLimit(prefix: string): number {
    return this.block('connection_limit', prefix);
  }

  /**
   * First slot of the block of that sort and name; the same one for as long as it is in use.
   * @throws UserError STATS_EXHAUSTED
   */
  block(kind: BlockKind, name: string): number {
    const key = `${kind} ${name}`;
    const known = this.#blocks.get(key);
    if (known !== undefined) return known.base;
    const base = this.#take(kind, name);
    this.#blocks.set(key, { kind, name, base });
    return base;
  }

  /** Frees every block whose first slot is not among those in use, once a configuration has taken effect. */
  retain(inUse: ReadonlySet<number>): void {
    for (const [key, block] of this.#blocks) {
      if (block.kind === 'worker' || inUse.has(block.base)) continue;
      this.#blocks.delete(key);
      const { slots } = blockSorts[block.kind];
      const free = this.#free.get(slots) ?? [];
      free.push({ base: block.base, freedMs: this.#clock.now() });
      this.#free.set(slots, free);
    }
  }

  /** A worker has died with these slots: what it had open is gone, what it had counted stays counted. */
  clearGauges(slots: Float64Array): void {
    for (const { kind, base } of this.#blocks.values()) {
      blockSorts[kind].layout.slots.forEach((slot, i) => {
        if (slot.kind !== 'counter') slots[base + i] = 0;
      });
    }
  }

  /**
   * Counters begin at zero again, histograms with them; gauges stay. A worker that counts at this moment may put one
   * back: for people, not for arithmetic.
   */
  resetCounters(): void {
    for (const { kind, base } of this.#blocks.values()) {
      const { layout, slots } = blockSorts[kind];
      for (const worker of this.#workers) {
        layout.slots.forEach((slot, i) => {
          if (slot.kind === 'counter') worker[base + i] = 0;
        });
        worker.fill(0, base + layout.slots.length, base + slots);
      }
    }
  }

  /** All blocks in use. */
  blocks(): Iterable<StatBlock> {
    return this.#blocks.values();
  }

  /** Numbers of the main thread. */
  *mainStats(): Iterable<MainStat> {
    for (const source of this.#sources) yield* source();
  }

  *mainHistograms(): Iterable<MainHistogram> {
    for (const source of this.#histograms) yield* source();
  }

  /** A slot over all workers. */
  sum(slot: number): number {
    let sum = 0;
    for (const slots of this.#workers) sum += slots[slot] ?? 0;
    return sum;
  }

  /** The largest value of a slot in any worker. */
  largest(slot: number): number {
    let largest = 0;
    for (const slots of this.#workers) largest = Math.max(largest, slots[slot] ?? 0);
    return largest;
  }

  #take(kind: BlockKind, name: string): number {
    const { slots } = blockSorts[kind];
    const free = this.#free.get(slots);
    const oldest = free?.[0];
    if (free !== undefined && oldest !== undefined && this.#clock.now() - oldest.freedMs >= restMs) {
      free.shift();
      for (const worker of this.#workers) worker.fill(0, oldest.base, oldest.base + slots);
      return oldest.base;
    }
    if (this.#next + slots > this.#limit) throw this.#exhausted(kind, name, slots);
    const base = this.#next;
    this.#next += slots;
    return base;
  }

  #exhausted(kind: BlockKind, name: string, slots: number): UserError {
    const resting = [...this.#free.values()].reduce((sum, free) => sum + free.length, 0);
    return new UserError(
      'STATS_EXHAUSTED',
      `no room for the statistics of ${kind} '${name}': ${this.#next} of ${this.#limit} slots are taken, ${slots} more are needed`,
      {
        hint:
          resting > 0
            ? `${resting} removed ones are free again within ${restMs / 60_000} minutes; try then, or use fewer clusters`
            : 'use fewer clusters, listeners or stat_prefixes',
      },
    );
  }
}
