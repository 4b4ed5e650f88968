/** Cumulative histogram buckets (`le`), their difference over a window, and percentiles between their bounds. */

/** Upper bound (milliseconds; the last one infinite) and the number of values at or below it, in rising order. */
export type Buckets = readonly { readonly le: number; readonly count: number }[];

/** Sums histograms of several agents bucket by bucket; all agents use the same bounds. */
export function addBuckets(all: readonly Buckets[]): Buckets {
  const byBound = new Map<number, number>();
  for (const buckets of all) for (const b of buckets) byBound.set(b.le, (byBound.get(b.le) ?? 0) + b.count);
  return [...byBound].map(([le, count]) => ({ le, count })).sort((a, b) => a.le - b.le);
}

/** What came between two readings. An agent that restarted counts from zero: its new total is what came. */
export function subtractBuckets(now: Buckets, before: Buckets): Buckets {
  const old = new Map(before.map((b) => [b.le, b.count]));
  const restarted = now.some((b) => b.count < (old.get(b.le) ?? 0));
  return restarted ? now : now.map((b) => ({ le: b.le, count: b.count - (old.get(b.le) ?? 0) }));
}

/**
 * The value below which the share q (0..1) lies, assuming an even spread inside a bucket, as Prometheus'
 * histogram_quantile does; null without values. Values beyond the last finite bound give that bound.
 */
export function quantile(buckets: Buckets, q: number): number | null {
  const total = buckets.at(-1)?.count ?? 0;
  if (total <= 0) return null;
  const rank = q * total;
  let below = 0;
  let floor = 0;
  for (const { le, count } of buckets) {
    if (count >= rank && count > below) {
      return Number.isFinite(le) ? floor + (le - floor) * ((rank - below) / (count - below)) : floor;
    }
    below = count;
    floor = Number.isFinite(le) ? le : floor;
  }
  return floor;
}
