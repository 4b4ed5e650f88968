import { ManualClock, UserError } from '@chainmail/runtime';
import test from 'ava';
import { blockSorts } from './blocks.ts';
import { clusterBlockSlots, clusterStat, listenerStat, slotCount, workerStat } from './layout.ts';
import { restMs, StatRegistry } from './registry.ts';

const workerSlots = workerStat.layout.slots.length;

test('a name keeps its block, different names and sorts never share a slot', (t) => {
  const registry = new StatRegistry(new ManualClock());
  const taken = new Set<number>();
  for (let i = 0; i < workerSlots; i++) taken.add(i);
  for (const kind of ['listener', 'http', 'cluster', 'tcp', 'rbac'] as const) {
    for (const name of ['a', 'b', 'a.b']) {
      const base = registry.block(kind, name);
      t.is(registry[kind](name), base);
      for (let i = 0; i < blockSorts[kind].slots; i++) {
        t.false(taken.has(base + i));
        taken.add(base + i);
      }
    }
  }
});

test('a removed block rests, then is used again and reads zero', (t) => {
  const clock = new ManualClock();
  const registry = new StatRegistry(clock);
  const workers = [new Float64Array(100_000), new Float64Array(100_000)];
  for (const slots of workers) registry.attachWorker(slots);
  const old = registry.cluster('old');
  const kept = registry.cluster('kept');
  for (const slots of workers) slots[old] = slots[kept] = 5;
  registry.retain(new Set([kept]));
  const early = registry.cluster('early');
  t.not(early, old);
  for (const slots of workers) slots[old + 1] = 7;
  clock.advance(restMs);
  t.is(registry.cluster('late'), old);
  t.is(registry.sum(old) + registry.sum(old + 1), 0);
  t.is(registry.sum(kept), 10);
  t.is(registry.cluster('kept'), kept);
});

test('a block of one size is not given to another sort', (t) => {
  const clock = new ManualClock();
  const registry = new StatRegistry(clock);
  const listener = registry.listener('a');
  registry.retain(new Set());
  clock.advance(restMs);
  t.not(registry.cluster('c'), listener);
  t.is(registry.listener('b'), listener);
});

test('an update that keeps everything frees nothing', (t) => {
  const clock = new ManualClock();
  const registry = new StatRegistry(clock);
  const bases = ['a', 'b', 'c'].map((name) => registry.cluster(name));
  registry.retain(new Set(bases));
  clock.advance(restMs);
  t.deepEqual(
    ['a', 'b', 'c'].map((name) => registry.cluster(name)),
    bases,
  );
});

test('names that come and go take no new room', (t) => {
  const clock = new ManualClock();
  const registry = new StatRegistry(clock, workerSlots + 3 * clusterBlockSlots);
  for (let i = 0; i < 1000; i++) {
    const base = registry.cluster(`c${i}`);
    registry.retain(new Set([base]));
    clock.advance(restMs);
  }
  t.is([...registry.blocks()].filter((block) => block.kind === 'cluster').length, 1);
});

test('when all is taken it says so, and what to do', (t) => {
  const clock = new ManualClock();
  const registry = new StatRegistry(clock, workerSlots + 2 * clusterBlockSlots);
  registry.cluster('a');
  registry.cluster('b');
  const full = t.throws(() => registry.cluster('c'), { instanceOf: UserError, code: 'STATS_EXHAUSTED' });
  t.regex(full.message, /cluster 'c'/);
  t.is(full.hint, 'use fewer clusters, listeners or stat_prefixes');
  registry.retain(new Set());
  const resting = t.throws(() => registry.cluster('c'), { instanceOf: UserError });
  t.regex(resting.hint ?? '', /2 removed ones are free again within 10 minutes/);
  clock.advance(restMs);
  t.notThrows(() => registry.cluster('c'));
});

test('there is room for the clusters of a large mesh', (t) => {
  const registry = new StatRegistry(new ManualClock());
  for (let i = 0; i < 1800; i++) registry.cluster(`outbound|80||s${i}.ns.svc.cluster.local`);
  t.true(slotCount * 8 <= 18 * 2 ** 20);
});

test('workers add up, except where each says the same', (t) => {
  const registry = new StatRegistry(new ManualClock());
  const workers = [new Float64Array(5000), new Float64Array(5000)];
  for (const slots of workers) registry.attachWorker(slots);
  const base = registry.cluster('c');
  for (const slots of workers) {
    slots[base + clusterStat.at.upstream_rq_total] = 3;
    slots[base + clusterStat.at.membership_total] = 4;
  }
  t.is(registry.sum(base + clusterStat.at.upstream_rq_total), 6);
  t.is(registry.largest(base + clusterStat.at.membership_total), 4);
  t.is(registry.listener('x') + listenerStat.at.downstream_cx_total > base, true);
});
