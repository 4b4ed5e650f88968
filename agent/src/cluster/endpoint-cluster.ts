/** A cluster with a list of endpoints, from configuration, EDS or DNS: balancing, health, outlier detection. */
import type { ClusterSpec, EndpointSpec, EndpointsSpec, MetadataMatchSpec } from '../model/cluster.ts';
import type { AddressSpec } from '../model/listener.ts';
import type { UpstreamTlsSpec } from '../model/tls.ts';
import type { Stream, StreamHandler } from '../net/stream.ts';
import { clusterStat } from '../stats/layout.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { createBalancer } from './balancer.ts';
import { BaseCluster } from './base-cluster.ts';
import type { Host, LocalityView, Outcome, Pick, PickContext } from './cluster.ts';
import type { HashSizes } from './consistent-hash.ts';
import { type CheckedCluster, HealthChecker } from './health-check.ts';
import { ClusterHost, hostKey, tlsOf } from './host.ts';
import { configuredWeight, HostLists, isHealthy, type LocalityWeight } from './host-lists.ts';
import { OutlierDetector } from './outlier-detector.ts';
import { SlowStart } from './slow-start.ts';
import { type SubsetChanges, SubsetLists, type SubsetVerdict } from './subset-lists.ts';
import { ZoneRouting } from './zone-routing.ts';

const noneHealthy: Pick = { kind: 'none-healthy' };

const verdictStat: Readonly<Record<SubsetVerdict, number | null>> = {
  selected: clusterStat.at.lb_subsets_selected,
  fallback: clusterStat.at.lb_subsets_fallback,
  'fallback-panic': clusterStat.at.lb_subsets_fallback_panic,
  none: null,
};

export class EndpointCluster extends BaseCluster {
  #hosts: readonly ClusterHost[] = [];
  #endpoints: readonly EndpointSpec[] = [];
  #lists: HostLists;
  #subsets: SubsetLists | null;
  #outlier: OutlierDetector | null;
  #checker: HealthChecker | null;
  #view: LocalityView | null = null;

  constructor(spec: ClusterSpec, runtime: WorkerRuntime) {
    super(spec, runtime);
    this.#lists = this.#newLists(this.#localityWeight());
    this.#subsets = this.#newSubsets();
    this.#outlier = this.#newDetector(spec);
    this.#checker = this.#newChecker(spec);
  }

  pick(context: PickContext): Pick {
    if (this.#subsets !== null) return this.#pickOf(this.#subsets, context);
    const host = this.#lists.pick(context.tried, this.runtime.random, context.hash ?? null);
    if (this.#lists.panic) this.count(clusterStat.at.lb_healthy_panic);
    if (host === null) {
      this.count(clusterStat.at.upstream_cx_none_healthy);
      return noneHealthy;
    }
    return host.picked;
  }

  #pickOf(subsets: SubsetLists, context: PickContext): Pick {
    const { subset = null } = context;
    const variants = subset !== null && this.spec.subsets?.fallbackList === true ? subset.variants : undefined;
    const host =
      variants === undefined ? this.#pickFrom(subsets, subset, context) : this.#pickVariant(subsets, variants, context);
    if (subsets.panic) this.count(clusterStat.at.lb_healthy_panic);
    if (host === null) {
      this.count(clusterStat.at.upstream_cx_none_healthy);
      return noneHealthy;
    }
    return host.picked;
  }

  #pickFrom(
    subsets: SubsetLists,
    wanted: MetadataMatchSpec | null,
    { tried, hash = null }: PickContext,
  ): ClusterHost | null {
    const host = subsets.pick(wanted, tried, this.runtime.random, hash);
    const counted = verdictStat[subsets.verdict];
    if (counted !== null) this.count(counted);
    return host;
  }

  /** The first variant that has a host. */
  #pickVariant(subsets: SubsetLists, variants: readonly MetadataMatchSpec[], context: PickContext): ClusterHost | null {
    for (let i = 0; i < variants.length; i++) {
      const host = this.#pickFrom(subsets, variants[i] as MetadataMatchSpec, context);
      if (host !== null) return host;
    }
    return null;
  }

  override record(host: Host, outcome: Outcome): void {
    super.record(host, outcome);
    if (host instanceof ClusterHost) this.#outlier?.record(host, outcome);
  }

  override update(spec: ClusterSpec): void {
    const before = this.spec;
    super.update(spec);
    if (isOtherBalancing(spec, before)) {
      this.#lists = this.#newLists(this.#localityWeight());
      this.#subsets = this.#newSubsets();
    }
    if (spec.outlier === null) {
      this.#outlier?.close();
      this.#outlier = null;
    } else if (this.#outlier === null) {
      this.#outlier = this.#newDetector(spec);
    } else {
      this.#outlier.update(spec.outlier);
    }
    if (JSON.stringify(spec.healthCheck ?? null) !== JSON.stringify(before.healthCheck ?? null)) {
      this.#checker?.close();
      this.#checker = this.#newChecker(spec);
    }
    this.#adopt();
  }

  setEndpoints(endpoints: EndpointsSpec): void {
    this.#endpoints = endpoints.endpoints;
    this.#adopt();
  }

  close(): void {
    this.#outlier?.close();
    this.#checker?.close();
    this.#checker = null;
    for (const host of this.#hosts) host.retire();
    this.#hosts = [];
    this.#endpoints = [];
    this.#refresh();
  }

  protected hosts(): readonly ClusterHost[] {
    return this.#hosts;
  }

  #localityWeight(): LocalityWeight | null {
    return this.spec.localityWeighted === true ? configuredWeight : null;
  }

  #newLists(localityWeight: LocalityWeight | null): HostLists {
    const { lb, leastRequestChoices: choices, activeRequestBias: activeBias = 1, hashing = null } = this.spec;
    const { random, clock } = this.runtime;
    const slowStart = this.spec.slowStart ? new SlowStart(this.spec.slowStart, () => clock.nowMs) : null;
    const active = (): number => this.runtime.slots[this.stats + clusterStat.at.upstream_rq_active] ?? 0;
    const onBuilt = (sizes: HashSizes): void => this.#showSizes(sizes);
    const rules = { localityWeight, zones: this.#newZones(), failOnPanic: this.spec.failOnPanic === true };
    return new HostLists(
      () => createBalancer({ lb, choices, activeBias, hashing, random, active, slowStart, onBuilt }),
      rules,
    );
  }

  #showSizes({ size, min, max }: HashSizes): void {
    const { at } = clusterStat;
    if (this.spec.lb === 'ring_hash') {
      this.show(at['ring_hash_lb.size'], size);
      this.show(at['ring_hash_lb.min_hashes_per_host'], min);
      this.show(at['ring_hash_lb.max_hashes_per_host'], max);
    } else {
      this.show(at['maglev_lb.min_entries_per_host'], min);
      this.show(at['maglev_lb.max_entries_per_host'], max);
    }
  }

  #newZones(): ZoneRouting | null {
    const { zones = null, failOnPanic = false } = this.spec;
    if (zones === null) return null;
    return new ZoneRouting(zones, failOnPanic, {
      random: this.runtime.random,
      localView: () => this.runtime.cluster(zones.localCluster)?.localityView?.() ?? null,
      count: (stat) => this.count(clusterStat.at[stat]),
    });
  }

  /** Asked for by clusters that route by zones, where this is the local cluster. */
  localityView(): LocalityView {
    this.#view ??= viewOf(this.#hosts);
    return this.#view;
  }

  #newSubsets(): SubsetLists | null {
    const { subsets = null, localityWeighted = false } = this.spec;
    return subsets === null
      ? null
      : new SubsetLists(subsets, (weight) => this.#newLists(localityWeighted ? weight : null));
  }

  #newDetector(spec: ClusterSpec): OutlierDetector | null {
    if (spec.outlier === null) return null;
    const owner = { hosts: () => this.#hosts, onEjectionsChanged: () => this.#refresh() };
    return new OutlierDetector(spec.outlier, owner, this.runtime, spec.stats);
  }

  #newChecker(spec: ClusterSpec): HealthChecker | null {
    if (!spec.healthCheck) return null;
    const owner: CheckedCluster = {
      name: this.name,
      hosts: () => this.#hosts,
      isSecure: (host) => this.#checkTls(host) !== null,
      dial: (host, address, timeoutMs, handler) => this.#dialCheck(host, address, timeoutMs, handler),
      onHealthChanged: () => this.#refresh(),
      onPassed: (host) => this.#outlier?.passedCheck(host),
    };
    return new HealthChecker(spec.healthCheck, owner, this.runtime, spec.stats);
  }

  #checkTls({ endpoint, tls }: ClusterHost): UpstreamTlsSpec | null {
    const criteria = this.spec.healthCheck?.socketMatch;
    return criteria === undefined ? tls : tlsOf(this.spec, { ...endpoint, socketMatch: criteria });
  }

  #dialCheck(host: ClusterHost, address: AddressSpec, connectTimeoutMs: number, handler: StreamHandler): Stream {
    const { bindV4, bindV6, tcpKeepalive: keepalive, bufferLimitBytes, healthCheck } = this.spec;
    const tls = this.#checkTls(host);
    const sni = tls?.sni ?? '';
    const bind = address.ip.includes(':') ? bindV6 : bindV4;
    const alpn = healthCheck?.alpn === undefined ? {} : { alpn: healthCheck.alpn };
    const limits = { connectTimeoutMs, bufferLimitBytes, bind, keepalive };
    const options = { address, tls, sni, ...limits, ...alpn, target: this.name };
    return this.runtime.dial(options, handler);
  }

  /** Hosts with the same key stay the same objects, with their pools and their past; an endpoint named twice is one. */
  #adopt(): void {
    const before = new Map(this.#hosts.map((host) => [host.key, host]));
    const after = new Map<string, ClusterHost>();
    for (const endpoint of this.#endpoints) {
      const tls = tlsOf(this.spec, endpoint);
      const key = hostKey(endpoint, tls);
      if (after.has(key)) continue;
      const host = before.get(key) ?? this.#newHost(key, endpoint, tls);
      host.endpoint = endpoint;
      after.set(key, host);
    }
    const gone = this.#hosts.filter((host) => !after.has(host.key));
    const changed = gone.length > 0 || after.size !== before.size;
    this.#hosts = [...after.values()];
    for (const host of gone) {
      this.#outlier?.forget(host);
      host.retire();
    }
    if (changed) this.count(clusterStat.at.membership_change);
    this.#checker?.follow(this.#hosts);
    this.#refresh();
  }

  #newHost(key: string, endpoint: EndpointSpec, tls: UpstreamTlsSpec | null): ClusterHost {
    const host = new ClusterHost(key, endpoint, tls);
    host.freshSinceMs = this.runtime.clock.nowMs;
    return host;
  }

  #refresh(): void {
    this.#view = null;
    this.#lists.rebuild(this.#hosts, this.spec.panicThreshold);
    this.showMembership(this.#hosts.length, this.#lists.healthyCount);
    if (this.#subsets !== null) this.#showSubsets(this.#subsets.rebuild(this.#hosts, this.spec.panicThreshold));
  }

  #showSubsets({ active, created, removed, duplicates }: SubsetChanges): void {
    const { at } = clusterStat;
    this.count(at.lb_subsets_created, created);
    this.count(at.lb_subsets_removed, removed);
    this.show(at.lb_subsets_active, active);
    this.show(at.lb_subsets_single_host_per_subset_duplicate, duplicates);
  }
}

function isOtherBalancing(a: ClusterSpec, b: ClusterSpec): boolean {
  return balancingOf(a) !== balancingOf(b);
}

/** Everything that balancers and lists are made of. */
function balancingOf(spec: ClusterSpec): string {
  const { lb, leastRequestChoices, activeRequestBias, hashing, slowStart, localityWeighted, subsets } = spec;
  return JSON.stringify([
    [lb, leastRequestChoices, activeRequestBias ?? 1, hashing ?? null],
    [slowStart ?? null, localityWeighted ?? false, subsets ?? null],
    [spec.zones ?? null, spec.failOnPanic ?? false],
  ]);
}

function viewOf(hosts: readonly ClusterHost[]): LocalityView {
  const members = hosts.filter((host) => host.endpoint.priority === 0);
  const tally = (some: readonly ClusterHost[]): ReadonlyMap<string, number> =>
    new Map([...Map.groupBy(some, (host) => host.endpoint.locality)].map(([name, found]) => [name, found.length]));
  const usable = members.filter((host) => host.available && host.endpoint.health !== 'draining');
  return {
    hosts: tally(members),
    healthy: tally(members.filter(isHealthy)),
    usablePercent: members.length === 0 ? 0 : (100 * usable.length) / members.length,
  };
}
