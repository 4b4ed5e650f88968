/**
 * A cluster whose hosts are the addresses that connections asked for. Each is made on first use and forgotten when
 * nobody has asked for it for a minute; their number is bounded, since a client chooses them.
 */
import type { EndpointSpec } from '../model/cluster.ts';
import type { AddressSpec } from '../model/listener.ts';
import { clusterStat } from '../stats/layout.ts';
import type { TimerHandle } from '../worker/runtime.ts';
import { BaseCluster } from './base-cluster.ts';
import type { Pick, PickContext } from './cluster.ts';
import { ClusterHost, hostKey, labelOf } from './host.ts';

export const maxDestinations = 8192;
export const destinationIdleMs = 60_000;
const sweepMs = 15_000;

const noneHealthy: Pick = { kind: 'none-healthy' };
const noDestination: Pick = { kind: 'no-destination' };

interface Destination {
  readonly host: ClusterHost;
  readonly pick: Pick;
  usedMs: number;
}

export class OriginalDstCluster extends BaseCluster {
  readonly #destinations = new Map<string, Destination>();
  #sweep: TimerHandle | null = null;

  pick({ destination }: PickContext): Pick {
    if (destination === null || destination.port === 0) return noDestination;
    const found = this.#destinations.get(labelOf(destination)) ?? this.#add(destination);
    if (found === null) return noneHealthy;
    found.usedMs = this.runtime.clock.nowMs;
    return found.pick;
  }

  /** It has no endpoints of its own. */
  setEndpoints(): void {}

  override update(spec: typeof this.spec): void {
    const tlsChanged = spec.tls?.key !== this.spec.tls?.key;
    super.update(spec);
    if (tlsChanged) this.#forget(() => true);
  }

  close(): void {
    this.#sweep?.cancel();
    this.#sweep = null;
    this.#forget(() => true);
  }

  protected hosts(): readonly ClusterHost[] {
    return [...this.#destinations.values()].map(({ host }) => host);
  }

  #add(address: AddressSpec): Destination | null {
    if (this.#destinations.size >= maxDestinations) this.#forget(isUnused);
    if (this.#destinations.size >= maxDestinations) {
      this.count(clusterStat.at.upstream_cx_none_healthy);
      return null;
    }
    const endpoint = endpointOf(address);
    const host = new ClusterHost(hostKey(endpoint, this.spec.tls), endpoint, this.spec.tls);
    const added: Destination = { host, pick: { kind: 'host', host }, usedMs: 0 };
    this.#destinations.set(host.label, added);
    this.#membershipChanged();
    this.#sweepLater();
    return added;
  }

  #sweepLater(): void {
    this.#sweep ??= this.runtime.timers.after(sweepMs, () => {
      this.#sweep = null;
      const before = this.runtime.clock.nowMs - destinationIdleMs;
      this.#forget((destination) => destination.usedMs <= before && isUnused(destination));
      if (this.#destinations.size > 0) this.#sweepLater();
    });
  }

  #forget(which: (destination: Destination) => boolean): void {
    const gone = [...this.#destinations].filter(([, destination]) => which(destination));
    for (const [label, { host }] of gone) {
      this.#destinations.delete(label);
      host.retire();
    }
    if (gone.length > 0) this.#membershipChanged();
  }

  #membershipChanged(): void {
    this.count(clusterStat.at.membership_change);
    this.showMembership(this.#destinations.size, this.#destinations.size);
  }
}

/** Nothing in flight: what connections it has are idle ones of its pool, which retiring closes. */
function isUnused({ host }: Destination): boolean {
  return host.activeRequests === 0 && (host.activeConnections === 0 || host.pool !== null);
}

function endpointOf(address: AddressSpec): EndpointSpec {
  return { address, hostname: '', health: 'healthy', weight: 1, priority: 0, locality: '', socketMatch: {} };
}
