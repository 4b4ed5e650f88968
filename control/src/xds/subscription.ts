/**
 * What one agent wants and has of one resource type (delta xDS). Invariant: `has` is what was sent last or what the
 * agent said it holds, whether or not it accepted it: a refused resource is not sent again until it changes.
 */
import type { Encoded } from '../snapshot/encoded.ts';
import type { ResourceType } from '../snapshot/piece.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';

export interface Difference {
  readonly changed: readonly Encoded[];
  readonly removed: readonly string[];
  /** More than fits in one response is left for the next. */
  readonly more: boolean;
}

export interface Request {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Of a first request after a reconnect: name -> version that the agent still holds. */
  readonly initial: Readonly<Record<string, string>>;
}

/** A version no resource has: the agent was told that the name does not exist. */
const absent = '';

/** Responses are cut at about this size, so that no client's message limit (4 MiB by default) is met. */
const maxResponseBytes = 1024 * 1024;

export class Subscription {
  readonly type: ResourceType;
  #wildcard = false;
  readonly #names = new Set<string>();
  readonly #has = new Map<string, string>();
  #first = true;

  constructor(type: ResourceType) {
    this.type = type;
  }

  get names(): readonly string[] {
    return this.#wildcard ? ['*', ...this.#names] : [...this.#names];
  }

  /** Takes over what a request says; a name that is asked for again is sent again. */
  apply(request: Request): void {
    const { subscribe, unsubscribe, initial } = request;
    if (this.#first) {
      // Clients of before the explicit wildcard ask for all listeners and clusters by naming none.
      const wholesale = this.type === 'listener' || this.type === 'cluster';
      if (subscribe.length === 0 && wholesale) this.#wildcard = true;
      for (const [name, version] of Object.entries(initial)) this.#has.set(name, version);
    }
    for (const name of subscribe) {
      if (name === '*') this.#wildcard = true;
      else {
        this.#names.add(name);
        if (!(this.#first && name in initial)) this.#has.delete(name);
      }
    }
    for (const name of unsubscribe) {
      if (name === '*') this.#wildcard = false;
      else this.#names.delete(name);
      if (!this.#wildcard) this.#has.delete(name);
    }
    this.#first = false;
  }

  /** What the agent lacks. @param withRemovals false while something may still refer to what is to go. */
  difference(snapshot: Snapshot, withRemovals: boolean): Difference {
    const changed: Encoded[] = [];
    let bytes = 0;
    let more = false;
    for (const encoded of this.#wanted(snapshot)) {
      if (this.#has.get(encoded.name) === encoded.version) continue;
      if (changed.length > 0 && bytes + encoded.resource.length > maxResponseBytes) {
        more = true;
        break;
      }
      bytes += encoded.resource.length;
      changed.push(encoded);
    }
    return { changed, removed: withRemovals ? this.#gone(snapshot) : this.#unknown(snapshot), more };
  }

  /** Notes that the difference was sent. */
  sent(difference: Difference): void {
    for (const e of difference.changed) this.#has.set(e.name, e.version);
    for (const name of difference.removed) {
      if (this.#names.has(name)) this.#has.set(name, absent);
      else this.#has.delete(name);
    }
  }

  *#wanted(snapshot: Snapshot): Iterable<Encoded> {
    if (this.#wildcard) return yield* snapshot.all(this.type);
    for (const name of this.#names) {
      const found = snapshot.get(this.type, name);
      if (found !== undefined) yield found;
    }
  }

  #gone(snapshot: Snapshot): string[] {
    const held = [...this.#has].filter(([name, v]) => v !== absent && snapshot.get(this.type, name) === undefined);
    return [...held.map(([name]) => name), ...this.#unknown(snapshot)];
  }

  /** Names asked for that do not exist, and of which the agent was not told yet. */
  #unknown(snapshot: Snapshot): string[] {
    return [...this.#names].filter((n) => !this.#has.has(n) && snapshot.get(this.type, n) === undefined);
  }
}

/**
 * Types that must be acknowledged before a response of this type may go out. Endpoints wait for nothing: Envoy
 * acknowledges a cluster only when it is warm, which it is only with its endpoints.
 */
export const before = (type: ResourceType): readonly ResourceType[] =>
  type === 'listener' || type === 'route' ? ['cluster', 'endpoints'] : [];

/**
 * Types that must have settled before anything of this type is taken away: those that may refer to it. Endpoints go
 * after their cluster, by when most clients have let go of them by themselves.
 */
export function after(type: ResourceType): readonly ResourceType[] {
  switch (type) {
    case 'cluster':
      return ['listener', 'route'];
    case 'endpoints':
      return ['cluster', 'listener', 'route'];
    case 'listener':
    case 'route':
      return [];
  }
}
