/** The DNS filter: the same questions over UDP to the agent and to the real Envoy, and what each answered. */

import dgram from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import path from 'node:path';
import { freePorts } from '@chainmail/runtime/testing';
import type { JsonObject } from './case.ts';
import type { Judge } from './judge.ts';
import { endProxy, type ProxyName, startConfigured } from './proxy.ts';

interface DnsCase {
  readonly name: string;
  readonly question: string;
  readonly type?: 'A' | 'AAAA';
}

const known = 'web.shop.svc.cluster.local';
const cases: readonly DnsCase[] = [
  { name: 'an address', question: known },
  { name: 'an IPv6 address', question: known, type: 'AAAA' },
  { name: 'a wildcard', question: 'any.below.example' },
  { name: 'another name', question: 'far.example' },
];

const udp = (port: number): JsonObject => ({
  socket_address: { protocol: 'UDP', address: '127.0.0.1', port_value: port },
});
const list = (...address: readonly string[]): JsonObject => ({ address_list: { address } });

function configuration(admin: number, port: number, resolver: number): JsonObject {
  const filter: JsonObject = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.udp.dns_filter.v3.DnsFilterConfig',
    stat_prefix: 'dns',
    server_config: {
      inline_dns_table: {
        virtual_domains: [
          { name: known, endpoint: list('10.96.0.1', 'fd00::1'), answer_ttl: '40s' },
          { name: '*.below.example', endpoint: list('10.96.0.2') },
        ],
      },
    },
    client_config: {
      resolver_timeout: '2s',
      max_pending_lookups: 16,
      typed_dns_resolver_config: {
        name: 'envoy.network.dns_resolver.cares',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
          resolvers: [{ socket_address: { address: '127.0.0.1', port_value: resolver } }],
        },
      },
    },
  };
  return {
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: admin } } },
    static_resources: {
      listeners: [{ name: 'dns', address: udp(port), listener_filters: [{ name: 'dns', typed_config: filter }] }],
    },
  };
}

async function ask(port: number, { question, type = 'A' }: DnsCase): Promise<string> {
  const resolver = new Resolver({ timeout: 2_000, tries: 1 });
  resolver.setServers([`127.0.0.1:${port}`]);
  try {
    const found =
      type === 'A'
        ? await resolver.resolve4(question, { ttl: true })
        : await resolver.resolve6(question, { ttl: true });
    return found.map(({ address, ttl }) => `${address} ${ttl}`).join(', ');
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

/** One address, with a TTL that nobody would choose. */
function resolverAnswer(asked: Buffer): Buffer {
  const question = asked.subarray(12, asked.indexOf(0, 12) + 5);
  const head = Buffer.concat([asked.subarray(0, 2), Buffer.from([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0])]);
  return Buffer.concat([head, question, Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 7, 0, 4, 192, 0, 2, 7])]);
}

async function answersOf(name: ProxyName, dir: string): Promise<ReadonlyMap<string, string>> {
  const resolver = dgram.createSocket('udp4');
  resolver.on('message', (asked, from) => {
    resolver.send(resolverAnswer(asked), from.port, from.address);
  });
  resolver.bind(0, '127.0.0.1');
  await once(resolver, 'listening');
  const [admin = 0, port = 0] = await freePorts(2);
  const child = await startConfigured(
    name,
    configuration(admin, port, resolver.address().port),
    path.join(dir, `dns-${name}`),
    admin,
  );
  try {
    // A UDP port says nothing about whether somebody is there yet: ask until there is an answer.
    const end = Date.now() + 10_000;
    const first: DnsCase = { name: 'ready', question: known };
    while (!(await ask(port, first)).startsWith('10.') && Date.now() < end);
    const answers = new Map<string, string>();
    for (const one of cases) answers.set(`dns/${one.name}`, await ask(port, one));
    return answers;
  } finally {
    await endProxy(child);
    resolver.close();
  }
}

export async function compareDns(dir: string, judge: Judge): Promise<void> {
  const [ours, theirs] = await Promise.all([answersOf('agent', dir), answersOf('envoy', dir)]);
  for (const [key, mine] of ours) judge.compare(key, 'response', mine, theirs.get(key) ?? '');
}
