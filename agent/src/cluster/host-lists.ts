/**
 * The hosts of a cluster, or of one subset, sorted for picking: by priority, then by health, with a balancer for each
 * list and the load each gets; where localities are weighted or zones count, a list for each of them. Made anew when membership or
 * health changes; balancers keep their position.
 */
import { anyChoice, type Balancer } from './balancer.ts';
import { byTurns, EarliestDeadline } from './earliest-deadline.ts';
import type { ClusterHost } from './host.ts';
import { overprovisioning, type PriorityHealth, priorityLoad, type Share } from './priority-load.ts';
import { anyZone, noZone, type ZoneRouting } from './zone-routing.ts';

interface List {
  readonly hosts: readonly ClusterHost[];
  readonly balancer: Balancer;
  readonly localities: EarliestDeadline<Locality> | null;
  /** In the order of the zones; null for one without a host, and as a whole where zones do not count. */
  readonly zones: readonly (Balancer | null)[] | null;
  readonly panic: boolean;
  readonly percent: number;
}

interface Locality {
  readonly weight: number;
  readonly balancer: Balancer;
}

/** Weight of a locality from its hosts; null where localities do not count. */
export type LocalityWeight = (hosts: readonly ClusterHost[]) => number;

/** The weight that the configuration gives it. */
export const configuredWeight: LocalityWeight = ([first]) => first?.endpoint.localityWeight ?? 0;

export interface HostListRules {
  readonly localityWeight: LocalityWeight | null;
  readonly zones: ZoneRouting | null;
  /** No host where otherwise health would be disregarded. */
  readonly failOnPanic: boolean;
}

const noRules: HostListRules = { localityWeight: null, zones: null, failOnPanic: false };

export class HostLists {
  #lists: readonly List[] = [];
  #available: readonly ClusterHost[] = [];
  #zoneNames: readonly string[] = [];
  /** Without any host there is panic, too, unless it is switched off. */
  #panicsEmpty = false;
  readonly #balancers = new Map<string, Balancer>();
  readonly #newBalancer: () => Balancer;
  readonly #rules: HostListRules;

  constructor(newBalancer: () => Balancer, rules: HostListRules = noRules) {
    this.#newBalancer = newBalancer;
    this.#rules = rules;
  }

  /** Hosts that are available, over all priorities. */
  get healthyCount(): number {
    return this.#available.length;
  }

  rebuild(hosts: readonly ClusterHost[], panicThreshold: number): void {
    const candidates = hosts.filter((host) => host.endpoint.health !== 'draining');
    this.#available = candidates.filter((host) => host.available);
    const priorities = [...new Set(candidates.map((host) => host.endpoint.priority))]
      .sort((a, b) => a - b)
      .map((priority) => candidates.filter((host) => host.endpoint.priority === priority));
    this.#panicsEmpty = panicThreshold > 0;
    this.#setZones(candidates, panicThreshold);
    this.#lists = priorityLoad(priorities.map(healthOf), panicThreshold).map((share) => this.#list(share, priorities));
  }

  /** Zones are of the first priority alone. */
  #setZones(candidates: readonly ClusterHost[], panicThreshold: number): void {
    const { zones } = this.#rules;
    if (zones === null) return;
    const members = Map.groupBy(
      candidates.filter((host) => host.endpoint.priority === 0),
      (host) => host.endpoint.locality,
    );
    this.#zoneNames = zones.order(members.keys());
    const healthyIn = (name: string): number => (members.get(name) ?? []).filter(isHealthy).length;
    zones.setZones(
      this.#zoneNames.map((locality) => ({ locality, healthy: healthyIn(locality) })),
      panicThreshold,
    );
  }

  /** Whether the last pick disregarded health, or would have. */
  panic = false;

  /** Null when no list has a host. random is [0, 1) and asked only when there is a choice of lists. */
  pick(tried: readonly unknown[], random: () => number, hash: bigint | null = null): ClusterHost | null {
    const list = this.#choose(random);
    this.panic = list?.panic ?? this.#panicsEmpty;
    if (list === undefined || (list.panic && this.#rules.failOnPanic)) return null;
    const balancer = this.#balancerFor(list);
    const host = balancer?.pick(hash === null ? anyChoice : { hash, attempt: 0 });
    if (host === undefined) return null;
    if (tried.length === 0 || !tried.includes(host)) return host;
    return this.#untried(list, tried, hash) ?? host;
  }

  #balancerFor(list: List): Balancer | null {
    if (list.localities !== null) return list.localities.next()?.balancer ?? list.balancer;
    if (list.zones === null || this.#rules.zones === null) return list.balancer;
    const zone = this.#rules.zones.choose();
    if (zone === noZone) return null;
    return zone === anyZone ? list.balancer : (list.zones[zone] ?? list.balancer);
  }

  #choose(random: () => number): List | undefined {
    if (this.#lists.length === 1) return this.#lists[0];
    let left = random() * 100;
    for (const list of this.#lists) {
      left -= list.percent;
      if (left < 0) return list;
    }
    return this.#lists[0];
  }

  /** The balancer's next choices first, then anyone of the list, then of other priorities. */
  #untried(list: List, tried: readonly unknown[], hash: bigint | null): ClusterHost | undefined {
    for (let attempt = 1; attempt <= Math.min(list.hosts.length, 8); attempt++) {
      const host = list.balancer.pick({ hash, attempt });
      if (host !== undefined && !tried.includes(host)) return host;
    }
    const isUntried = (host: ClusterHost): boolean => !tried.includes(host);
    return list.hosts.find(isUntried) ?? this.#available.find(isUntried);
  }

  #list({ priority, source, percent }: Share, priorities: readonly (readonly ClusterHost[])[]): List {
    const all = priorities[priority] ?? [];
    const hosts = source === 'all' ? all : all.filter((host) => host.available && host.endpoint.health === source);
    const key = `${priority}/${source}`;
    const panic = source === 'all';
    const localities = panic ? null : this.#localitiesOf(all, new Set(hosts), key);
    const zones = panic || all[0]?.endpoint.priority !== 0 ? null : this.#zonesOf(hosts, key);
    return { hosts, balancer: this.#balancer(key, hosts), localities, zones, panic, percent };
  }

  #zonesOf(hosts: readonly ClusterHost[], key: string): List['zones'] {
    if (this.#rules.zones === null) return null;
    const members = Map.groupBy(hosts, (host) => host.endpoint.locality);
    return this.#zoneNames.map((name) => {
      const found = members.get(name);
      return found === undefined ? null : this.#balancer(`${key}/${name}`, found);
    });
  }

  /** A locality that has lost hosts gets less, once it has less than 1/1.4 of them; null without any weight. */
  #localitiesOf(
    all: readonly ClusterHost[],
    usable: ReadonlySet<ClusterHost>,
    key: string,
  ): EarliestDeadline<Locality> | null {
    const weightOf = this.#rules.localityWeight;
    if (weightOf === null) return null;
    const localities = [...Map.groupBy(all, (host) => host.endpoint.locality)].flatMap(([name, members]) => {
      const hosts = members.filter((host) => usable.has(host));
      const weight = weightOf(members) * Math.min(1, (overprovisioning * hosts.length) / members.length);
      return weight > 0 ? [{ weight, balancer: this.#balancer(`${key}/${name}`, hosts) }] : [];
    });
    return localities.length === 0 ? null : new EarliestDeadline<Locality>(localities, byTurns);
  }

  #balancer(key: string, hosts: readonly ClusterHost[]): Balancer {
    const balancer = this.#balancers.get(key) ?? this.#newBalancer();
    this.#balancers.set(key, balancer);
    balancer.setHosts(hosts);
    return balancer;
  }
}

export const isHealthy = (host: ClusterHost): boolean => host.available && host.endpoint.health === 'healthy';

function healthOf(hosts: readonly ClusterHost[]): PriorityHealth {
  const available = hosts.filter((host) => host.available);
  const degraded = available.filter((host) => host.endpoint.health === 'degraded').length;
  return { total: hosts.length, healthy: available.length - degraded, degraded };
}
