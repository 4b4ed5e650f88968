/** Which of a route's weighted clusters takes a request. */
import type { WeightedClusterSpec } from '../model/listener.ts';

/** random is [0, 1). Null when there is no cluster or all weights are 0. */
export function pickWeighted(
  clusters: readonly WeightedClusterSpec[],
  random: () => number,
): WeightedClusterSpec | null {
  return clusters[pickWeightedIndex(clusters, random)] ?? null;
}

/** The same as an index, or -1. */
export function pickWeightedIndex(clusters: readonly WeightedClusterSpec[], random: () => number): number {
  if (clusters.length === 1) return 0;
  return at(clusters, Math.floor(random() * totalOf(clusters)));
}

/** A number that the caller chose, modulo the sum of the weights; null when the text is no number. */
export function pickByValue(clusters: readonly WeightedClusterSpec[], value: string): number | null {
  const total = totalOf(clusters);
  if (total === 0 || !/^[0-9]{1,20}$/.test(value)) return null;
  const chosen = BigInt(value);
  return chosen > 0xffff_ffff_ffff_ffffn ? null : at(clusters, Number(chosen % BigInt(total)));
}

function totalOf(clusters: readonly WeightedClusterSpec[]): number {
  return clusters.reduce((sum, cluster) => sum + cluster.weight, 0);
}

function at(clusters: readonly WeightedClusterSpec[], value: number): number {
  let left = value;
  return clusters.findIndex((cluster) => {
    left -= cluster.weight;
    return left < 0;
  });
}
