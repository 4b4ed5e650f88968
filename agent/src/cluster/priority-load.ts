/**
 * How the load is spread over priorities and when health is disregarded (panic): Envoy's rules, as pure arithmetic.
 * With 1 of 2 hosts of priority 0 healthy, 70 % stay there: each healthy host may carry 1.4 times its share.
 */

export interface PriorityHealth {
  readonly total: number;
  readonly healthy: number;
  readonly degraded: number;
}

export interface Share {
  readonly priority: number;
  /** all: panic, health is disregarded. */
  readonly source: 'healthy' | 'degraded' | 'all';
  /** The shares add up to 100, or there are none. */
  readonly percent: number;
}

const overprovisioningPercent = 140;
/** How many times its share a healthy host may carry. */
export const overprovisioning: number = overprovisioningPercent / 100;

/** panicThreshold in percent; 0 never panics. */
export function priorityLoad(priorities: readonly PriorityHealth[], panicThreshold: number): readonly Share[] {
  const healthy = priorities.map((p) => capacity(p.healthy, p.total));
  const degraded = priorities.map((p) => capacity(p.degraded, p.total));
  const available = Math.min(100, sum(healthy) + sum(degraded));
  if (available === 0) return panicThreshold > 0 ? byHosts(priorities) : [];
  const panics = priorities.map((p) => available < 100 && usableShare(p) < panicThreshold);
  if (panics.every(Boolean)) return byHosts(priorities);
  const shares = [...portions(healthy, available, 'healthy'), ...portions(degraded, available, 'degraded')];
  return fillUp(shares).map((share) => (panics[share.priority] === true ? { ...share, source: 'all' } : share));
}

function capacity(hosts: number, total: number): number {
  return total === 0 ? 0 : Math.min(100, Math.floor((overprovisioningPercent * hosts) / total));
}

function usableShare({ total, healthy, degraded }: PriorityHealth): number {
  return total === 0 ? 0 : (100 * (healthy + degraded)) / total;
}

function portions(capacities: readonly number[], available: number, source: Share['source']): Share[] {
  return capacities.map((of, priority) => ({ priority, source, percent: Math.floor((of * 100) / available) }));
}

/** Cuts the shares off at 100 and gives what rounding lost to the first. */
function fillUp(portioned: readonly Share[]): Share[] {
  let left = 100;
  const shares: Share[] = [];
  for (const share of portioned) {
    const percent = Math.min(left, share.percent);
    left -= percent;
    if (percent > 0) shares.push({ ...share, percent });
  }
  return shares.map((share, i) => (i === 0 ? { ...share, percent: share.percent + left } : share));
}

/** Every priority is in panic: load goes by the number of hosts. */
function byHosts(priorities: readonly PriorityHealth[]): Share[] {
  const total = sum(priorities.map((p) => p.total));
  if (total === 0) return [];
  const shares = priorities.map((p, priority) => ({
    priority,
    source: 'all' as const,
    percent: Math.floor((100 * p.total) / total),
  }));
  return fillUp(shares);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
