/** One row: its peers started together and driven in turn, and what the agent's figures are over theirs. */
import { drive, type Sample } from './load.ts';
import { type BenchPlace, type Peer, type Running, start, stop } from './peers.ts';
import { memory } from './process.ts';
import { median, orderOf, type Ratio, ratioOf, ratioText, startOrder } from './rotation.ts';
import type { Row } from './rows.ts';

export interface Result {
  readonly peer: string;
  readonly samples: readonly Sample[];
  readonly startMs: number;
  readonly rssMb: number;
  readonly anonymousMb: number;
}

const warmUps = 6;
const warmUpSeconds = 2;
const settleMs = 12_000;

export interface Measuring {
  /** Of each peer, over all starts; rounded up to as many in each. */
  readonly rounds: number;
  readonly seconds: number;
  /** How often all peers are started anew, in the reversed order each time. */
  readonly starts: number;
}

/**
 * All peers of a row, driven in turn for some rounds after a warm-up of each. The rounds are shared among the starts. Two
 * agents of equal code have differed by 7 % in one direction in both of two starts: reversed order alone does not end that.
 */
export async function runRow(
  row: Row,
  peers: readonly Peer[],
  place: BenchPlace,
  { rounds, seconds, starts }: Measuring,
): Promise<Result[]> {
  const own = peers.filter((p) => row.peers.includes(p.name));
  const results: Result[][] = [];
  for (let i = 0; i < starts; i++) {
    results.push(await runStart(row, own, place, { rounds: Math.ceil(rounds / starts), seconds, start: i }));
  }
  return (results[0] ?? []).map(({ peer }) => joined(results.flatMap((list) => list.filter((r) => r.peer === peer))));
}

/** The results of one peer's starts as one; of memory, the most that any took. */
function joined(starts: readonly Result[]): Result {
  return {
    peer: starts[0]?.peer ?? '',
    samples: starts.flatMap((r) => r.samples),
    startMs: median(starts.map((r) => r.startMs)),
    rssMb: Math.max(...starts.map((r) => r.rssMb)),
    anonymousMb: Math.max(...starts.map((r) => r.anonymousMb)),
  };
}

/** One start of all, and its rounds. Paced rows ask the upstream itself too. */
async function runStart(
  row: Row,
  peers: readonly Peer[],
  place: BenchPlace,
  { rounds, seconds, start: nth }: { readonly rounds: number; readonly seconds: number; readonly start: number },
): Promise<Result[]> {
  const running: Running[] = [];
  try {
    for (const peer of startOrder(peers, nth)) running.push(await start(peer, row.roles, row.rich, place, row.http2));
    for (const r of running) await warmUp(r, row);
    await settle(running, row);
    const all = startOrder(running, nth);
    if (row.drive === 'paced')
      all.push({ peer: 'direct', port: place.upstream, processes: [], accessLogs: [], startMs: 0 });
    const samples = new Map<string, Sample[]>(all.map((r) => [r.peer, []]));
    for (let round = 0; round < rounds; round++) {
      for (const r of orderOf(all, round, nth)) samples.get(r.peer)?.push(await drive(r, row, seconds));
    }
    return all.map((r) => resultOf(r, samples.get(r.peer) ?? []));
  } finally {
    for (const r of running) stop(r);
  }
}

function resultOf(running: Running, samples: readonly Sample[]): Result {
  const mem = running.processes.map((p) => memory(p.pid ?? 0));
  const mb = (pick: (m: (typeof mem)[number]) => number): number => Math.max(0, ...mem.map(pick)) / 1024;
  return {
    peer: running.peer,
    samples,
    startMs: running.startMs,
    rssMb: mb((m) => m.rssKb),
    anonymousMb: mb((m) => m.anonymousKb),
  };
}

/**
 * Under full load until it gets no faster, so that what is measured is compiled code, as in a sidecar that has run for a
 * while: on a busy machine a compiler takes its time. What is served beside is code of its own.
 */
async function warmUp(running: Running, row: Row): Promise<void> {
  await untilNoFaster(running, row, row.path);
  if (row.beside !== null) await untilNoFaster(running, row, row.beside);
  if (row.drive === 'paced') await drive(running, row, 1);
}

/**
 * In turn, unrecorded, until an agent that was warm last has collected what its growth left behind, as it does once: what
 * it gives back then, it misses for a moment, and that must not be the moment that is measured.
 */
async function settle(running: readonly Running[], row: Row): Promise<void> {
  const end = performance.now() + settleMs;
  while (performance.now() < end) for (const r of running) await drive(r, { ...row, beside: null }, 1);
}

async function untilNoFaster(running: Running, row: Row, path: string): Promise<void> {
  let before = Number.POSITIVE_INFINITY;
  for (let i = 0; i < warmUps; i++) {
    const { cpuUs } = await drive(running, { ...row, path, drive: 'saturate', beside: null }, warmUpSeconds);
    if (cpuUs > before * 0.95) break;
    before = cpuUs;
  }
}

/** The ratio agent/peer of pairs within a round, and how far the rounds lie apart. */
export const ratioWithSpread = (agent: Result, peer: Result, of: (s: Sample) => number): Ratio =>
  ratioOf(agent.samples.map(of), peer.samples.map(of));

export const ratio = (agent: Result, peer: Result, of: (s: Sample) => number): number =>
  ratioWithSpread(agent, peer, of).value;

export function printRow(row: Row, results: readonly Result[]): void {
  const agent = results.find((r) => r.peer === 'agent');
  console.log(
    `\n${row.name}\n            cpu us/req  in kernel   agent/peer      p50 ms   a/p     p99 ms   a/p     RSS MB  anon MB  start ms  errors`,
  );
  for (const r of results) {
    const m = (of: (s: Sample) => number, digits: number, width: number): string =>
      median(r.samples.map(of)).toFixed(digits).padStart(width);
    const a = (of: (s: Sample) => number, width: number): string =>
      (agent === undefined ? '-' : ratio(agent, r, of).toFixed(2)).padStart(width);
    const cpu = agent === undefined ? '-' : ratioText(ratioWithSpread(agent, r, (s) => s.cpuUs));
    const errors = r.samples.reduce((sum, s) => sum + s.errors, 0);
    console.log(
      `  ${r.peer.padEnd(9)} ${m((s) => s.cpuUs, 1, 10)} ${m((s) => s.kernelUs, 1, 10)} ${cpu.padStart(12)} ` +
        `${m((s) => s.p50Ms, 2, 11)} ${a((s) => s.p50Ms, 5)} ${m((s) => s.p99Ms, 2, 10)} ${a((s) => s.p99Ms, 5)} ` +
        `${r.rssMb.toFixed(0).padStart(10)} ${r.anonymousMb.toFixed(0).padStart(8)} ${r.startMs.toFixed(0).padStart(9)} ${String(errors).padStart(7)}`,
    );
  }
}
