/**
 * Subset load balancing (Envoy's LbSubsetConfig): for each selector the hosts that have all its keys, grouped by their
 * values; a request that asks for exactly those keys is balanced within its group. What was not found goes the way of
 * the selector's fallback policy, else of the cluster's.
 */
import type { MetadataMatchSpec, SubsetSelectorSpec, SubsetsSpec } from '../model/cluster.ts';
import type { ClusterHost } from './host.ts';
import { configuredWeight, type HostLists, type LocalityWeight } from './host-lists.ts';
import { keyOf, reduceMatch } from './metadata-match.ts';

/** What the pick that was just made is counted as. */
export type SubsetVerdict = 'selected' | 'fallback' | 'fallback-panic' | 'none';

export type NewLists = (localityWeight: LocalityWeight | null) => HostLists;

interface Selector {
  readonly spec: SubsetSelectorSpec;
  readonly groups: Map<string, HostLists>;
}

export interface SubsetChanges {
  readonly active: number;
  readonly created: number;
  readonly removed: number;
  /** Hosts that share a value with another one where a subset may have one host. */
  readonly duplicates: number;
}

export class SubsetLists {
  readonly #spec: SubsetsSpec;
  readonly #newLists: NewLists;
  readonly #selectors = new Map<string, Selector>();
  readonly #any: HostLists;
  readonly #default: HostLists;
  #hosts: readonly ClusterHost[] = [];
  /** Lists of the last pick, for its state of panic. */
  verdict: SubsetVerdict = 'none';
  panic = false;

  constructor(spec: SubsetsSpec, newLists: NewLists) {
    this.#spec = spec;
    this.#newLists = newLists;
    this.#any = newLists(spec.localityWeightAware ? configuredWeight : null);
    this.#default = this.#newGroup();
    for (const selector of spec.selectors) {
      const key = keyOf(selector.keys);
      // Of two selectors with the same keys the first one counts.
      if (!this.#selectors.has(key)) this.#selectors.set(key, { spec: selector, groups: new Map() });
    }
  }

  rebuild(hosts: readonly ClusterHost[], panicThreshold: number): SubsetChanges {
    this.#hosts = hosts;
    this.#any.rebuild(hosts, panicThreshold);
    const { defaultSubset } = this.#spec;
    this.#default.rebuild(
      hosts.filter((host) => valuesOf(host, defaultSubset.names, true).has(defaultSubset.valuesKey)),
      panicThreshold,
    );
    let [active, created, removed, duplicates] = [0, 0, 0, 0];
    for (const selector of this.#selectors.values()) {
      const groups = this.#group(selector.spec, hosts);
      for (const [values, found] of groups) {
        const members = selector.spec.singleHost ? found.slice(0, 1) : found;
        duplicates += found.length - members.length;
        let lists = selector.groups.get(values);
        if (lists === undefined) {
          lists = this.#newGroup();
          selector.groups.set(values, lists);
          created++;
        }
        lists.rebuild(members, panicThreshold);
      }
      for (const values of selector.groups.keys()) {
        if (groups.has(values)) continue;
        selector.groups.delete(values);
        removed++;
      }
      active += selector.groups.size;
    }
    return { active, created, removed, duplicates };
  }

  #group(selector: SubsetSelectorSpec, hosts: readonly ClusterHost[]): ReadonlyMap<string, ClusterHost[]> {
    const groups = new Map<string, ClusterHost[]>();
    for (const host of hosts) {
      for (const values of valuesOf(host, selector.keys, this.#spec.listAsAny)) {
        const group = groups.get(values) ?? [];
        group.push(host);
        groups.set(values, group);
      }
    }
    return groups;
  }

  #newGroup(): HostLists {
    const { localityWeightAware, scaleLocalityWeight } = this.#spec;
    return this.#newLists(localityWeightAware ? (scaleLocalityWeight ? this.#scaledWeight : configuredWeight) : null);
  }

  readonly #scaledWeight: LocalityWeight = (members) => {
    const [first] = members;
    if (first === undefined) return 0;
    const { locality, priority } = first.endpoint;
    const all = this.#hosts.filter((h) => h.endpoint.locality === locality && h.endpoint.priority === priority);
    return Math.max(1, Math.round((configuredWeight(members) * members.length) / all.length));
  };

  /** Null when no host may take the request. */
  pick(
    wanted: MetadataMatchSpec | null,
    tried: readonly unknown[],
    random: () => number,
    hash: bigint | null,
  ): ClusterHost | null {
    this.panic = false;
    let match = wanted;
    while (match !== null) {
      const selector = this.#selectors.get(match.namesKey);
      if (selector === undefined) break;
      const group = selector.groups.get(match.valuesKey);
      if (group !== undefined) return this.#from(group, 'selected', tried, random, hash);
      switch (selector.spec.fallback) {
        case 'not-defined':
          return this.#fallBack(tried, random, hash);
        case 'none':
          this.verdict = 'none';
          return null;
        case 'any':
          return this.#from(this.#any, 'fallback', tried, random, hash);
        case 'default':
          return this.#from(this.#default, 'fallback', tried, random, hash);
        case 'keys':
          match = reduceMatch(match, selector.spec.fallbackKeys);
      }
    }
    return this.#fallBack(tried, random, hash);
  }

  #fallBack(tried: readonly unknown[], random: () => number, hash: bigint | null): ClusterHost | null {
    const { fallback, panicModeAny } = this.#spec;
    if (fallback !== 'none') {
      const lists = fallback === 'any' ? this.#any : this.#default;
      const host = this.#from(lists, 'fallback', tried, random, hash);
      if (host !== null) return host;
    }
    if (panicModeAny) return this.#from(this.#any, 'fallback-panic', tried, random, hash);
    this.verdict = 'none';
    return null;
  }

  #from(
    lists: HostLists,
    verdict: SubsetVerdict,
    tried: readonly unknown[],
    random: () => number,
    hash: bigint | null,
  ): ClusterHost | null {
    const host = lists.pick(tried, random, hash);
    this.panic = lists.panic;
    this.verdict = host === null && verdict !== 'selected' ? 'none' : verdict;
    return host;
  }
}

/** The groups of a selector that a host belongs to: none when it lacks a key, several for a list that stands for any. */
function valuesOf(host: ClusterHost, keys: readonly string[], listAsAny: boolean): ReadonlySet<string> {
  const metadata = host.endpoint.metadata ?? {};
  let combinations: string[][] = [[]];
  for (const key of keys) {
    const found = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
    if (found === undefined) return new Set();
    const values = listAsAny && found.items !== undefined ? found.items : [found.value];
    combinations = combinations.flatMap((before) => values.map((value) => [...before, value]));
  }
  return new Set(combinations.map(keyOf));
}
