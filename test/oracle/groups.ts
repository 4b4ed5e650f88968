/** Groups of cases: both proxies with all of them in one file, each case to both, and what came of it to the judge. */
import { ask } from './ask.ts';
import type { Case, Group } from './case.ts';
import { type Findings, findings, parts } from './compare.ts';
import { askHttp2 } from './http2.ts';
import { Judge, rounds, showAgain } from './judge.ts';
import { Candidate } from './proxy.ts';

/** More would make their own load, and cases about time would be about that. */
const groupsAtOnce = 40;
/** Of groups that are asked again, so that next to nothing else goes on. */
const groupsAgain = 2;

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

async function runAll(
  proxy: Candidate,
  groups: readonly Group[],
  atOnce: number,
): Promise<readonly ReadonlyMap<string, Findings>[]> {
  const found: ReadonlyMap<string, Findings>[] = [];
  for (let i = 0; i < groups.length; i += atOnce) {
    found.push(...(await Promise.all(groups.slice(i, i + atOnce).map((g) => run(proxy, g)))));
  }
  return found;
}

/** What is thought of each group, in their order. All are configured: routes of one lead to upstreams of others. */
async function trial(
  all: readonly Group[],
  groups: readonly Group[],
  dir: string,
  atOnce: number,
): Promise<readonly Judge[]> {
  const proxies: Candidate[] = [];
  try {
    const agent = await Candidate.start('agent', all, dir);
    proxies.push(agent);
    const oracle = await Candidate.start('envoy', all, dir);
    proxies.push(oracle);
    const [ours, theirs] = await Promise.all([runAll(agent, groups, atOnce), runAll(oracle, groups, atOnce)]);
    // The agent's numbers of gRPC methods come from its workers once a second.
    await new Promise((done) => setTimeout(done, 1200));
    const numbers = [await agent.stats(), await oracle.stats()] as const;
    return groups.map((group, i) => {
      const judge = new Judge();
      for (const [key, mine] of ours[i] ?? []) {
        const other = theirs[i]?.get(key);
        if (other === undefined) throw new Error(`${key} was asked of one proxy only`);
        for (const part of parts) judge.compare(key, part, mine[part], other[part]);
      }
      judge.statistics(group, ...numbers);
      return judge;
    });
  } finally {
    for (const proxy of proxies) await proxy.stop();
  }
}

/** A group that differs is asked again, of new proxies and with little beside it, before that is believed. */
export async function compareGroups(groups: readonly Group[], dir: string, judge: Judge): Promise<void> {
  let left = groups;
  for (let round = 1; left.length > 0; round++) {
    const judges = await trial(groups, left, dir, round === 1 ? groupsAtOnce : groupsAgain);
    const isGood = (i: number): boolean => round === rounds || judges[i]?.failed.length === 0;
    for (const [i, one] of judges.entries()) {
      if (isGood(i)) judge.absorb(one);
      else showAgain(one);
    }
    left = left.filter((_, i) => !isGood(i));
  }
}
