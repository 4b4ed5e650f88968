/** The names of the cluster, as Kubernetes' DNS specification gives them, from Services and their EndpointSlices. Pure. */
import { type Answer, type Question, recordTypes } from './dns-message.ts';
import type { ServiceWithSlices } from './service-rules.ts';

const known = new Set<number>(Object.values(recordTypes));

function headlessAddresses(entry: ServiceWithSlices, hostname: string | undefined): string[] {
  const endpoints = entry.slices.flatMap((s) => s.endpoints).filter((e) => e.conditions.ready);
  const wanted = hostname === undefined ? endpoints : endpoints.filter((e) => e.hostname === hostname);
  return wanted.flatMap((e) => e.addresses);
}

/** A look-up over the services of this moment; the domain is the cluster's, such as `cluster.local`. */
export function dnsZone(services: readonly ServiceWithSlices[], domain: string): (q: Question) => Answer {
  const byName = new Map<string, ServiceWithSlices>();
  const namespaces = new Set<string>();
  for (const s of services) {
    const { name = '', namespace = 'default' } = s.service.metadata;
    byName.set(`${name}.${namespace}.svc.${domain}`.toLowerCase(), s);
    namespaces.add(`${namespace}.svc.${domain}`.toLowerCase());
  }
  const parents = new Set([domain, `svc.${domain}`, ...namespaces]);
  const find = (name: string): readonly string[] | undefined => {
    const entry = byName.get(name);
    if (entry !== undefined) {
      const vips = (entry.service.spec.clusterIPs ?? []).filter((ip) => ip !== 'None');
      return vips.length > 0 ? vips : headlessAddresses(entry, undefined);
    }
    const dot = name.indexOf('.');
    const parent = byName.get(name.slice(dot + 1));
    if (parent === undefined || parent.service.spec.clusterIP !== 'None') return undefined;
    const pods = headlessAddresses(parent, name.slice(0, dot));
    return pods.length > 0 ? pods : undefined;
  };
  return (q) => {
    if (q.opcode !== 0 || q.class !== 1) return { code: 'notImplemented' };
    const addresses = find(q.name);
    if (addresses !== undefined) return { code: 'noError', addresses: known.has(q.type) ? addresses : [] };
    return parents.has(q.name) ? { code: 'noError', addresses: [] } : { code: 'nameError' };
  };
}
