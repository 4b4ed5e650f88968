/** Quantiles and cumulative buckets out of the log-linear histograms. */
import { bucketFloor, histogramBuckets } from './layout.ts';

/** The ones Envoy prints, in percent. */
export const supportedQuantiles = [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100] as const;

/** Upper bounds of Envoy's Prometheus buckets. */
export const prometheusBounds = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
] as const;

/** The value at each quantile (percent, ascending), interpolated inside a bucket; whole numbers below 16 are exact. */
export function quantiles(buckets: Float64Array, count: number, percents: readonly number[]): readonly number[] {
  return percents.map((percent) => quantile(buckets, count, percent));
}

function quantile(buckets: Float64Array, count: number, percent: number): number {
  const rank = Math.max(1, Math.ceil((count * percent) / 100));
  let below = 0;
  for (let i = 0; i < histogramBuckets; i++) {
    const inside = buckets[i] ?? 0;
    if (inside > 0 && below + inside >= rank) {
      const floor = bucketFloor(i);
      const width = bucketFloor(i + 1) - floor;
      return width <= 1 ? floor : floor + (width - 1) * ((rank - below) / inside);
    }
    below += inside;
  }
  return 0;
}

/** How many values are at or below each bound (ascending). A bucket that a bound cuts counts in proportion. */
export function cumulative(buckets: Float64Array, bounds: readonly number[]): readonly number[] {
  return bounds.map((bound) => {
    let sum = 0;
    for (let i = 0; i < histogramBuckets; i++) {
      const floor = bucketFloor(i);
      if (floor > bound) break;
      const width = bucketFloor(i + 1) - floor;
      const covered = Math.min(1, (Math.floor(bound) - floor + 1) / width);
      sum += Math.floor((buckets[i] ?? 0) * covered);
    }
    return sum;
  });
}
