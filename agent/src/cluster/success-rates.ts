/**
 * Which hosts stand out by their share of successes over one interval: far below the others (mean and deviation), or
 * failing more than a share allows. Pure arithmetic, Envoy's.
 */

/** What one host did in an interval. */
export interface RateCount {
  successes: number;
  total: number;
}

export interface RateLimits {
  readonly minimumHosts: number;
  /** Requests in the interval; hosts with fewer do not count. */
  readonly requestVolume: number;
}

interface Rated<H> {
  readonly host: H;
  readonly percent: number;
}

function rated<H>(counts: Iterable<readonly [H, RateCount]>, limits: RateLimits): readonly Rated<H>[] {
  const enough = [...counts].filter(([, count]) => count.total > 0 && count.total >= limits.requestVolume);
  if (enough.length === 0 || enough.length < limits.minimumHosts) return [];
  return enough.map(([host, { successes, total }]) => ({ host, percent: (100 * successes) / total }));
}

/** Hosts more than stdevFactor deviations below the mean. */
export function belowTheOthers<H>(
  counts: Iterable<readonly [H, RateCount]>,
  limits: RateLimits,
  stdevFactor: number,
): readonly H[] {
  const rates = rated(counts, limits);
  const mean = rates.reduce((sum, { percent }) => sum + percent, 0) / rates.length;
  const variance = rates.reduce((sum, { percent }) => sum + (percent - mean) ** 2, 0) / rates.length;
  const least = mean - stdevFactor * Math.sqrt(variance);
  return rates.filter(({ percent }) => percent < least).map(({ host }) => host);
}

/** Hosts of which at least thresholdPercent of the requests failed. */
export function failingTooOften<H>(
  counts: Iterable<readonly [H, RateCount]>,
  limits: RateLimits,
  thresholdPercent: number,
): readonly H[] {
  return rated(counts, limits)
    .filter(({ percent }) => 100 - percent >= thresholdPercent)
    .map(({ host }) => host);
}
