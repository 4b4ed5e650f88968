/** Services made to work: addresses, EndpointSlices, the node's translation rules, and the DNS zone over them. */
import type { Logger } from '@chainmail/runtime';
import type { Family } from './address-plan.ts';
import { run } from './command.ts';
import { endpointSlices } from './endpoints.ts';
import type { NamedPod, Service } from './pod.ts';
import type { ServiceAddresses } from './service-addresses.ts';
import { type ServiceWithSlices, serviceRules } from './service-rules.ts';

const restore: Readonly<Record<Family, string>> = { IPv4: 'iptables-restore', IPv6: 'ip6tables-restore' };

export class ServiceSet {
  readonly #addresses: ServiceAddresses;
  readonly #log: Logger;
  readonly #applied = new Map<Family, string>();
  #services: readonly ServiceWithSlices[] = [];
  #applying: Promise<void> = Promise.resolve();

  constructor(addresses: ServiceAddresses, log: Logger) {
    this.#addresses = addresses;
    this.#log = log;
  }

  get all(): readonly ServiceWithSlices[] {
    return this.#services;
  }

  /** Takes the services and pods of this moment; the rules follow in the background, in order. */
  update(services: Iterable<Service>, pods: readonly NamedPod[]): void {
    const assigned = [...services].map((s) => this.#addresses.assign(s));
    this.#addresses.save(new Set(assigned.map((s) => `${s.metadata.namespace}/${s.metadata.name}`)));
    this.#services = assigned.map((service) => ({ service, slices: endpointSlices(service, pods) }));
    for (const family of ['IPv4', 'IPv6'] as const) this.#apply(family, serviceRules(this.#services, family));
  }

  #apply(family: Family, rules: string): void {
    if (this.#applied.get(family) === rules) return;
    this.#applied.set(family, rules);
    this.#applying = this.#applying
      .then(() => run(restore[family], [], rules))
      .then(() => undefined)
      .catch((error: unknown) => {
        this.#applied.delete(family);
        this.#log.error({ err: error, family }, 'Service rules were not applied');
      });
  }
}
