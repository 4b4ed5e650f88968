/**
 * `npm run test:oracle [-- FILTER]`: the same file and the same bytes to the agent and to the real Envoy, and what came
 * of them side by side. A difference that differences.ts does not list fails, and so does a listed one that is not seen.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { compareAdmin } from './admin.ts';
import { compareBoundedLoads } from './bounded-loads.ts';
import type { Group } from './case.ts';
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
import { compareConnections } from './connections.ts';
import { compareDns } from './dns.ts';
import { compareGroups } from './groups.ts';
import { compareHealth } from './health.ts';
import { Judge } from './judge.ts';
import { commandOf } from './proxy.ts';
import { checkRefused } from './refusal.ts';
import { compareRuntime } from './runtime.ts';
import { compareRuntimeDiscovery } from './runtime-discovery.ts';
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
  'runtime-discovery': compareRuntimeDiscovery,
  tls: compareTls,
};
const [filter = ''] = process.argv.slice(2);
const groups = filter === '' ? all : all.filter((g) => filter.split(',').includes(g.name));

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
    // Groups are asked again one by one.
    if (groups.length > 0) await judge.attempt('groups', (own) => compareGroups(groups, dir, own), 1);
    for (const [name, compare] of Object.entries(others)) {
      if (isWanted(name)) await judge.attempt(name, (own) => compare(fs.mkdtempSync(path.join(dir, 'part-')), own));
    }
    for (const r of filter === '' ? refused : []) {
      await judge.attempt(`refused/${r.name}`, (own) => checkRefused(r, dir, own), 1);
    }
    return judge.report(filter === '');
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

// What never ended would keep the process.
process.exit(await main());
