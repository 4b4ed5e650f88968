/** The whole configuration as the sum of the updates so far, for a worker that has to start anew. */
import type { ClusterSpec, EndpointsSpec } from '../model/cluster.ts';
import type { RouteConfigSpec } from '../model/http.ts';
import type { ListenerSpec } from '../model/listener.ts';
import type { SecretSpec } from '../model/tls.ts';
import type { ConfigUpdate } from '../model/update.ts';

export const emptyUpdate: ConfigUpdate = {
  secrets: [],
  clusters: [],
  endpoints: [],
  routes: [],
  listeners: [],
  removeClusters: [],
  removeRoutes: [],
  removeListeners: [],
};

export class ConfigState {
  readonly #secrets = new Map<string, SecretSpec>();
  readonly #clusters = new Map<string, ClusterSpec>();
  readonly #endpoints = new Map<string, EndpointsSpec>();
  readonly #routes = new Map<string, RouteConfigSpec>();
  readonly #listeners = new Map<string, ListenerSpec>();

  add(update: ConfigUpdate): void {
    for (const s of update.secrets) this.#secrets.set(s.name, s);
    for (const c of update.clusters) this.#clusters.set(c.name, c);
    for (const e of update.endpoints) this.#endpoints.set(e.cluster, e);
    for (const r of update.routes) this.#routes.set(r.name, r);
    for (const l of update.listeners) this.#listeners.set(l.name, l);
    for (const name of update.removeListeners) this.#listeners.delete(name);
    for (const name of update.removeRoutes) this.#routes.delete(name);
    for (const name of update.removeClusters) {
      this.#clusters.delete(name);
      this.#endpoints.delete(name);
    }
  }

  /** One update that leads there from nothing. */
  whole(): ConfigUpdate {
    return {
      ...emptyUpdate,
      secrets: [...this.#secrets.values()],
      clusters: [...this.#clusters.values()],
      endpoints: [...this.#endpoints.values()],
      routes: [...this.#routes.values()],
      listeners: [...this.#listeners.values()],
    };
  }
}
