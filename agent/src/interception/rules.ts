/**
 * The rules of interception as data, one set for each address family; nothing here runs anything.
 * Invariant: every rule stands in a chain of our own, built-in chains hold jumps only; so a rebuild touches nothing
 * foreign, and taking the jumps and chains away leaves the namespace as it was.
 */
import { agentUid, inboundSource, ports } from '@chainmail/runtime';
import type { InterceptionOptions } from './options.ts';

export type Family = 'v4' | 'v6';
export type TableName = 'raw' | 'mangle' | 'nat';

export interface Jump {
  readonly builtin: 'PREROUTING' | 'OUTPUT';
  /** The rule without `-A CHAIN`. */
  readonly rule: string;
}

export interface Table {
  readonly name: TableName;
  readonly chains: readonly string[];
  /** In order; each begins with `-A <own chain>`. */
  readonly rules: readonly string[];
  readonly jumps: readonly Jump[];
}

interface Addresses {
  /** Where the agent's own connections to the application come from. */
  readonly inboundSource: string;
  readonly loopback: string;
  readonly hostPrefix: number;
}

const addresses: Readonly<Record<Family, Addresses>> = {
  v4: { inboundSource: `${inboundSource.v4}/32`, loopback: '127.0.0.0/8', hostPrefix: 32 },
  v6: { inboundSource: `${inboundSource.v6}/128`, loopback: '::1/128', hostPrefix: 128 },
};

/** The multiport match takes no more. */
const portsPerRule = 15;

/** The tables of one family, in the order in which they are applied: the redirections come last. */
export function buildTables(family: Family, options: InterceptionOptions): readonly Table[] {
  const resolvers = options.resolvers.filter((r) => r.includes(':') === (family === 'v6'));
  return [
    ...(resolvers.length === 0 ? [] : [rawTable(family, resolvers)]),
    mangle,
    natTable(family, options, resolvers),
  ];
}

/** Every chain and jump any version of the rules may have made: what cleanup takes away. */
export function everyTable(family: Family): readonly Table[] {
  const loopback = family === 'v4' ? '127.0.0.1' : '::1';
  return buildTables(family, {
    excludeInboundPorts: [],
    excludeOutboundPorts: [],
    excludeOutboundCidrs: [],
    resolvers: [loopback],
  });
}

/**
 * A captured query and the agent's own copy of it have the same addresses and ports; a conntrack zone each keeps
 * the answers apart.
 */
function rawTable(family: Family, resolvers: readonly string[]): Table {
  const host = (r: string): string => `${r}/${addresses[family].hostPrefix}`;
  return {
    name: 'raw',
    chains: ['MESH_DNS_OUT', 'MESH_DNS_IN'],
    rules: [
      `-A MESH_DNS_OUT -p udp --dport 53 -m owner --uid-owner ${agentUid} -j CT --zone 1`,
      `-A MESH_DNS_OUT -p udp --sport ${ports.agentDns} -m owner --uid-owner ${agentUid} -j CT --zone 2`,
      ...resolvers.map((r) => `-A MESH_DNS_OUT -p udp --dport 53 -d ${host(r)} -j CT --zone 2`),
      ...resolvers.map((r) => `-A MESH_DNS_IN -p udp --sport 53 -s ${host(r)} -j CT --zone 1`),
    ],
    jumps: [
      { builtin: 'OUTPUT', rule: '-j MESH_DNS_OUT' },
      { builtin: 'PREROUTING', rule: '-j MESH_DNS_IN' },
    ],
  };
}

/** NAT does not see packets that conntrack calls INVALID; the application would answer them with a reset. */
const mangle: Table = {
  name: 'mangle',
  chains: ['MESH_DROP_INVALID'],
  rules: ['-A MESH_DROP_INVALID -p tcp -m conntrack --ctstate INVALID -j DROP'],
  jumps: [{ builtin: 'PREROUTING', rule: '! -i lo -j MESH_DROP_INVALID' }],
};

function natTable(family: Family, options: InterceptionOptions, resolvers: readonly string[]): Table {
  return {
    name: 'nat',
    chains: ['MESH_IN', 'MESH_IN_REDIR', 'MESH_OUT', 'MESH_OUT_REDIR'],
    rules: [
      `-A MESH_IN_REDIR -p tcp -j REDIRECT --to-ports ${ports.agentInbound}`,
      `-A MESH_OUT_REDIR -p tcp -j REDIRECT --to-ports ${ports.agentOutbound}`,
      ...inboundRules(options),
      ...outboundRules(family, options, resolvers),
    ],
    jumps: [
      { builtin: 'PREROUTING', rule: '-p tcp -j MESH_IN' },
      { builtin: 'OUTPUT', rule: '-j MESH_OUT' },
    ],
  };
}

/** The kubelet and a scraper have no mesh identity, so the agent's health and metrics ports stay direct. */
function inboundRules(options: InterceptionOptions): readonly string[] {
  const direct = [ports.agentMetrics, ports.agentHealth, ...options.excludeInboundPorts];
  return [...returnPorts('MESH_IN', direct), '-A MESH_IN -p tcp -j MESH_IN_REDIR'];
}

/** The order matters: the agent calling its own pod must come before what lets the agent's other traffic pass. */
function outboundRules(family: Family, options: InterceptionOptions, resolvers: readonly string[]): readonly string[] {
  const { inboundSource: source, loopback, hostPrefix } = addresses[family];
  const toDns = (r: string, protocol: string): string =>
    `-A MESH_OUT -p ${protocol} --dport 53 -d ${r}/${hostPrefix} -j REDIRECT --to-ports ${ports.agentDns}`;
  return [
    ...returnPorts('MESH_OUT', options.excludeOutboundPorts),
    `-A MESH_OUT -o lo -s ${source} -j RETURN`,
    `-A MESH_OUT -o lo ! -d ${loopback} -p tcp -m owner --uid-owner ${agentUid} -j MESH_IN_REDIR`,
    `-A MESH_OUT -m owner --uid-owner ${agentUid} -j RETURN`,
    ...resolvers.flatMap((r) => [toDns(r, 'udp'), toDns(r, 'tcp')]),
    '-A MESH_OUT -o lo -j RETURN',
    `-A MESH_OUT -d ${loopback} -j RETURN`,
    ...options.excludeOutboundCidrs.filter((c) => c.family === family).map((c) => `-A MESH_OUT -d ${c.text} -j RETURN`),
    '-A MESH_OUT -p tcp -j MESH_OUT_REDIR',
  ];
}

function returnPorts(chain: string, all: readonly number[]): readonly string[] {
  const rules: string[] = [];
  for (let i = 0; i < all.length; i += portsPerRule) {
    rules.push(`-A ${chain} -p tcp -m multiport --dports ${all.slice(i, i + portsPerRule).join(',')} -j RETURN`);
  }
  return rules;
}

/**
 * Text for `iptables-restore --noflush`: a `:CHAIN` line empties our own chain in the same transaction, so a table
 * holds either the old rules or the new ones.
 * @param wanted which jumps to add, those the table does not have yet
 */
export function renderTables(tables: readonly Table[], wanted: (table: TableName, jump: Jump) => boolean): string {
  const lines = tables.flatMap((t) => [
    `*${t.name}`,
    ...t.chains.map((c) => `:${c} - [0:0]`),
    ...t.rules,
    ...t.jumps.filter((j) => wanted(t.name, j)).map((j) => `-A ${j.builtin} ${j.rule}`),
    'COMMIT',
  ]);
  return `${lines.join('\n')}\n`;
}
