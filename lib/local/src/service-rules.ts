/**
 * The translation of Service addresses for pods without an agent: an iptables-restore text per family, for a
 * network namespace that is ours alone, so the whole table is replaced in one step. Pure.
 */
import { type Family, familyOf } from './address-plan.ts';
import type { EndpointSlice, Service } from './pod.ts';

/** Marks a connection from a pod to itself through its Service: it needs the node's address as source. */
const hairpinMark = '0x4000';

interface Target {
  readonly vip: string;
  readonly port: number;
  readonly protocol: string;
  readonly endpoints: readonly { readonly address: string; readonly port: number }[];
}

function targetsOf(service: Service, slices: readonly EndpointSlice[]): Target[] {
  const vips = (service.spec.clusterIPs ?? []).filter((ip) => ip !== 'None');
  return vips.flatMap((vip) =>
    (service.spec.ports ?? []).map((p) => ({
      vip,
      port: p.port,
      protocol: (p.protocol ?? 'TCP').toLowerCase(),
      endpoints: slices
        .filter((s) => s.addressType === familyOf(vip))
        .flatMap((s) => {
          const port = s.ports.find((sp) => sp.name === (p.name ?? ''))?.port;
          if (port === undefined) return [];
          return s.endpoints
            .filter((e) => e.conditions.ready)
            .flatMap((e) => e.addresses.map((address) => ({ address, port })));
        }),
    })),
  );
}

function natLines(t: Target, chain: string, family: Family): string[] {
  const bits = family === 'IPv4' ? 32 : 128;
  const lines = [`-A SERVICES -d ${t.vip}/${bits} -p ${t.protocol} --dport ${t.port} -j ${chain}`];
  t.endpoints.forEach((e, i) => {
    const left = t.endpoints.length - i;
    const chance = left === 1 ? '' : ` -m statistic --mode random --probability ${(1 / left).toFixed(10)}`;
    const to = family === 'IPv4' ? `${e.address}:${e.port}` : `[${e.address}]:${e.port}`;
    lines.push(`-A ${chain}${chance} -j ${chain}_${i}`);
    lines.push(`-A ${chain}_${i} -s ${e.address}/${bits} -j MARK --set-mark ${hairpinMark}`);
    lines.push(`-A ${chain}_${i} -p ${t.protocol} -j DNAT --to-destination ${to}`);
  });
  return lines;
}

export interface ServiceWithSlices {
  readonly service: Service;
  readonly slices: readonly EndpointSlice[];
}

/** Input for `iptables-restore` (IPv4) or `ip6tables-restore` (IPv6): nat, and a refusal where nobody is ready. */
export function serviceRules(services: readonly ServiceWithSlices[], family: Family): string {
  const targets = services.flatMap((s) => targetsOf(s.service, s.slices)).filter((t) => familyOf(t.vip) === family);
  const live = targets.filter((t) => t.endpoints.length > 0);
  const empty = targets.filter((t) => t.endpoints.length === 0);
  const bits = family === 'IPv4' ? 32 : 128;
  const reject = family === 'IPv4' ? 'icmp-port-unreachable' : 'icmp6-port-unreachable';
  const chains = live.flatMap((t, n) => [`:S${n} - [0:0]`, ...t.endpoints.map((_, i) => `:S${n}_${i} - [0:0]`)]);
  return [
    '*nat',
    ':PREROUTING ACCEPT [0:0]',
    ':OUTPUT ACCEPT [0:0]',
    ':POSTROUTING ACCEPT [0:0]',
    ':SERVICES - [0:0]',
    ...chains,
    '-A PREROUTING -j SERVICES',
    '-A OUTPUT -j SERVICES',
    `-A POSTROUTING -m mark --mark ${hairpinMark}/${hairpinMark} -j MASQUERADE`,
    ...live.flatMap((t, n) => natLines(t, `S${n}`, family)),
    'COMMIT',
    '*filter',
    ':FORWARD ACCEPT [0:0]',
    ':OUTPUT ACCEPT [0:0]',
    ...['FORWARD', 'OUTPUT'].flatMap((chain) =>
      empty.map(
        (t) => `-A ${chain} -d ${t.vip}/${bits} -p ${t.protocol} --dport ${t.port} -j REJECT --reject-with ${reject}`,
      ),
    ),
    'COMMIT',
    '',
  ].join('\n');
}
