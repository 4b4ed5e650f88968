/**
 * The budgets of the data plane, and whether what was measured holds them. A figure is the agent's own and its ratio to
 * each peer of the same run; a limit that could not be judged, because a peer was missing, is never "held".
 */
import type { Cost, Costs } from './memory.ts';
import { median } from './rotation.ts';
import { type Result, ratio } from './run-row.ts';

/** Rows by name, as far as they ran, and what memory cost by peer. */
export interface Measured {
  readonly rows: Readonly<Record<string, readonly Result[]>>;
  readonly costs: Readonly<Record<string, Costs>>;
}

/** own: in the unit of the budget, null when it was not measured. */
export interface Reading {
  readonly own: number | null;
  readonly ratios: Readonly<Record<string, number>>;
  /** What the kernel took of the agent's time, over all of the peer's: no code of ours brings the ratio below it. */
  readonly floors?: Readonly<Record<string, number>>;
}

export type Limit =
  /** The agent over that peer. */
  | { readonly kind: 'ratio'; readonly peer: string; readonly max: number }
  /** The agent over the best of them. */
  | { readonly kind: 'best'; readonly max: number }
  | { readonly kind: 'own'; readonly max: number; readonly unit: string };

export interface Budget {
  readonly name: string;
  readonly read: (measured: Measured) => Reading;
  readonly limits: readonly Limit[];
}

/** Another program, not the agent in some form or the upstream alone. */
const isOther = ({ peer }: Result): boolean => !['agent', 'agent-h1', 'base', 'direct'].includes(peer);

const nothing: Reading = { own: null, ratios: {} };

/** Peers whose ratios are shown, in the order of the columns; Envoy also with HTTP/2 between its two hops. */
export const shownPeers = ['nginx', 'haproxy', 'envoy', 'envoy-h2', 'nghttpx'] as const;

const floor = (agent: Result, peer: Result): number =>
  median(agent.samples.map((s, i) => s.kernelUs / (peer.samples[i] ?? s).cpuUs));

function cpuOf(row: string): (measured: Measured) => Reading {
  return ({ rows }) => {
    const results = rows[row] ?? [];
    const agent = results.find((r) => r.peer === 'agent');
    if (agent === undefined) return nothing;
    const others = results.filter((r) => isOther(r));
    return {
      own: median(agent.samples.map((s) => s.cpuUs)),
      ratios: Object.fromEntries(others.map((r) => [r.peer, ratio(agent, r, (s) => s.cpuUs)])),
      floors: Object.fromEntries(others.map((r) => [r.peer, floor(agent, r)])),
    };
  };
}

/** Latency on top of what the upstream itself takes, in the same run. */
function addedOf(row: string, of: 'p50Ms' | 'p99Ms'): (measured: Measured) => Reading {
  return ({ rows }) => {
    const results = rows[row] ?? [];
    const direct = results.find((r) => r.peer === 'direct');
    const agent = results.find((r) => r.peer === 'agent');
    if (agent === undefined || direct === undefined) return nothing;
    const added = (r: Result): number => median(r.samples.map((s, i) => s[of] - (direct.samples[i]?.[of] ?? 0)));
    const own = added(agent);
    const others = results.filter((r) => isOther(r));
    return { own, ratios: Object.fromEntries(others.map((r) => [r.peer, own / added(r)])) };
  };
}

/** How many times its p99 alone a small request waits beside others; the ratios are the peers' own waits. */
function besideOf(row: string, alone: string): (measured: Measured) => Reading {
  return ({ rows }) => {
    const p99 = (name: string): number | null => {
      const agent = rows[name]?.find((r) => r.peer === 'agent');
      return agent === undefined ? null : median(agent.samples.map((s) => s.p99Ms));
    };
    const [with_, without] = [p99(row), p99(alone)];
    return { own: with_ === null || without === null ? null : with_ / without, ratios: {} };
  };
}

function costOf(pick: (costs: Costs) => number): (measured: Measured) => Reading {
  return ({ costs }) => {
    const { agent, ...others } = costs;
    if (agent === undefined) return nothing;
    const own = pick(agent);
    return { own, ratios: Object.fromEntries(Object.entries(others).map(([peer, c]) => [peer, own / pick(c)])) };
  };
}

const mb = (pick: (cost: Cost) => number) => costOf((c) => pick(c.loaded) / 1024);

const toPeer = (peer: string, max: number): Limit => ({ kind: 'ratio', peer, max });
const toBest = (max: number): Limit => ({ kind: 'best', max });
const ownAt = (max: number, unit: string): Limit => ({ kind: 'own', max, unit });
const cpu = (name: string, row: string, ...limits: readonly Limit[]): Budget => ({ name, read: cpuOf(row), limits });

export const budgets: readonly Budget[] = [
  cpu('CPU, plain hop, rich', 'plain hop, rich', toPeer('nginx', 1), toPeer('envoy', 0.35)),
  cpu('CPU, two hops mTLS, rich', 'two hops mTLS, rich', toPeer('nginx', 0.8), toPeer('envoy-h2', 0.35)),
  cpu('CPU, plain hop, small', 'plain hop, small', toPeer('nginx', 1)),
  cpu('CPU, two hops mTLS, small', 'two hops mTLS, small', toPeer('nginx', 1)),
  cpu('CPU, plain hop, Connection: close', 'plain hop, Connection: close', toPeer('nginx', 1)),
  cpu('CPU, two hops mTLS, 64 KiB', 'two hops mTLS, 64 KiB', toBest(0.9)),
  cpu('CPU, two hops mTLS, 1 MiB', 'two hops mTLS, 1 MiB', toBest(0.9)),
  cpu('CPU, two hops mTLS, paced, rich', 'two hops mTLS, paced, rich', toPeer('envoy', 0.7)),
  {
    name: 'p50 added, paced, rich',
    read: addedOf('two hops mTLS, paced, rich', 'p50Ms'),
    limits: [ownAt(0.6, 'ms'), toPeer('envoy', 1)],
  },
  {
    name: 'p99 added, paced, rich',
    read: addedOf('two hops mTLS, paced, rich', 'p99Ms'),
    limits: [ownAt(1, 'ms'), toPeer('envoy', 1)],
  },
  {
    name: 'p99 beside 64 KiB bodies / alone',
    read: besideOf('two hops mTLS, paced, beside 64 KiB', 'two hops mTLS, paced'),
    limits: [ownAt(3, 'x')],
  },
  {
    name: 'p99 beside 10 MiB bodies / alone',
    read: besideOf('two hops mTLS, paced, beside 10 MiB', 'two hops mTLS, paced'),
    limits: [ownAt(3, 'x')],
  },
  cpu('CPU, gRPC two hops, 8 x 32', 'gRPC two hops mTLS, 8 x 32', toPeer('nghttpx', 0.7)),
  cpu('CPU, gRPC two hops, 8 x 32, rich', 'gRPC two hops mTLS, 8 x 32, rich', toPeer('envoy', 0.15)),
  cpu(
    'CPU, gRPC two hops, 64 x 1, rich',
    'gRPC two hops mTLS, 64 x 1, rich',
    toPeer('nghttpx', 1),
    toPeer('envoy', 0.2),
  ),
  cpu('CPU, h2 two hops, 64 KiB', 'h2 two hops mTLS, 64 KiB, 8 x 4', toBest(0.9)),
  { name: 'RSS after 1,000/s', read: mb((c) => c.rssKb), limits: [toPeer('envoy', 1)] },
  {
    name: 'anonymous after 1,000/s',
    read: mb((c) => c.anonymousKb),
    limits: [ownAt(30, 'MB')],
  },
  {
    name: 'an idle plain connection',
    read: costOf((c) => c.plainConnectionKb),
    limits: [ownAt(40, 'KB')],
  },
  {
    name: 'an idle mTLS connection',
    read: costOf((c) => c.mutualConnectionKb),
    limits: [ownAt(40, 'KB')],
  },
  { name: 'start to ready', read: costOf((c) => c.startMs), limits: [ownAt(300, 'ms')] },
];

/** null: it could not be judged. */
export function holds(limit: Limit, { own, ratios }: Reading): boolean | null {
  if (limit.kind === 'own') return own === null ? null : own <= limit.max;
  if (limit.kind === 'ratio') {
    const of = ratios[limit.peer];
    return of === undefined ? null : of <= limit.max;
  }
  const all = Object.values(ratios);
  return all.length === 0 ? null : Math.max(...all) <= limit.max;
}

const limitText = (limit: Limit): string =>
  limit.kind === 'own'
    ? `<= ${limit.max} ${limit.unit}`
    : `<= ${limit.max} ${limit.kind === 'best' ? 'of the best' : limit.peer}`;

function verdictText(limits: readonly Limit[], reading: Reading): string {
  const judged = limits.map((limit) => holds(limit, reading));
  if (judged.includes(false)) return `MISSED${floorText(limits, reading)}`;
  return judged.includes(null) ? 'not measured' : 'holds';
}

/** Says so where the kernel alone is beyond a limit. */
function floorText(limits: readonly Limit[], { floors = {} }: Reading): string {
  const beyond = limits.flatMap((limit) => {
    const least = limit.kind === 'ratio' ? (floors[limit.peer] ?? 0) : 0;
    return limit.kind === 'ratio' && least > limit.max ? [`${least.toFixed(2)} ${limit.peer}`] : [];
  });
  return beyond.length === 0 ? '' : `: the kernel alone is ${beyond.join(', ')}`;
}

/** A line of the table: name, the agent's own figure, its ratios, the limits, the verdict. */
export function budgetLine({ name, read, limits }: Budget, measured: Measured): string {
  const reading = read(measured);
  const ratios = shownPeers.map((peer) => (reading.ratios[peer]?.toFixed(2) ?? '-').padStart(11));
  const own = reading.own === null ? '-' : reading.own.toFixed(reading.own < 10 ? 2 : 1);
  const said = limits.map(limitText).join(', ');
  return `  ${name.padEnd(36)} ${own.padStart(8)} ${ratios.join('')}   ${said.padEnd(34)} ${verdictText(limits, reading)}`;
}

/** The whole table; budgets of which nothing was measured are left out. */
export function budgetTable(measured: Measured): readonly string[] {
  const heads = shownPeers.map((peer) => `a/${peer}`.padStart(11)).join('');
  const shown = budgets.filter((b) => b.read(measured).own !== null);
  return [
    `  ${'budget'.padEnd(36)} ${'agent'.padStart(8)} ${heads}   limit`,
    ...shown.map((b) => budgetLine(b, measured)),
  ];
}
