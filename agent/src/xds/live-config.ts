/**
 * The configuration as it lives on the main thread: resources of the bootstrap and of discovery, their warming, and
 * what follows from them for the workers. Workers get one update for each change, and nothing that is not ready.
 * Invariant: what is active stays until its successor is complete or it is removed; losing the server changes nothing.
 */
import { create, type Message } from '@bufbuild/protobuf';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';
import type { Clock } from '@chainmail/runtime';
import type { Cluster } from '@chainmail/xds/proto/envoy/config/cluster/v3/cluster';
import type { ClusterLoadAssignment } from '@chainmail/xds/proto/envoy/config/endpoint/v3/endpoint';
import type { Listener } from '@chainmail/xds/proto/envoy/config/listener/v3/listener';
import type { RouteConfiguration } from '@chainmail/xds/proto/envoy/config/route/v3/route';
import type { Runtime } from '@chainmail/xds/proto/envoy/service/runtime/v3/rtds';
import type { CompileEnvironment } from '../config/compile-context.ts';
import { compileAssignment } from '../config/endpoints.ts';
import {
  type ClusterResource,
  clusterResource,
  type ListenerResource,
  listenerResource,
  routeResource,
} from '../config/resources.ts';
import { compileRuntime } from '../config/runtime-layers.ts';
import type { EndpointSpec, EndpointsSpec } from '../model/cluster.ts';
import type { DnsListenerSpec } from '../model/dns.ts';
import type { RouteConfigSpec } from '../model/http.ts';
import type { SecretSpec } from '../model/tls.ts';
import type { ConfigUpdate } from '../model/update.ts';
import { acceptResource } from './accept.ts';
import { type Desired, Publication } from './publication.ts';
import { type NamedKind, type ResourceKind, resourceTypes } from './resource-types.ts';
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
  readonly clusters = new Map<string, Slot<ClusterResource>>();
  readonly listeners = new Map<string, Slot<ListenerResource>>();
  readonly assignments = new Map<string, Entry<EndpointsSpec>>();
  readonly routes = new Map<string, Entry<RouteConfigSpec>>();
  readonly #options: LiveConfigOptions;
  readonly #publication = new Publication();
  readonly #resolved = new Map<string, EndpointsSpec>();
  readonly #ownSecrets = new Map<string, SecretSpec>();
  /** EDS and RDS names that the server says do not exist. */
  readonly #absent = new Set<string>();
  readonly #endpointsOf = new WeakMap<object, Map<string, EndpointsSpec>>();
  readonly #awaited = new Set<ResourceKind>();
  #listenersMayStart = false;

  constructor(options: LiveConfigOptions) {
    this.#options = options;
    if (options.cds) this.#awaited.add('cds');
    if (options.lds) this.#awaited.add('lds');
    if (this.wanted('rtds').size > 0) this.#awaited.add('rtds');
  }

  /** What the workers hold. */
  get held(): Desired {
    return this.#publication.held;
  }

  /** Everything awaited at the start has come, or its time is over: the listeners are with the workers. */
  get isInitialised(): boolean {
    const isOpen = (slot: Slot<ListenerResource>): boolean => slot.active !== null;
    return this.#listenersMayStart && this.#awaited.size === 0 && [...this.listeners.values()].every(isOpen);
  }

  /** Number of clusters and listeners that wait for something. */
  get warming(): { readonly clusters: number; readonly listeners: number } {
    return { clusters: countWarming(this.clusters), listeners: countWarming(this.listeners) };
  }

  /** Takes over the resources of the bootstrap. Once, before anything else. */
  loadStatic(
    clusters: readonly ClusterResource[],
    listeners: readonly ListenerResource[],
    secrets: readonly SecretSpec[],
  ): void {
    for (const secret of secrets) this.#ownSecrets.set(secret.name, secret);
    for (const c of clusters) this.#offerCluster(new Slot<ClusterResource>(true), this.#entry(c, new Uint8Array(), ''));
    for (const l of listeners)
      this.#offerListener(new Slot<ListenerResource>(true), this.#entry(l, new Uint8Array(), ''));
    this.#publish();
  }

  /**
   * The runtime has changed: every resource is compiled anew from its message, the static ones by the caller. One that
   * does not compile any more stays as it is.
   */
  recompile(clusters: readonly ClusterResource[], listeners: readonly ListenerResource[]): void {
    const { env } = this.#options;
    const fixedClusters = new Map(clusters.map((c) => [c.spec.name, c]));
    const fixedListeners = new Map(listeners.map((l) => [l.spec.name, l]));
    for (const [name, slot] of this.clusters) {
      const { isStatic } = slot;
      slot.recompile(({ compiled, raw }) => {
        if (isStatic) return fixedClusters.get(name) ?? compiled;
        return again('cds', name, raw, (m: Cluster) => clusterResource(m, '', env)) ?? compiled;
      });
    }
    for (const [name, slot] of this.listeners) {
      const { isStatic } = slot;
      slot.recompile(({ compiled, raw }) => {
        if (isStatic) return fixedListeners.get(name) ?? compiled;
        return again('lds', name, raw, (m: Listener) => listenerResource(m, '', env)) ?? compiled;
      });
    }
    for (const [name, entry] of this.routes) {
      const compiled = again('rds', name, entry.raw, (m: RouteConfiguration) => routeResource(m, '', env));
      if (compiled !== null) this.routes.set(name, { ...entry, compiled });
    }
    this.#publish();
  }

  /** Secrets that do not stand in the configuration: the mesh identity's. */
  setSecrets(secrets: readonly SecretSpec[]): void {
    for (const secret of secrets) this.#ownSecrets.set(secret.name, secret);
    this.#publish();
  }

  /** Addresses found for a DNS cluster; also empty, after a failure, so that start-up goes on. */
  setResolved(cluster: string, endpoints: readonly EndpointSpec[]): void {
    this.#resolved.set(cluster, { cluster, endpoints });
    this.#publish();
  }

  /** The server did not answer the first request for this type in time: start without. */
  giveUpWaiting(kind: ResourceKind): void {
    if (this.#awaited.delete(kind)) this.#publish();
  }

  /** Names to subscribe to, from all generations of clusters and listeners. */
  wanted(kind: NamedKind): ReadonlySet<string> {
    const names = new Set<string>();
    if (kind === 'rtds') {
      for (const { resource } of this.#options.env.runtime?.resources ?? []) names.add(resource);
    } else if (kind === 'eds') {
      for (const { compiled } of entriesOf(this.clusters)) {
        if (compiled.source.kind === 'eds') names.add(compiled.source.serviceName);
      }
    } else {
      for (const { compiled } of entriesOf(this.listeners)) for (const name of compiled.rds) names.add(name);
    }
    return names;
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
    this.#forgetUnwanted();
    this.#publish();
    return { accepted, errors };
  }

  /** null when it was good. */
  #accept(kind: ResourceKind, found: DiscoveredResource): string | null {
    const { env } = this.#options;
    const { name, resource } = found;
    switch (kind) {
      case 'cds': {
        const slot = this.clusters.get(name) ?? new Slot<ClusterResource>(false);
        if (isSame(slot, resource)) return null;
        if (slot.isStatic) return `${name}: is a static cluster`;
        const compile = (m: Cluster): ClusterResource => clusterResource(m, '', env);
        return this.#take(kind, found, compile, specName, (entry) => this.#offerCluster(slot, entry));
      }
      case 'lds': {
        const slot = this.listeners.get(name) ?? new Slot<ListenerResource>(false);
        if (isSame(slot, resource)) return null;
        if (slot.isStatic) return `${name}: is a static listener`;
        const compile = (m: Listener): ListenerResource => listenerResource(m, '', env);
        return this.#take(kind, found, compile, specName, (entry) => this.#offerListener(slot, entry));
      }
      case 'eds': {
        const compile = (m: ClusterLoadAssignment): EndpointsSpec => compileAssignment(m, '');
        const keep = (entry: Entry<EndpointsSpec>): unknown => this.assignments.set(name, entry);
        return this.#take(kind, found, compile, (e) => e.cluster, keep);
      }
      case 'rds': {
        const compile = (m: RouteConfiguration): RouteConfigSpec => routeResource(m, '', env);
        const keep = (entry: Entry<RouteConfigSpec>): unknown => this.routes.set(name, entry);
        return this.#take(kind, found, compile, (r) => r.name, keep);
      }
      case 'rtds': {
        if (!this.wanted('rtds').has(name)) return `${name}: no rtds_layer asks for it`;
        const compile = (m: Runtime): ReturnType<typeof compileRuntime> => compileRuntime(m, '');
        const replace = ({ compiled }: { readonly compiled: ReturnType<typeof compileRuntime> }): unknown =>
          env.runtime?.replaceResource(name, compiled.values);
        return this.#take(kind, found, compile, (r) => r.name, replace);
      }
    }
  }

  /** Compiles what was found and hands it on; what is wrong with it, or null. */
  #take<M extends Message, C>(
    kind: ResourceKind,
    { name, version, resource }: DiscoveredResource,
    compile: (message: M) => C,
    nameOf: (compiled: C) => string,
    use: (entry: Entry<C>) => unknown,
  ): string | null {
    const result = acceptResource(kind, name, resource, compile, nameOf);
    if (!result.ok) return result.reason;
    this.#absent.delete(`${kind}/${name}`);
    use(this.#entry(result.compiled, result.raw, version));
    return null;
  }

  #entry<C>(compiled: C, raw: Uint8Array, version: string): Entry<C> {
    return { compiled, raw, version, updatedMs: this.#options.clock.now() };
  }

  #offerCluster(slot: Slot<ClusterResource>, entry: Entry<ClusterResource>): void {
    const { clock } = this.#options;
    const { source, spec } = entry.compiled;
    const waitMs = source.kind === 'eds' ? source.initialFetchTimeoutMs : 0;
    const wait = waitMs === 0 ? null : (done: () => void) => clock.after(waitMs, done);
    this.clusters.set(spec.name, slot);
    slot.offer(entry, wait, () => this.#publish());
  }

  #offerListener(slot: Slot<ListenerResource>, entry: Entry<ListenerResource>): void {
    const { clock } = this.#options;
    const { rds, spec } = entry.compiled;
    const wait = rds.length === 0 ? null : (done: () => void) => clock.after(routeWaitMs, done);
    this.listeners.set(spec.name, slot);
    slot.offer(entry, wait, () => this.#publish());
  }

  #remove(kind: ResourceKind, name: string): void {
    if (kind === 'cds' || kind === 'lds') {
      const slots: Map<string, Slot<unknown>> = kind === 'cds' ? this.clusters : this.listeners;
      const slot = slots.get(name);
      if (slot === undefined || slot.isStatic) return;
      slot.cancel();
      slots.delete(name);
      return;
    }
    if (kind === 'rtds') {
      this.#options.env.runtime?.replaceResource(name, new Map());
      return;
    }
    // Endpoints and routes that were there stay while somebody needs them: their owner decides, as in Envoy.
    this.#absent.add(`${kind}/${name}`);
  }

  /** Endpoints and routes nobody refers to any more. */
  #forgetUnwanted(): void {
    const eds = this.wanted('eds');
    for (const name of this.assignments.keys()) if (!eds.has(name)) this.assignments.delete(name);
    const rds = this.wanted('rds');
    for (const name of this.routes.keys()) if (!rds.has(name)) this.routes.delete(name);
    for (const key of this.#absent) {
      const name = key.slice(4);
      if (!(key.startsWith('eds/') ? eds : rds).has(name)) this.#absent.delete(key);
    }
  }

  #isClusterReady({ compiled }: Entry<ClusterResource>): boolean {
    const { source, spec } = compiled;
    switch (source.kind) {
      case 'eds':
        return this.assignments.has(source.serviceName) || this.#absent.has(`eds/${source.serviceName}`);
      case 'dns':
        return this.#resolved.has(spec.name) || this.isOwn(spec.name);
      case 'static':
      case 'original_dst':
        return true;
    }
  }

  #isListenerReady({ compiled }: Entry<ListenerResource>): boolean {
    return compiled.rds.every((name) => this.routes.has(name) || this.#absent.has(`rds/${name}`));
  }

  #publish(): void {
    for (const slot of this.clusters.values()) {
      if (slot.warming !== null && (slot.waitedEnough || this.#isClusterReady(slot.warming))) slot.activate();
    }
    const noClusterMissing = [...this.clusters.values()].every((slot) => slot.active !== null);
    this.#listenersMayStart ||= noClusterMissing && !this.#awaited.has('cds') && !this.#awaited.has('rtds');
    if (this.#listenersMayStart) {
      for (const slot of this.listeners.values()) {
        if (slot.warming !== null && (slot.waitedEnough || this.#isListenerReady(slot.warming))) slot.activate();
      }
    }
    const update = this.#publication.advance(this.#desired());
    if (update !== null) this.#options.publish(update);
    this.#options.onChange?.();
  }

  /** Listeners that the main thread serves. */
  get dnsListeners(): readonly DnsListenerSpec[] {
    return activeOf(this.listeners).flatMap(({ dns }) => (dns === null ? [] : [dns]));
  }

  isOwn(cluster: string): boolean {
    return this.#options.ownClusters.has(cluster);
  }

  #desired(): Desired {
    const clusters = activeOf(this.clusters).filter((c) => !this.isOwn(c.spec.name));
    const listeners = activeOf(this.listeners).filter((l) => l.dns === null);
    const inline = [...clusters, ...listeners].flatMap((r) => r.secrets).map((s) => [s.name, this.#known(s)] as const);
    const rds = new Set(listeners.flatMap((l) => l.rds));
    const routes = [...this.routes].filter(([name]) => rds.has(name)).map(([, entry]) => entry.compiled);
    return {
      secrets: new Map([...this.#ownSecrets, ...inline]),
      clusters: new Map(clusters.map((c) => [c.spec.name, c.spec])),
      endpoints: new Map(clusters.flatMap((c) => this.#endpointsFor(c)).map((e) => [e.cluster, e])),
      routes: new Map([...listeners.flatMap((l) => l.inlineRoutes), ...routes].map((r) => [r.name, r])),
      listeners: new Map(listeners.map((l) => [l.spec.name, l.spec])),
    };
  }

  /** Inline secrets are named by their content: one that workers hold is the same. */
  #known(secret: SecretSpec): SecretSpec {
    return this.#publication.held.secrets.get(secret.name) ?? secret;
  }

  #endpointsFor({ spec, source }: ClusterResource): readonly EndpointsSpec[] {
    switch (source.kind) {
      case 'original_dst':
        return [];
      case 'static':
        return [this.#named(source, spec.name, source.endpoints)];
      case 'dns': {
        const found = this.#resolved.get(spec.name);
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

const specName = (resource: { readonly spec: { readonly name: string } }): string => resource.spec.name;

function again<M extends Message, C>(
  kind: ResourceKind,
  name: string,
  raw: Uint8Array,
  compile: (message: M) => C,
): C | null {
  const any = create(AnySchema, { typeUrl: resourceTypes[kind], value: raw });
  const result = acceptResource(kind, name, any, compile, () => name);
  return result.ok ? result.compiled : null;
}

/** Sent again without a change, e.g. after a reconnect. */
function isSame(slot: Slot<unknown>, resource: Any): boolean {
  const raw = slot.newest?.raw;
  return raw !== undefined && raw.length > 0 && Buffer.compare(raw, resource.value) === 0;
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
