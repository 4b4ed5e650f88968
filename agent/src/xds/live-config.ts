/**
 * The configuration as it lives on the main thread: what the bootstrap and discovery give is taken in, warms, and goes to
 * the workers: one update for each change, and nothing that is not ready. The resources are in resource-store.ts.
 * Invariant: what is active stays until its successor is complete or it is removed; losing the server changes nothing.
 */
import type { Message } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import type { Clock } from '@chainmail/runtime';
import type { CompileEnvironment } from '../config/compile-context.ts';
import type { ClusterResource, ListenerResource } from '../config/resources.ts';
import type { EndpointSpec } from '../model/cluster.ts';
import type { SecretSpec } from '../model/tls.ts';
import type { ConfigUpdate } from '../model/update.ts';
import { acceptResource } from './accept.ts';
import { type Held, Publication } from './publication.ts';
import {
  assignmentRules,
  clusterRules,
  listenerRules,
  type ResourceRules,
  recompiled,
  routeRules,
  runtimeRules,
} from './resource-rules.ts';
import { ResourceStore } from './resource-store.ts';
import type { NamedKind, ResourceKind } from './resource-types.ts';
import { type Entry, Slot } from './slot.ts';

export interface LiveConfigOptions {
  readonly env: CompileEnvironment;
  readonly clock: Clock;
  /** Whether clusters come by CDS, and listeners by LDS: then the first answer, or the end of the wait, is awaited. */
  readonly cds: boolean;
  readonly lds: boolean;
  /** Clusters only the main thread itself talks to; workers do not get them. */
  readonly ownClusters: ReadonlySet<string>;
  readonly publish: (update: ConfigUpdate) => void;
  /** Discovery has changed a layer of the runtime: to be answered with recompile(). */
  readonly onRuntime?: () => void;
  /** After every change, also one that is not ready to be published. */
  readonly onChange?: () => void;
}

export interface DiscoveredResource {
  readonly name: string;
  readonly version: string;
  readonly resource: Any;
}

export interface ApplyResult {
  /** Versions that are held now, of the resources that were good. */
  readonly accepted: ReadonlyMap<string, string>;
  /** What was wrong with the others; empty means ACK. */
  readonly errors: readonly string[];
}

/** Envoy's default of initial_fetch_timeout. */
const routeWaitMs = 15_000;

export class LiveConfig {
  readonly resources: ResourceStore;
  readonly #options: LiveConfigOptions;
  readonly #publication = new Publication();
  readonly #awaited = new Set<ResourceKind>();
  #listenersMayStart = false;

  constructor(options: LiveConfigOptions) {
    this.#options = options;
    this.resources = new ResourceStore(options.ownClusters);
    if (options.cds) this.#awaited.add('cds');
    if (options.lds) this.#awaited.add('lds');
    if (this.wanted('rtds').size > 0) this.#awaited.add('rtds');
  }

  /** What the workers hold. */
  get held(): Held {
    return this.#publication.held;
  }

  /** Everything awaited at the start has come, or its time is over: the listeners are with the workers. */
  get isInitialised(): boolean {
    return this.#listenersMayStart && this.#awaited.size === 0 && this.resources.hasAllListeners;
  }

  /** Takes over the resources of the bootstrap. Once, before anything else. */
  loadStatic(
    clusters: readonly ClusterResource[],
    listeners: readonly ListenerResource[],
    secrets: readonly SecretSpec[],
  ): void {
    const noMessage = new Uint8Array();
    for (const secret of secrets) this.resources.secrets.set(secret.name, secret);
    for (const c of clusters) this.#offerCluster(new Slot<ClusterResource>(true), this.#entry(c, noMessage, ''));
    for (const l of listeners) this.#offerListener(new Slot<ListenerResource>(true), this.#entry(l, noMessage, ''));
    this.#publish();
  }

  /**
   * The runtime has changed: every resource is compiled anew from its message, the static ones by the caller. One that
   * does not compile any more stays as it is.
   */
  recompile(clusters: readonly ClusterResource[], listeners: readonly ListenerResource[]): void {
    this.#recompile(clusterRules, this.resources.clusters, clusters);
    this.#recompile(listenerRules, this.resources.listeners, listeners);
    const { routes } = this.resources;
    for (const [name, entry] of routes) {
      const compiled = recompiled(routeRules, name, entry.raw, this.#options.env);
      if (compiled !== null) routes.set(name, { ...entry, compiled });
    }
    this.#publish();
  }

  #recompile<M extends Message, C>(
    rules: ResourceRules<M, C>,
    slots: ReadonlyMap<string, Slot<C>>,
    fixed: readonly C[],
  ): void {
    const byName = new Map(fixed.map((c) => [rules.nameOf(c), c]));
    for (const [name, slot] of slots) {
      slot.recompile(({ compiled, raw }) => {
        if (slot.isStatic) return byName.get(name) ?? compiled;
        return recompiled(rules, name, raw, this.#options.env) ?? compiled;
      });
    }
  }

  /** Secrets that do not stand in the configuration: the mesh identity's. */
  setSecrets(secrets: readonly SecretSpec[]): void {
    for (const secret of secrets) this.resources.secrets.set(secret.name, secret);
    this.#publish();
  }

  /** Addresses found for a DNS cluster; also empty, after a failure, so that start-up goes on. */
  setResolved(cluster: string, endpoints: readonly EndpointSpec[]): void {
    this.resources.resolved.set(cluster, { cluster, endpoints });
    this.#publish();
  }

  /** The server did not answer the first request for this type in time: start without. */
  giveUpWaiting(kind: ResourceKind): void {
    if (this.#awaited.delete(kind)) this.#publish();
  }

  /** Names to subscribe to. */
  wanted(kind: NamedKind): ReadonlySet<string> {
    if (kind !== 'rtds') return this.resources.wanted(kind);
    return new Set(this.#options.env.runtime?.resources.map(({ resource }) => resource));
  }

  /** Applies one discovery response: good resources take effect, bad ones leave what was there. */
  apply(kind: ResourceKind, resources: readonly DiscoveredResource[], removed: readonly string[]): ApplyResult {
    const accepted = new Map<string, string>();
    const errors: string[] = [];
    for (const found of resources) {
      const reason = accepted.has(found.name)
        ? `${found.name}: stands twice in the response`
        : this.#accept(kind, found);
      if (reason === null) accepted.set(found.name, found.version);
      else errors.push(reason);
    }
    for (const name of removed) this.#remove(kind, name);
    this.#awaited.delete(kind);
    if (kind === 'rtds' && accepted.size + removed.length > 0) this.#options.onRuntime?.();
    this.resources.forgetUnwanted();
    this.#publish();
    return { accepted, errors };
  }

  /** null when it was good. */
  #accept(kind: ResourceKind, found: DiscoveredResource): string | null {
    const { clusters, listeners, assignments, routes } = this.resources;
    switch (kind) {
      case 'cds':
        return this.#acceptOwner(clusterRules, clusters, found, (slot, entry) => this.#offerCluster(slot, entry));
      case 'lds':
        return this.#acceptOwner(listenerRules, listeners, found, (slot, entry) => this.#offerListener(slot, entry));
      case 'eds':
        return this.#take(assignmentRules, found, (entry) => assignments.set(found.name, entry));
      case 'rds':
        return this.#take(routeRules, found, (entry) => routes.set(found.name, entry));
      case 'rtds':
        return this.#acceptRuntime(found);
    }
  }

  /** A cluster or a listener: it warms beside the one that is active. */
  #acceptOwner<M extends Message, C>(
    rules: ResourceRules<M, C>,
    slots: ReadonlyMap<string, Slot<C>>,
    found: DiscoveredResource,
    offer: (slot: Slot<C>, entry: Entry<C>) => void,
  ): string | null {
    const slot = slots.get(found.name) ?? new Slot<C>(false);
    if (isSame(slot, found.resource)) return null;
    if (slot.isStatic) return `${found.name}: is a static ${rules.kind === 'cds' ? 'cluster' : 'listener'}`;
    return this.#take(rules, found, (entry) => offer(slot, entry));
  }

  #acceptRuntime(found: DiscoveredResource): string | null {
    const { name } = found;
    const { runtime } = this.#options.env;
    if (!this.wanted('rtds').has(name)) return `${name}: no rtds_layer asks for it`;
    return this.#take(runtimeRules, found, ({ compiled }) => runtime?.replaceResource(name, compiled.values));
  }

  /** Compiles what was found and hands it on; what is wrong with it, or null. */
  #take<M extends Message, C>(
    { kind, compile, nameOf }: ResourceRules<M, C>,
    { name, version, resource }: DiscoveredResource,
    use: (entry: Entry<C>) => unknown,
  ): string | null {
    const result = acceptResource(kind, name, resource, (m: M) => compile(m, this.#options.env), nameOf);
    if (!result.ok) return result.reason;
    this.resources.present(kind, name);
    use(this.#entry(result.compiled, result.raw, version));
    return null;
  }

  #entry<C>(compiled: C, raw: Uint8Array, version: string): Entry<C> {
    return { compiled, raw, version, updatedMs: this.#options.clock.now() };
  }

  #offerCluster(slot: Slot<ClusterResource>, entry: Entry<ClusterResource>): void {
    const { source, spec } = entry.compiled;
    this.resources.clusters.set(spec.name, slot);
    this.#offer(slot, entry, source.kind === 'eds' ? source.initialFetchTimeoutMs : 0);
  }

  #offerListener(slot: Slot<ListenerResource>, entry: Entry<ListenerResource>): void {
    const { rds, spec } = entry.compiled;
    this.resources.listeners.set(spec.name, slot);
    this.#offer(slot, entry, rds.length === 0 ? 0 : routeWaitMs);
  }

  /** waitMs: how long it may warm; 0 is for ever. */
  #offer<C>(slot: Slot<C>, entry: Entry<C>, waitMs: number): void {
    const { clock } = this.#options;
    const wait = waitMs === 0 ? null : (done: () => void) => clock.after(waitMs, done);
    slot.offer(entry, wait, () => this.#publish());
  }

  #remove(kind: ResourceKind, name: string): void {
    if (kind === 'cds' || kind === 'lds') this.resources.remove(kind, name);
    else if (kind === 'rtds') this.#options.env.runtime?.replaceResource(name, new Map());
    else this.resources.absent(kind, name);
  }

  #publish(): void {
    const { resources } = this;
    resources.activateClusters();
    this.#listenersMayStart ||= resources.hasAllClusters && !this.#awaited.has('cds') && !this.#awaited.has('rtds');
    if (this.#listenersMayStart) resources.activateListeners();
    const update = this.#publication.advance(resources);
    if (update !== null) this.#options.publish(update);
    this.#options.onChange?.();
  }
}

/** Sent again without a change, e.g. after a reconnect. */
function isSame(slot: Slot<unknown>, resource: Any): boolean {
  const raw = slot.newest?.raw;
  return raw !== undefined && raw.length > 0 && Buffer.compare(raw, resource.value) === 0;
}
