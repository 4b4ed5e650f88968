import test from 'ava';
import type { FilterChainMatchSpec } from '../model/listener.ts';
import { type ConnectionFacts, FilterChainMatcher } from './filter-chain-match.ts';

const anything: FilterChainMatchSpec = {
  destinationPort: null,
  prefixRanges: [],
  serverNames: [],
  transportProtocol: '',
  applicationProtocols: [],
  sourceType: 'any',
  sourcePrefixRanges: [],
  sourcePorts: [],
};

const facts: ConnectionFacts = {
  destinationIp: '10.1.2.3',
  destinationPort: 80,
  sourceIp: '10.9.9.9',
  sourcePort: 40_000,
  serverName: '',
  transportProtocol: 'raw_buffer',
  applicationProtocols: [],
};

type Chains = Readonly<Record<string, Partial<FilterChainMatchSpec>>>;

function find(chains: Chains, connection: Partial<ConnectionFacts>, otherwise: string | null = null): string | null {
  const list = Object.entries(chains).map(([chain, match]) => ({ chain, match: { ...anything, ...match } }));
  return new FilterChainMatcher(list, otherwise).find({ ...facts, ...connection });
}

interface Case {
  readonly what: string;
  readonly chains: Chains;
  readonly connection?: Partial<ConnectionFacts>;
  readonly otherwise?: string;
  readonly expected: string | null;
}

const names: Chains = {
  exact: { serverNames: ['a.example.com'] },
  wild: { serverNames: ['*.example.com'] },
  none: {},
};

const cases: readonly Case[] = [
  { what: 'the port is first', chains: { p: { destinationPort: 80 }, any: {} }, expected: 'p' },
  { what: 'another port', chains: { p: { destinationPort: 81 }, any: {} }, expected: 'any' },
  {
    what: 'no way back from a port whose networks do not fit',
    chains: { p: { destinationPort: 80, prefixRanges: ['192.168.0.0/16'] }, any: {} },
    expected: null,
  },
  {
    what: 'the default chain takes what finds none',
    chains: { p: { destinationPort: 80, prefixRanges: ['192.168.0.0/16'] } },
    otherwise: 'default',
    expected: 'default',
  },
  {
    what: 'the longest network wins',
    chains: { wide: { prefixRanges: ['10.0.0.0/8'] }, host: { prefixRanges: ['10.1.2.3/32'] }, any: {} },
    expected: 'host',
  },
  {
    what: 'IPv6 networks',
    chains: { six: { prefixRanges: ['fd00::/8'] }, any: {} },
    connection: { destinationIp: 'fd00::1' },
    expected: 'six',
  },
  { what: 'an exact server name', chains: names, connection: { serverName: 'a.example.com' }, expected: 'exact' },
  { what: 'a wildcard', chains: names, connection: { serverName: 'b.example.com' }, expected: 'wild' },
  {
    what: 'a wildcard covers deeper names',
    chains: names,
    connection: { serverName: 'x.y.example.com' },
    expected: 'wild',
  },
  {
    what: 'a wildcard does not cover itself',
    chains: names,
    connection: { serverName: 'example.com' },
    expected: 'none',
  },
  { what: 'no server name', chains: names, expected: 'none' },
  {
    what: 'a chain with transport_protocol hides chains without it',
    chains: { tls: { transportProtocol: 'tls', applicationProtocols: ['h2'] }, any: {} },
    connection: { transportProtocol: 'tls', applicationProtocols: ['http/1.1'] },
    expected: null,
  },
  {
    what: 'plaintext passes by a TLS chain',
    chains: { tls: { transportProtocol: 'tls' }, any: {} },
    expected: 'any',
  },
  { what: 'STRICT: plaintext finds no chain', chains: { tls: { transportProtocol: 'tls' } }, expected: null },
  {
    what: "the first of the client's protocols that a chain names",
    chains: { h1: { applicationProtocols: ['http/1.1'] }, h2: { applicationProtocols: ['h2'] }, any: {} },
    connection: { transportProtocol: 'tls', applicationProtocols: ['x', 'h2', 'http/1.1'] },
    expected: 'h2',
  },
  {
    what: 'an unknown protocol',
    chains: { h1: { applicationProtocols: ['http/1.1'] }, any: {} },
    connection: { applicationProtocols: ['x'] },
    expected: 'any',
  },
  {
    what: 'loopback is a source type',
    chains: { local: { sourceType: 'same_ip_or_loopback' }, ext: { sourceType: 'external' } },
    connection: { sourceIp: '127.0.0.1' },
    expected: 'local',
  },
  {
    what: 'the same address, too',
    chains: { local: { sourceType: 'same_ip_or_loopback' }, ext: { sourceType: 'external' } },
    connection: { sourceIp: '10.1.2.3' },
    expected: 'local',
  },
  {
    what: 'another address is external',
    chains: { local: { sourceType: 'same_ip_or_loopback' }, ext: { sourceType: 'external' } },
    expected: 'ext',
  },
  {
    what: 'source networks and ports',
    chains: { net: { sourcePrefixRanges: ['10.9.0.0/16'], sourcePorts: [40_000] }, any: {} },
    expected: 'net',
  },
  {
    what: 'no way back from a source network whose ports do not fit',
    chains: { net: { sourcePrefixRanges: ['10.9.0.0/16'], sourcePorts: [1] }, any: {} },
    expected: null,
  },
];

for (const { what, chains, connection = {}, otherwise = null, expected } of cases) {
  test(what, (t) => {
    t.is(find(chains, connection, otherwise), expected);
  });
}

test('only what can change the choice is inspected', (t) => {
  const match = (m: Partial<FilterChainMatchSpec>) => ({ ...anything, ...m });
  const matcher = new FilterChainMatcher(
    [
      { match: match({ destinationPort: 5432 }), chain: 'declared' },
      { match: match({ destinationPort: 80, applicationProtocols: ['http/1.1'] }), chain: 'http' },
      { match: match({ destinationPort: 80 }), chain: 'opaque' },
      { match: match({ destinationPort: 443, transportProtocol: 'tls' }), chain: 'tls' },
    ],
    null,
  );
  t.deepEqual(matcher.needs('10.1.2.3', 5432), { tls: false, http: false });
  t.deepEqual(matcher.needs('10.1.2.3', 80), { tls: true, http: true });
  t.deepEqual(matcher.needs('10.1.2.3', 443), { tls: true, http: false });
  t.deepEqual(matcher.needs('10.1.2.3', 99), { tls: false, http: false });
});
