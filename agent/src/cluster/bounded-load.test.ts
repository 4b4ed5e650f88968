/** Bounded loads: who gives way, to whom, and that everybody shuffles alike. */
import test from 'ava';
import { BoundedLoad } from './bounded-load.ts';
import { Maglev } from './maglev.ts';
import { MersenneTwister } from './mersenne-twister.ts';
import { endpoints, hosts, sequence } from './testing/cluster-fixture.ts';

test('the known numbers of std::mt19937', (t) => {
  const twister = new MersenneTwister();
  twister.seed(5489);
  t.is(twister.next(), 3_499_211_612);
  for (let i = 0; i < 9998; i++) twister.next();
  t.is(twister.next(), 4_123_659_995);
  twister.seed(0x9abc_def0);
  t.deepEqual([twister.next(), twister.next(), twister.next()], [2_526_297_512, 470_220_814, 637_102_349]);
});

test('a number below a limit, never the limit', (t) => {
  const twister = new MersenneTwister();
  twister.seed(1);
  const drawn = Array.from({ length: 300 }, () => twister.below(3));
  t.deepEqual([...new Set(drawn)].sort(), [0, 1, 2]);
  t.is(twister.below(1), 0);
});

function rig(count: number, factor: number, weights: readonly number[] = []) {
  const all = hosts(endpoints(count).map((e, i) => ({ ...e, weight: weights[i] ?? 1 })));
  const active = (): number => all.reduce((sum, host) => sum + host.activeRequests, 0);
  const inner = new Maglev(sequence(), { tableSize: 251, byHostname: false });
  const balancer = new BoundedLoad(inner, { factor, active, random: sequence() });
  balancer.setHosts(all);
  /** Hosts of that many requests of one hash that all stay. */
  const stay = (requests: number, hash = 7n): readonly number[] =>
    Array.from({ length: requests }, () => {
      const host = balancer.pick({ hash, attempt: 0 });
      if (host === undefined) return -1;
      host.activeRequests++;
      return all.indexOf(host);
    });
  return { all, balancer, stay };
}

test('requests of one hash stay with their host as long as it has no more than its share', (t) => {
  const { stay } = rig(4, 100_000);
  t.is(new Set(stay(50)).size, 1);
});

test('beyond the share they go on to others, the same way each time', (t) => {
  const first = rig(4, 100).stay(20);
  t.deepEqual(rig(4, 100).stay(20), first);
  t.is(new Set(first).size, 4);
  const counts = [0, 1, 2, 3].map((i) => first.filter((host) => host === i).length);
  t.true(Math.max(...counts) <= 6, `a share of 5 and one more: ${counts}`);
  const other = rig(4, 100).stay(20, 8n);
  t.notDeepEqual(other, first, 'another hash, another way');
});

test('a host with more weight may have more', (t) => {
  const picked = rig(2, 100, [3, 1]).stay(40);
  const heavy = picked.filter((host) => host === 0).length;
  t.true(heavy >= 28 && heavy <= 31, String(heavy));
});

test('when all are overloaded the least overloaded takes it; without a hash chance decides', (t) => {
  const { all, balancer } = rig(3, 100);
  for (const [i, host] of all.entries()) host.activeRequests = 50 - i;
  const sparse = new BoundedLoad(new Maglev(sequence(), { tableSize: 251, byHostname: false }), {
    factor: 100,
    active: () => 0,
    random: sequence(),
  });
  sparse.setHosts(all);
  t.is(sparse.pick({ hash: 7n, attempt: 0 }), all[2]);
  for (const host of all) host.activeRequests = 0;
  const seen = new Set(Array.from({ length: 50 }, () => balancer.pick({ hash: null, attempt: 0 })));
  t.is(seen.size, 3);
});

test('one host takes everything, none takes nothing', (t) => {
  t.is(new Set(rig(1, 100).stay(9)).size, 1);
  const { balancer } = rig(0, 100);
  t.is(balancer.pick({ hash: 1n, attempt: 0 }), undefined);
});
