/** The DNS listeners that the configuration has now, opened, changed in place, and closed as it changes. */
import { type Clock, type Logger, messageOf } from '@chainmail/runtime';
import type { DnsListenerSpec } from '../model/dns.ts';
import type { MainStat } from '../stats/registry.ts';
import { DnsProxy } from './dns-proxy.ts';

/** An address that is taken may be free later. */
const retryMs = 5_000;

export interface DnsProxiesOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly readResolvConf: () => string;
}

export class DnsProxies {
  readonly #options: DnsProxiesOptions;
  readonly #proxies = new Map<string, DnsProxy>();

  constructor(options: DnsProxiesOptions) {
    this.#options = options;
  }

  /** Serves exactly these from now on. Resolves when what is new is open, or could not be opened. */
  async sync(listeners: readonly DnsListenerSpec[]): Promise<void> {
    for (const [name, proxy] of this.#proxies) {
      const spec = listeners.find((l) => l.name === name);
      if (spec === proxy.spec) continue;
      if (spec !== undefined && isServedAlike(spec, proxy.spec)) proxy.update(spec);
      else {
        proxy.close();
        this.#proxies.delete(name);
      }
    }
    const fresh = listeners.filter((spec) => !this.#proxies.has(spec.name));
    await Promise.all(fresh.map((spec) => this.#open(spec)));
  }

  async #open(spec: DnsListenerSpec): Promise<void> {
    const { clock, log } = this.#options;
    const proxy = new DnsProxy(spec, this.#options);
    this.#proxies.set(spec.name, proxy);
    try {
      await proxy.listen();
      if (this.#proxies.get(spec.name) !== proxy) proxy.close();
    } catch (error) {
      log.error({ listener: spec.name, reason: messageOf(error) }, 'DNS listener cannot be opened');
      clock.after(retryMs, () => {
        if (this.#proxies.get(spec.name) === proxy) void this.#open(proxy.spec);
      });
    }
  }

  *stats(): Iterable<MainStat> {
    for (const { spec, stats } of this.#proxies.values()) yield* stats.all(spec.statPrefix);
  }

  stop(): void {
    for (const proxy of this.#proxies.values()) proxy.close();
    this.#proxies.clear();
  }
}

function isServedAlike(a: DnsListenerSpec, b: DnsListenerSpec): boolean {
  return JSON.stringify(a.addresses) === JSON.stringify(b.addresses) && a.statPrefix === b.statPrefix;
}
