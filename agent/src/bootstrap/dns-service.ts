/** The DNS listeners of the configuration. What serves them is loaded when there is the first one. */
import fs from 'node:fs';
import type { Clock, Logger } from '@chainmail/runtime';
import type { DnsProxies } from '../dns/dns-proxies.ts';
import type { DnsListenerSpec } from '../model/dns.ts';
import type { StatRegistry } from '../stats/registry.ts';
import type { ServerState } from './server-state.ts';

const resolvConf = '/etc/resolv.conf';

export interface DnsServiceOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly registry: StatRegistry;
  readonly state: ServerState;
}

export class DnsService {
  readonly #options: DnsServiceOptions;
  #proxies: Promise<DnsProxies> | null = null;
  #listeners: readonly DnsListenerSpec[] = [];

  constructor(options: DnsServiceOptions) {
    this.#options = options;
  }

  /** Serves exactly these from now on. Null when it does already, else what resolves when they are open. */
  sync(listeners: readonly DnsListenerSpec[]): Promise<void> | null {
    const before = this.#listeners;
    if (listeners.length === before.length && listeners.every((spec, i) => spec === before[i])) return null;
    this.#listeners = listeners;
    this.#proxies ??= this.#load();
    return this.#proxies.then((proxies) => (this.#options.state.isStopping ? undefined : proxies.sync(listeners)));
  }

  async #load(): Promise<DnsProxies> {
    const { clock, log, registry } = this.#options;
    const { DnsProxies: Proxies } = await import('../dns/dns-proxies.ts');
    const proxies = new Proxies({ clock, log, readResolvConf: () => readText(resolvConf) });
    registry.addSource(() => proxies.stats());
    return proxies;
  }

  stop(): void {
    void this.#proxies?.then((proxies) => proxies.stop());
  }
}

/** '' when there is no such file. */
function readText(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
