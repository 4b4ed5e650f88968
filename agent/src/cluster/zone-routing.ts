/**
 * Zone-aware routing, with Envoy's arithmetic: the share of the local cluster's hosts in a locality says how much load
 * comes from there, the share of the upstream's how much it can carry there. What the own locality cannot carry goes to
 * those that have capacity left. Shares are in hundredths of a percent, rounded down.
 */
import type { ZoneRoutingSpec } from '../model/cluster.ts';
import type { clusterStat } from '../stats/layout.ts';
import type { LocalityView } from './cluster.ts';

export interface Zone {
  readonly locality: string;
  readonly healthy: number;
}

/** Results of choose() that are no index of a zone. */
export const anyZone = -1;
export const noZone = -2;

type ZoneStat = Extract<keyof typeof clusterStat.at, `lb_${'zone' | 'local' | 'recalculate'}_${string}`>;

type Plan =
  | { readonly kind: 'none' }
  | { readonly kind: 'direct' }
  /** stays: what of 10,000 requests the own locality takes. capacity: what is left there, added up over the zones. */
  | { readonly kind: 'residual'; readonly stays: number; readonly capacity: readonly number[] };

export interface ZoneRoutingOwner {
  readonly random: () => number;
  /** Of the local cluster; null while it is not there. */
  localView(): LocalityView | null;
  count(stat: ZoneStat): void;
}

const whole = 10_000;

export class ZoneRouting {
  readonly spec: ZoneRoutingSpec;
  readonly #failOnPanic: boolean;
  readonly #owner: ZoneRoutingOwner;
  #zones: readonly Zone[] = [];
  #panicThreshold = 0;
  #plan: Plan | null = null;
  #view: LocalityView | null = null;

  constructor(spec: ZoneRoutingSpec, failOnPanic: boolean, owner: ZoneRoutingOwner) {
    this.spec = spec;
    this.#failOnPanic = failOnPanic;
    this.#owner = owner;
  }

  /** The localities in their order: the own one first, if it is among them, then by name. */
  order(localities: Iterable<string>): readonly string[] {
    const own = this.spec.locality;
    return [...localities].sort((a, b) => Number(b === own) - Number(a === own) || (a < b ? -1 : 1));
  }

  /** zones in that order. */
  setZones(zones: readonly Zone[], panicThreshold: number): void {
    this.#zones = zones;
    this.#panicThreshold = panicThreshold;
    this.#plan = null;
  }

  /** Index of the zone for one request; anyZone where zones do not count, noZone where it is to fail. */
  choose(): number {
    const view = this.#owner.localView();
    if (view === null) return anyZone;
    const plan = this.#planFor(view);
    const { routingPercent } = this.spec;
    if (plan.kind === 'none') return anyZone;
    if (routingPercent < 100 && this.#owner.random() * 100 >= routingPercent) return anyZone;
    if (view.usablePercent < this.#panicThreshold) {
      this.#owner.count('lb_local_cluster_not_ok');
      return this.#failOnPanic ? noZone : anyZone;
    }
    return plan.kind === 'direct' ? this.#own('lb_zone_routing_all_directly') : this.#chooseResidual(plan);
  }

  #own(stat: ZoneStat): number {
    this.#owner.count(stat);
    return 0;
  }

  #chooseResidual({ stays, capacity }: Extract<Plan, { kind: 'residual' }>): number {
    const { random } = this.#owner;
    if (Math.floor(random() * whole) < stays) return this.#own('lb_zone_routing_sampled');
    this.#owner.count('lb_zone_routing_cross_zone');
    const total = capacity.at(-1) ?? 0;
    if (total === 0) {
      this.#owner.count('lb_zone_no_capacity_left');
      return Math.floor(random() * capacity.length);
    }
    const at = Math.floor(random() * total);
    let zone = 0;
    while (at >= (capacity[zone] ?? total)) zone++;
    return zone;
  }

  #planFor(view: LocalityView): Plan {
    if (this.#plan !== null && this.#view === view) return this.#plan;
    this.#view = view;
    this.#plan = this.#makePlan(view);
    return this.#plan;
  }

  #makePlan(view: LocalityView): Plan {
    const { locality, minClusterSize, direct } = this.spec;
    const zones = this.#zones;
    this.#owner.count('lb_recalculate_zone_structures');
    if (zones.length < 2 || (view.hosts.size < 2 && !direct)) return none;
    if ((view.hosts.get(locality) ?? 0) === 0) {
      this.#owner.count('lb_local_cluster_not_ok');
      return none;
    }
    const healthy = zones.reduce((sum, z) => sum + z.healthy, 0);
    if (healthy < minClusterSize) {
      this.#owner.count('lb_zone_cluster_too_small');
      return none;
    }
    const shares = sharesOf(zones, healthy, view);
    const own = zones[0]?.locality === locality ? shares[0] : undefined;
    if (own !== undefined && (direct || (own.upstream > 0 && own.upstream >= own.local))) return { kind: 'direct' };
    const stays = own !== undefined && own.local > 0 ? Math.floor((own.upstream * whole) / own.local) : 0;
    return { kind: 'residual', stays, capacity: residual(shares, own !== undefined) };
  }
}

const none: Plan = { kind: 'none' };

interface Shares {
  /** Of the load that comes from there, and of the capacity that is there. */
  readonly local: number;
  readonly upstream: number;
}

function sharesOf(zones: readonly Zone[], healthy: number, view: LocalityView): readonly Shares[] {
  const localHealthy = [...view.healthy.values()].reduce((sum, n) => sum + n, 0);
  const share = (part: number, of: number): number => (of > 0 ? Math.floor((whole * part) / of) : 0);
  return zones.map(({ locality, healthy: here }) =>
    here === 0
      ? { local: 0, upstream: 0 }
      : { local: share(view.healthy.get(locality) ?? 0, localHealthy), upstream: share(here, healthy) },
  );
}

/** Capacity that the load of a zone itself does not need, added up; the own zone takes what it can before. */
function residual(shares: readonly Shares[], hasOwn: boolean): readonly number[] {
  let sum = 0;
  return shares.map(({ local, upstream }, i) => {
    if (!(i === 0 && hasOwn)) sum += Math.max(0, upstream - local);
    return sum;
  });
}
