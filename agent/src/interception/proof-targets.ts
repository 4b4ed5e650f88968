/**
 * Where the proof of interception dials: a port and an address that the exclusions of the pod do not let pass by.
 * Invariant: nothing answers there but a captured connection.
 */
import net from 'node:net';
import type { InterceptionOptions } from './options.ts';
import type { Family } from './rules.ts';

/** Discard, daytime, quote of the day, character generator, echo: nobody serves them, and one is not excluded. */
const dialPorts = [9, 13, 17, 19, 7] as const;

/** Documentation networks (RFC 5737, RFC 3849): no route leads to a host there. */
const unroutable: Readonly<Record<Family, readonly string[]>> = {
  v4: ['192.0.2.1', '198.51.100.1', '203.0.113.1'],
  v6: ['2001:db8::1', '2001:db8:ffff::1'],
};

export type Holes = Pick<InterceptionOptions, 'excludeInboundPorts' | 'excludeOutboundPorts' | 'excludeOutboundCidrs'>;

/** undefined when everything is excluded. */
export function proofPort({ excludeInboundPorts, excludeOutboundPorts }: Holes): number | undefined {
  return dialPorts.find((p) => !excludeInboundPorts.includes(p) && !excludeOutboundPorts.includes(p));
}

/** undefined when every one lies in an excluded network. */
export function proofAddress(family: Family, { excludeOutboundCidrs }: Holes): string | undefined {
  const excluded = new net.BlockList();
  const type = family === 'v4' ? 'ipv4' : 'ipv6';
  for (const cidr of excludeOutboundCidrs) {
    if (cidr.family !== family) continue;
    const [address = '', prefix = ''] = cidr.text.split('/');
    excluded.addSubnet(address, Number(prefix), type);
  }
  return unroutable[family].find((a) => !excluded.check(a, type));
}
