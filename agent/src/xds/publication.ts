/** What the workers hold, and the smallest update from there to what is active. */
import type { ClusterSpec, EndpointsSpec } from '../model/cluster.ts';
import type { RouteConfigSpec } from '../model/http.ts';
import type { ListenerSpec } from '../model/listener.ts';
import type { SecretSpec } from '../model/tls.ts';
import type { ConfigUpdate } from '../model/update.ts';
import type { ResourceStore } from './resource-store.ts';

/** All by name; endpoints by the name of their cluster. */
export interface Held {
  readonly secrets: ReadonlyMap<string, SecretSpec>;
  readonly clusters: ReadonlyMap<string, ClusterSpec>;
  readonly endpoints: ReadonlyMap<string, EndpointsSpec>;
  readonly routes: ReadonlyMap<string, RouteConfigSpec>;
  readonly listeners: ReadonlyMap<string, ListenerSpec>;
}

const empty: Held = {
  secrets: new Map(),
  clusters: new Map(),
  endpoints: new Map(),
  routes: new Map(),
  listeners: new Map(),
};

export class Publication {
  #held = empty;

  get held(): Held {
    return this.#held;
  }

  /** The update that the workers need now, or null when they are there. Objects are compared by reference. */
  advance(resources: ResourceStore): ConfigUpdate | null {
    const held = this.#held;
    const next = desired(resources, held);
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

function desired(resources: ResourceStore, held: Held): Held {
  const { activeClusters: clusters, activeListeners: listeners } = resources;
  // Inline secrets are named by their content: one that workers hold is the same.
  const inline = [...clusters, ...listeners]
    .flatMap((r) => r.secrets)
    .map((s) => [s.name, held.secrets.get(s.name) ?? s] as const);
  const rds = new Set(listeners.flatMap((l) => l.rds));
  const routes = [...resources.routes].filter(([name]) => rds.has(name)).map(([, entry]) => entry.compiled);
  return {
    secrets: new Map([...resources.secrets, ...inline]),
    clusters: new Map(clusters.map((c) => [c.spec.name, c.spec])),
    endpoints: new Map(clusters.flatMap((c) => resources.endpointsFor(c)).map((e) => [e.cluster, e])),
    routes: new Map([...listeners.flatMap((l) => l.inlineRoutes), ...routes].map((r) => [r.name, r])),
    listeners: new Map(listeners.map((l) => [l.spec.name, l.spec])),
  };
}

function changed<T>(held: ReadonlyMap<string, T>, next: ReadonlyMap<string, T>): readonly T[] {
  return [...next].filter(([name, spec]) => held.get(name) !== spec).map(([, spec]) => spec);
}

function gone(held: ReadonlyMap<string, unknown>, next: ReadonlyMap<string, unknown>): readonly string[] {
  return [...held.keys()].filter((name) => !next.has(name));
}
