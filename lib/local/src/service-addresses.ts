/** Gives Services their cluster addresses and remembers them in a file, so that they survive a restart. */
import fs from 'node:fs';
import { addressAt, addressPlan, NumberPool, numberOf } from './address-plan.ts';
import { writeAtomically } from './component.ts';
import { serviceFamilies } from './endpoints.ts';
import type { Service } from './pod.ts';

/** The first ten are kept free, as Kubernetes keeps a band for addresses that somebody asks for. */
const firstNumber = 16;

function known(file: string): Readonly<Record<string, number>> {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as Record<string, number>;
  } catch {
    return {}; // the first start, or a file cut short by a crash: new addresses do no harm
  }
}

export class ServiceAddresses {
  readonly #file: string;
  readonly #pool: NumberPool;
  #saved = '';

  constructor(file: string) {
    this.#file = file;
    this.#pool = new NumberPool(firstNumber, known(file));
  }

  /** The Service with clusterIP, clusterIPs and ipFamilies set; a headless one stays headless. */
  assign(service: Service): Service {
    const families = serviceFamilies(service);
    if (service.spec.clusterIP === 'None') {
      return { ...service, spec: { ...service.spec, clusterIPs: ['None'], ipFamilies: families } };
    }
    const owner = `${service.metadata.namespace}/${service.metadata.name}`;
    const asked = service.spec.clusterIP;
    if (asked?.startsWith('10.78.') === true) this.#pool.claim(owner, numberOf(asked));
    const n = this.#pool.take(owner);
    const { serviceV4, serviceV6 } = addressPlan;
    const clusterIPs = families.map((f) => addressAt(f === 'IPv4' ? serviceV4 : serviceV6, n));
    return { ...service, spec: { ...service.spec, clusterIP: clusterIPs[0] ?? '', clusterIPs, ipFamilies: families } };
  }

  /** Forgets Services that are gone, and writes the file when anything has changed. */
  save(owners: ReadonlySet<string>): void {
    for (const owner of Object.keys(this.#pool.snapshot())) if (!owners.has(owner)) this.#pool.release(owner);
    const text = JSON.stringify(this.#pool.snapshot());
    if (text === this.#saved) return;
    this.#saved = text;
    writeAtomically(this.#file, text, 0o600);
  }
}
