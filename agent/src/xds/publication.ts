/** What the workers hold, and the smallest update from there to what they should hold. */
import type { ClusterSpec, EndpointsSpec } from '../model/cluster.ts';
import type { RouteConfigSpec } from '../model/http.ts';
import type { ListenerSpec } from '../model/listener.ts';
import type { SecretSpec } from '../model/tls.ts';
import type { ConfigUpdate } from '../model/update.ts';

/** All by name; endpoints by the name of their cluster. */
export interface Desired {
  readonly secrets: ReadonlyMap<string, SecretSpec>;
  readonly clusters: ReadonlyMap<string, ClusterSpec>;
  readonly endpoints: ReadonlyMap<string, EndpointsSpec>;
  readonly routes: ReadonlyMap<string, RouteConfigSpec>;
  readonly listeners: ReadonlyMap<string, ListenerSpec>;
}

const empty: Desired = {
  secrets: new Map(),
  clusters: new Map(),
  endpoints: new Map(),
  routes: new Map(),
  listeners: new Map(),
};

export class Publication {
  #held: Desired = empty;

  get held(): Desired {
    return this.#held;
  }

  /** The update that brings the workers to `next`, or null when they are there. Objects are compared by reference. */
  advance(next: Desired): ConfigUpdate | null {
    const held = this.#held;
    this.#held = next;
    const update: ConfigUpdate = {
      secrets: changed(held.secrets, next.secrets),
      clusters: changed(held.clusters, next.clusters),
      endpoints: changed(held.endpoints, next.endpoints),
      routes: changed(held.routes, next.routes),
      listeners: changed(held.listeners, next.listeners),
      removeClusters: gone(held.clusters, next.clusters),
      removeRoutes: gone(held.routes, next.routes),
      removeListeners: gone(held.listeners, next.listeners),
    };
    return Object.values(update).every((part) => part.length === 0) ? null : update;
  }
}

function changed<T>(held: ReadonlyMap<string, T>, next: ReadonlyMap<string, T>): readonly T[] {
  return [...next].filter(([name, spec]) => held.get(name) !== spec).map(([, spec]) => spec);
}

function gone(held: ReadonlyMap<string, unknown>, next: ReadonlyMap<string, unknown>): readonly string[] {
  return [...held.keys()].filter((name) => !next.has(name));
}
