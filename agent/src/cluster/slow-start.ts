/**
 * Slow start: a host that has just come, or just come back to health, gets a growing share of its weight, so that cold
 * caches are not met with a full load. Envoy's arithmetic.
 */
import type { SlowStartSpec } from '../model/cluster.ts';
import type { ClusterHost } from './host.ts';

export class SlowStart {
  readonly #spec: SlowStartSpec;
  readonly #nowMs: () => number;

  constructor(spec: SlowStartSpec, nowMs: () => number) {
    this.#spec = spec;
    this.#nowMs = nowMs;
  }

  /** When the last of these hosts has its whole weight; in the past when all have. */
  endMs(hosts: readonly ClusterHost[]): number {
    return Math.max(0, ...hosts.map((host) => host.freshSinceMs)) + this.#spec.windowMs;
  }

  isOver(endMs: number): boolean {
    return this.#nowMs() >= endMs;
  }

  /** Weight of a host now: its own times (time / window) ^ (1 / aggression), but at least the minimal share. */
  weightOf(host: ClusterHost): number {
    const { windowMs, aggression, minShare } = this.#spec;
    const sinceMs = this.#nowMs() - host.freshSinceMs;
    if (sinceMs >= windowMs) return host.weight;
    const elapsed = Math.max(1, sinceMs) / windowMs;
    const share = aggression === 1 ? elapsed : elapsed ** (1 / aggression);
    return host.weight * Math.min(1, Math.max(share, minShare));
  }
}
