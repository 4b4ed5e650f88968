/**
 * `npm run test:oracle [-- FILTER]`: the same file and the same bytes to the agent and to the real Envoy, and what came
 * of them side by side. A difference that differences.ts does not list fails, and so does a listed one that is not seen.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { compareAdmin } from './admin.ts';
import { ask } from './ask.ts';
import { compareBoundedLoads } from './bounded-loads.ts';
import type { Case, Group } from './case.ts';
import { balancingGroups } from './cases/balancing.ts';
import { grpcGroups } from './cases/grpc.ts';
import { headerGroups } from './cases/headers.ts';
import { http2Groups } from './cases/http2.ts';
import { inputGroups } from './cases/input.ts';
import { limitGroups } from './cases/limits.ts';
import { mirrorGroups } from './cases/mirrors.ts';
import { refused } from './cases/refused.ts';
import { retryGroups } from './cases/retries.ts';
import { routingGroups } from './cases/routing.ts';
import { settingGroups } from './cases/settings.ts';
import { tunnelGroups } from './cases/tunnels.ts';
import { type Findings, findings, parts } from './compare.ts';
import { compareConnections } from './connections.ts';
import { compareDns } from './dns.ts';
import { compareHealth } from './health.ts';
import { askHttp2 } from './http2.ts';
import { Judge } from './judge.ts';
import { Candidate, commandOf } from './proxy.ts';
import { checkRefused } from './refusal.ts';
import { compareRuntime } from './runtime.ts';
import { compareTls } from './tls.ts';

const all: readonly Group[] = [
  ...grpcGroups,
  ...headerGroups,
  ...routingGroups,
  ...inputGroups,
  ...retryGroups,
  ...settingGroups,
  ...balancingGroups,
  ...tunnelGroups,
  ...http2Groups,
  ...limitGroups,
  ...mirrorGroups,
];
/** Comparisons with a configuration of their own. */
const others: Readonly<Record<string, (dir: string, judge: Judge) => Promise<void>>> = {
  admin: compareAdmin,
  health: compareHealth,
  dns: compareDns,
  connections: compareConnections,
  'bounded-loads': compareBoundedLoads,
  'runtime-files': compareRuntime,
  tls: compareTls,
};
const [filter = ''] = process.argv.slice(2);
const groups = filter === '' ? all : all.filter((g) => filter.split(',').includes(g.name));

/** More would make their own load, and cases about time would be about that. */
const groupsAtOnce = 40;

/** Cases of a group side by side, so that waiting for a close costs its time once. */
async function run(proxy: Candidate, group: Group): Promise<ReadonlyMap<string, Findings>> {
  const one = async (test: Case): Promise<readonly [string, Findings]> => {
    const key = `${group.name}/${test.name}`;
    const send = group.client === 'http2' ? askHttp2 : ask;
    const outcome = await send(proxy.port(group.name), test, key);
    return [key, findings(outcome, proxy.upstream.seen(key), group.unordered)];
  };
  return new Map(await Promise.all(group.cases.map(one)));
}

async function runAll(proxy: Candidate): Promise<ReadonlyMap<string, Findings>> {
  const found = new Map<string, Findings>();
  for (let i = 0; i < groups.length; i += groupsAtOnce) {
    const results = await Promise.all(groups.slice(i, i + groupsAtOnce).map((g) => run(proxy, g)));
    for (const result of results) for (const [key, value] of result) found.set(key, value);
  }
  return found;
}

async function compareGroups(dir: string, judge: Judge): Promise<void> {
  const proxies: Candidate[] = [];
  try {
    const agent = await Candidate.start('agent', groups, dir);
    proxies.push(agent);
    const oracle = await Candidate.start('envoy', groups, dir);
    proxies.push(oracle);
    const [ours, theirs] = await Promise.all([runAll(agent), runAll(oracle)]);
    for (const [key, mine] of ours) {
      const other = theirs.get(key);
      if (other === undefined) throw new Error(`${key} was asked of one proxy only`);
      for (const part of parts) judge.compare(key, part, mine[part], other[part]);
    }
    // The agent's numbers of gRPC methods come from its workers once a second.
    await new Promise((done) => setTimeout(done, 1200));
    judge.statistics(groups, await agent.stats(), await oracle.stats());
  } finally {
    for (const proxy of proxies) await proxy.stop();
  }
}

async function main(): Promise<number> {
  const envoy = commandOf('envoy', '');
  if ('missing' in envoy) {
    console.log(`skipped: there is no Envoy to compare with: ${envoy.missing}`);
    console.log('0 passed, 0 failed');
    return 0;
  }
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'oracle-'));
  const wanted = filter.split(',');
  const isWanted = (name: string): boolean => filter === '' || wanted.includes(name);
  try {
    const judge = new Judge();
    if (groups.length > 0) await judge.attempt('groups', () => compareGroups(dir, judge));
    for (const [name, compare] of Object.entries(others)) {
      if (isWanted(name)) await judge.attempt(name, () => compare(dir, judge));
    }
    if (filter === '')
      for (const r of refused) await judge.attempt(`refused/${r.name}`, () => checkRefused(r, dir, judge));
    return judge.report(filter === '');
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

// What never ended would keep the process.
process.exit(await main());
