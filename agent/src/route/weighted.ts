/** Which of a route's weighted clusters takes a request. */
import type { WeightedClusterSpec } from '../model/listener.ts';

/** random is [0, 1). Null when there is no cluster or all weights are 0. */
export function pickWeighted(clusters: readonly WeightedClusterSpec[], random: () => number): string | null {
  const [first] = clusters;
  if (first === undefined) return null;
  if (clusters.length === 1) return first.name;
  const total = clusters.reduce((sum, cluster) => sum + cluster.weight, 0);
  let left = Math.floor(random() * total);
  for (const cluster of clusters) {
    left -= cluster.weight;
    if (left < 0) return cluster.name;
  }
  return null;
}
