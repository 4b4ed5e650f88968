/**
 * The resources of the bootstrap and of discovery, and how they hang together: a cluster needs its endpoints, a listener
 * its routes. Invariants: nothing becomes active before it has all it needs or has waited long enough; endpoints and
 * routes that came are kept while a cluster or listener, active or warming, refers to them.
 */
import type { DnsSpec } from '../config/cluster.ts';
import type { ClusterResource, ListenerResource } from '../config/resources.ts';
import type { EndpointSpec, EndpointsSpec } from '../model/cluster.ts';
import type { DnsListenerSpec } from '../model/dns.ts';
import type { RouteConfigSpec } from '../model/http.ts';
import type { SecretSpec } from '../model/tls.ts';
import type { ResourceKind } from './resource-types.ts';
import type { Entry, Slot } from './slot.ts';

export class ResourceStore {
  readonly clusters = new Map<string, Slot<ClusterResource>>();
  readonly listeners = new Map<string, Slot<ListenerResource>>();
  readonly assignments = new Map<string, Entry<EndpointsSpec>>();
  readonly routes = new Map<string, Entry<RouteConfigSpec>>();
  /** Those that stand in no cluster and no listener. */
  readonly secrets = new Map<string, SecretSpec>();
  /** Addresses of DNS clusters. */
  readonly resolved = new Map<string, EndpointsSpec>();
  readonly #ownClusters: ReadonlySet<string>;
  /** EDS and RDS names that the server says do not exist. */
  readonly #absent = new Set<string>();
  readonly #endpointsOf = new WeakMap<object, Map<string, EndpointsSpec>>();

  /** ownClusters: those that only the main thread itself talks to. */
  constructor(ownClusters: ReadonlySet<string>) {
    this.#ownClusters = ownClusters;
  }

  isOwn(cluster: string): boolean {
    return this.#ownClusters.has(cluster);
  }

  /** Number of clusters and listeners that wait for something. */
  get warming(): { readonly clusters: number; readonly listeners: number } {
    return { clusters: countWarming(this.clusters), listeners: countWarming(this.listeners) };
  }

  /** Listeners that the main thread serves. */
  get dnsListeners(): readonly DnsListenerSpec[] {
    return activeOf(this.listeners).flatMap(({ dns }) => (dns === null ? [] : [dns]));
  }

  /** What is to be looked up in DNS, by the name of its cluster. */
  get dnsClusters(): ReadonlyMap<string, DnsSpec> {
    const specs = new Map<string, DnsSpec>();
    for (const [name, slot] of this.clusters) {
      const source = slot.newest?.compiled.source;
      if (source?.kind === 'dns' && !this.isOwn(name)) specs.set(name, source.dns);
    }
    return specs;
  }

  /** Clusters for the workers. */
  get activeClusters(): readonly ClusterResource[] {
    return activeOf(this.clusters).filter((c) => !this.isOwn(c.spec.name));
  }

  /** Listeners for the workers. */
  get activeListeners(): readonly ListenerResource[] {
    return activeOf(this.listeners).filter((l) => l.dns === null);
  }

  /** Names to subscribe to, from all generations of clusters and listeners. */
  wanted(kind: 'eds' | 'rds'): ReadonlySet<string> {
    const names = new Set<string>();
    if (kind === 'eds') {
      for (const { compiled } of entriesOf(this.clusters)) {
        if (compiled.source.kind === 'eds') names.add(compiled.source.serviceName);
      }
    } else {
      for (const { compiled } of entriesOf(this.listeners)) for (const name of compiled.rds) names.add(name);
    }
    return names;
  }

  /** The server has it. */
  present(kind: ResourceKind, name: string): void {
    this.#absent.delete(`${kind}/${name}`);
  }

  /** The server has it not. What was there stays while somebody needs it: its owner decides, as in Envoy. */
  absent(kind: 'eds' | 'rds', name: string): void {
    this.#absent.add(`${kind}/${name}`);
  }

  /** Not one of the bootstrap. */
  remove(kind: 'cds' | 'lds', name: string): void {
    const slots: Map<string, Slot<unknown>> = kind === 'cds' ? this.clusters : this.listeners;
    const slot = slots.get(name);
    if (slot === undefined || slot.isStatic) return;
    slot.cancel();
    slots.delete(name);
  }

  /** Endpoints and routes nobody refers to any more. */
  forgetUnwanted(): void {
    const eds = this.wanted('eds');
    for (const name of this.assignments.keys()) if (!eds.has(name)) this.assignments.delete(name);
    const rds = this.wanted('rds');
    for (const name of this.routes.keys()) if (!rds.has(name)) this.routes.delete(name);
    for (const key of this.#absent) {
      const name = key.slice(4);
      if (!(key.startsWith('eds/') ? eds : rds).has(name)) this.#absent.delete(key);
    }
  }

  activateClusters(): void {
    for (const slot of this.clusters.values()) activate(slot, (cluster) => this.#isClusterReady(cluster));
  }

  activateListeners(): void {
    for (const slot of this.listeners.values()) activate(slot, (listener) => this.#isListenerReady(listener));
  }

  /** No cluster waits for its first time. */
  get hasAllClusters(): boolean {
    return allActive(this.clusters);
  }

  get hasAllListeners(): boolean {
    return allActive(this.listeners);
  }

  #isClusterReady({ source, spec }: ClusterResource): boolean {
    switch (source.kind) {
      case 'eds':
        return this.assignments.has(source.serviceName) || this.#absent.has(`eds/${source.serviceName}`);
      case 'dns':
        return this.resolved.has(spec.name) || this.isOwn(spec.name);
      case 'static':
      case 'original_dst':
        return true;
    }
  }

  #isListenerReady({ rds }: ListenerResource): boolean {
    return rds.every((name) => this.routes.has(name) || this.#absent.has(`rds/${name}`));
  }

  /** The endpoints of a cluster by its own name, as far as they are known. */
  endpointsFor({ spec, source }: ClusterResource): readonly EndpointsSpec[] {
    switch (source.kind) {
      case 'original_dst':
        return [];
      case 'static':
        return [this.#named(source, spec.name, source.endpoints)];
      case 'dns': {
        const found = this.resolved.get(spec.name);
        return found === undefined ? [] : [found];
      }
      case 'eds': {
        const found = this.assignments.get(source.serviceName)?.compiled;
        if (found === undefined) return [];
        return [found.cluster === spec.name ? found : this.#named(found, spec.name, found.endpoints)];
      }
    }
  }

  /** The same object for the same source and cluster, so that an unchanged one is not sent again. */
  #named(source: object, cluster: string, endpoints: readonly EndpointSpec[]): EndpointsSpec {
    const made = this.#endpointsOf.get(source) ?? new Map<string, EndpointsSpec>();
    const spec = made.get(cluster) ?? { cluster, endpoints };
    this.#endpointsOf.set(source, made.set(cluster, spec));
    return spec;
  }
}

function activate<C>(slot: Slot<C>, isReady: (compiled: C) => boolean): void {
  if (slot.warming !== null && (slot.waitedEnough || isReady(slot.warming.compiled))) slot.activate();
}

function allActive(slots: ReadonlyMap<string, Slot<unknown>>): boolean {
  return [...slots.values()].every((slot) => slot.active !== null);
}

function* entriesOf<C>(slots: ReadonlyMap<string, Slot<C>>): Generator<Entry<C>> {
  for (const { active, warming } of slots.values()) {
    if (active !== null) yield active;
    if (warming !== null) yield warming;
  }
}

function activeOf<C>(slots: ReadonlyMap<string, Slot<C>>): readonly C[] {
  return [...slots.values()].flatMap(({ active }) => (active === null ? [] : [active.compiled]));
}

function countWarming(slots: ReadonlyMap<string, Slot<unknown>>): number {
  return [...slots.values()].filter((slot) => slot.warming !== null).length;
}
