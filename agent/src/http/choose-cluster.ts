/** Which of a route's clusters a request goes to: by weight, by a header's number, or by a header's name. */
import type { Cluster } from '../cluster/cluster.ts';
import type { RouteActionSpec } from '../model/http.ts';
import { pickByValue, pickWeightedIndex } from '../route/weighted.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import type { RequestView } from './request-view.ts';

/** Index among the route's clusters. */
export function chooseCluster(action: RouteActionSpec, view: RequestView, random: () => number): number {
  const { clusters, weightHeader } = action;
  if (clusters.length <= 1) return 0;
  const chosen = weightHeader ? pickByValue(clusters, view.header(weightHeader) ?? '') : null;
  return chosen ?? pickWeightedIndex(clusters, random);
}

export function findCluster(
  action: RouteActionSpec,
  index: number,
  view: RequestView,
  runtime: WorkerRuntime,
): Cluster | null {
  const name = action.clusterHeader === '' ? (action.clusters[index]?.name ?? null) : view.header(action.clusterHeader);
  const cluster = name === null ? null : (runtime.cluster(name) ?? null);
  return action.highPriority === true && cluster !== null ? cluster.high : cluster;
}
