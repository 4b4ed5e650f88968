/** What localities mean for balancing: weights, or as much as possible to the own one. */
import type { Cluster_CommonLbConfig } from '@chainmail/xds/proto/envoy/config/cluster/v3/cluster';
import type { Locality } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import type { LocalityLbConfig } from '@chainmail/xds/proto/envoy/extensions/load_balancing_policies/common/v3/common';
import type { ClusterSpec } from '../model/cluster.ts';
import type { CompileEnvironment } from './compile-context.ts';
import type { MessageReader } from './message-reader.ts';
import type { RuntimeValues } from './runtime.ts';

export interface LocalityChoice {
  readonly weighted: boolean;
  readonly routingPercent: number;
  readonly minClusterSize: number;
  readonly failOnPanic: boolean;
}

/** Envoy routes by zones wherever there is a local cluster, unless something else is said. */
export const defaultLocalityChoice: LocalityChoice = {
  weighted: false,
  routingPercent: 100,
  minClusterSize: 6,
  failOnPanic: false,
};

/** Both messages have the same oneof. */
export function readLocalityChoice(
  level: MessageReader<Cluster_CommonLbConfig> | MessageReader<LocalityLbConfig>,
): LocalityChoice {
  const r = level as MessageReader<LocalityLbConfig>;
  const specifier = r.take('localityConfigSpecifier');
  switch (specifier.case) {
    case undefined:
      return defaultLocalityChoice;
    case 'localityWeightedLbConfig':
      return { ...defaultLocalityChoice, weighted: true };
    case 'zoneAwareLbConfig':
      return r.within('zoneAwareLbConfig', specifier.value, (z) => ({
        weighted: false,
        routingPercent: Math.round(z.inside('routingEnabled', (p) => p.take('value')) ?? 100),
        minClusterSize: Number(z.take('minClusterSize') ?? defaultLocalityChoice.minClusterSize),
        failOnPanic: z.take('failTrafficOnPanic'),
      }));
  }
}

type LocalityBalancing = Pick<ClusterSpec, 'localityWeighted' | 'zones' | 'failOnPanic'>;

/** Keys of the runtime stand above what the cluster says, for every cluster alike. */
export function localityBalancing(
  choice: LocalityChoice,
  cluster: Pick<ClusterSpec, 'name' | 'lb'>,
  { localCluster = '', node }: CompileEnvironment,
  runtime: RuntimeValues,
): LocalityBalancing {
  const canRoute = cluster.lb === 'round_robin' || cluster.lb === 'least_request' || cluster.lb === 'random';
  const rules = { localityWeighted: choice.weighted, failOnPanic: canRoute && choice.failOnPanic };
  if (!canRoute || localCluster === '' || localCluster === cluster.name) return { ...rules, zones: null };
  const zones = {
    localCluster,
    locality: node?.locality ?? '',
    routingPercent: runtime.whole('upstream.zone_routing.enabled', choice.routingPercent),
    minClusterSize: runtime.whole('upstream.zone_routing.min_cluster_size', choice.minClusterSize),
    direct: runtime.flag('upstream.zone_routing.force_locality_direct_routing', false),
  };
  return { ...rules, zones };
}

/** One text for a locality; '' for one that says nothing. */
export function readLocality(r: MessageReader<Locality>): string {
  const named = [r.take('region'), r.take('zone'), r.take('subZone')].join('/');
  return named === '//' ? '' : named;
}
