/** Addresses of STRICT_DNS and LOGICAL_DNS clusters, looked up again and again on the main thread. */
import { lookup, Resolver } from 'node:dns/promises';
import { Backoff, type Clock, type Logger, messageOf, type Timer } from '@chainmail/runtime';
import { canonicalIp } from '../config/address.ts';
import type { DnsSpec } from '../config/cluster.ts';
import type { EndpointSpec } from '../model/cluster.ts';
import { isIP, isIPv4, isIPv6 } from '../sys/ip-text.ts';

export interface Resolved {
  readonly addresses: readonly string[];
  /** null where the resolver does not say. */
  readonly ttlMs: number | null;
}

export type ResolveHost = (host: string, family: DnsSpec['family'], wantTtl: boolean) => Promise<Resolved>;

export interface DnsClustersOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly resolve?: ResolveHost;
  /** Takes the endpoints of a cluster, each time they may have changed. */
  readonly onResolved: (cluster: string, endpoints: readonly EndpointSpec[]) => void;
}

interface Watch {
  readonly dns: DnsSpec;
  timer: Timer | null;
  last: string;
  readonly backoff: Backoff;
}

export class DnsClusters {
  readonly #options: DnsClustersOptions;
  readonly #watches = new Map<string, Watch>();

  constructor(options: DnsClustersOptions) {
    this.#options = options;
  }

  /** Watches exactly these clusters from now on. */
  sync(clusters: ReadonlyMap<string, DnsSpec>): void {
    for (const [name, watch] of this.#watches) {
      if (clusters.get(name) === watch.dns) continue;
      watch.timer?.cancel();
      this.#watches.delete(name);
    }
    for (const [name, dns] of clusters) {
      if (this.#watches.has(name)) continue;
      const ours = { baseMs: Math.min(dns.refreshMs, 1_000), maxMs: Math.max(dns.refreshMs, 30_000) };
      const backoff = new Backoff(dns.failure ?? ours);
      const watch: Watch = { dns, timer: null, last: '', backoff };
      this.#watches.set(name, watch);
      void this.#look(name, watch);
    }
  }

  stop(): void {
    this.sync(new Map());
  }

  async #look(name: string, watch: Watch): Promise<void> {
    let nextMs: number;
    try {
      const { endpoints, ttlMs } = await this.#resolveAll(watch.dns);
      watch.backoff.reset();
      nextMs = watch.dns.respectTtl && ttlMs !== null ? Math.max(1_000, ttlMs) : watch.dns.refreshMs;
      if (this.#watches.get(name) === watch) this.#report(name, watch, endpoints);
    } catch (error) {
      nextMs = watch.backoff.next();
      this.#options.log.warn({ cluster: name, reason: messageOf(error) }, 'name not resolved; known addresses stay');
      // An empty answer lets start-up go on; later failures keep what is known.
      if (watch.last === '' && this.#watches.get(name) === watch) this.#report(name, watch, []);
    }
    if (this.#watches.get(name) !== watch) return;
    watch.timer = this.#options.clock.after(nextMs, () => void this.#look(name, watch));
  }

  #report(name: string, watch: Watch, endpoints: readonly EndpointSpec[]): void {
    const text = JSON.stringify(endpoints);
    if (text === watch.last) return;
    watch.last = text;
    this.#options.onResolved(name, endpoints);
  }

  async #resolveAll(
    dns: DnsSpec,
  ): Promise<{ readonly endpoints: readonly EndpointSpec[]; readonly ttlMs: number | null }> {
    const resolve = this.#options.resolve ?? resolveHost;
    const found = await Promise.all(
      dns.endpoints.map(async (endpoint) => {
        const host = endpoint.address.ip;
        if (isIP(host)) return { endpoints: [endpoint], ttlMs: null };
        const { addresses, ttlMs } = await resolve(host, dns.family, dns.respectTtl);
        const used = dns.all ? addresses : addresses.slice(0, 1);
        return {
          ttlMs,
          endpoints: used.map((ip) => ({ ...endpoint, address: { ...endpoint.address, ip: canonicalIp(ip) } })),
        };
      }),
    );
    const ttls = found.flatMap((f) => (f.ttlMs === null ? [] : [f.ttlMs]));
    return { endpoints: found.flatMap((f) => f.endpoints), ttlMs: ttls.length === 0 ? null : Math.min(...ttls) };
  }
}

/** The system's resolver, which knows /etc/hosts; a lookup that must know the TTL asks the name server itself. */
export const resolveHost: ResolveHost = async (host, family, wantTtl) => {
  if (wantTtl) {
    const records = await withTtl(host, family).catch(() => []);
    if (records.length > 0) {
      return { addresses: records.map((r) => r.address), ttlMs: Math.min(...records.map((r) => r.ttl)) * 1_000 };
    }
  }
  const all = (await lookup(host, { all: true })).map((a) => a.address);
  return { addresses: ofFamily(all, family), ttlMs: null };
};

async function withTtl(host: string, family: DnsSpec['family']): Promise<readonly { address: string; ttl: number }[]> {
  const resolver = new Resolver({ timeout: 5_000, tries: 2 });
  const v4 = family === 'v6_only' ? [] : await resolver.resolve4(host, { ttl: true }).catch(() => []);
  const v6 = family === 'v4_only' ? [] : await resolver.resolve6(host, { ttl: true }).catch(() => []);
  const wanted = new Set(
    ofFamily(
      [...v4, ...v6].map((r) => r.address),
      family,
    ),
  );
  return [...v4, ...v6].filter((r) => wanted.has(r.address));
}

/** Envoy's families: AUTO takes IPv6 and falls back to IPv4, V4_PREFERRED the other way round. */
export function ofFamily(addresses: readonly string[], family: DnsSpec['family']): readonly string[] {
  const v4 = addresses.filter(isIPv4);
  const v6 = addresses.filter(isIPv6);
  switch (family) {
    case 'v4_only':
      return v4;
    case 'v6_only':
      return v6;
    case 'auto':
      return v6.length > 0 ? v6 : v4;
    case 'v4_preferred':
      return v4.length > 0 ? v4 : v6;
    case 'all':
      return addresses;
  }
}
