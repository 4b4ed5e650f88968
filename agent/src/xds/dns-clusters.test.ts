import { ManualClock, silentLogger } from '@chainmail/runtime';
import test from 'ava';
import type { DnsSpec } from '../config/cluster.ts';
import { DnsClusters, ofFamily, resolveHost } from './dns-clusters.ts';

const dns: DnsSpec = {
  endpoints: [
    {
      address: { ip: 'a.test', port: 80 },
      hostname: 'a.test',
      health: 'healthy',
      weight: 1,
      priority: 0,
      locality: '',
      socketMatch: {},
    },
  ],
  all: true,
  family: 'v4_only',
  refreshMs: 5_000,
  failure: null,
  respectTtl: false,
};
const settle = () => new Promise((resolve) => setImmediate(resolve));

function setUp(answers: (readonly string[] | Error)[], ttlMs: number | null = null) {
  const clock = new ManualClock();
  const seen: string[] = [];
  const clusters = new DnsClusters({
    clock,
    log: silentLogger,
    resolve: async () => {
      const next = answers.shift() ?? [];
      if (next instanceof Error) throw next;
      return { addresses: next, ttlMs };
    },
    onResolved: (name, endpoints) => void seen.push(`${name} ${endpoints.map((e) => e.address.ip).join(',')}`),
  });
  return { clock, seen, clusters };
}

test('looked up again at the refresh rate; told only when something changed', async (t) => {
  const { clock, seen, clusters } = setUp([['10.0.0.1'], ['10.0.0.1'], ['10.0.0.2', '10.0.0.3']]);
  clusters.sync(new Map([['c', dns]]));
  await settle();
  clock.advance(5_000);
  await settle();
  clock.advance(5_000);
  await settle();
  t.deepEqual(seen, ['c 10.0.0.1', 'c 10.0.0.2,10.0.0.3']);
  clusters.stop();
  t.is(clock.pending, 0);
});

test('a failure at the start says so, a later one keeps what is known', async (t) => {
  const { clock, seen, clusters } = setUp([new Error('no'), ['10.0.0.1'], new Error('no')]);
  clusters.sync(new Map([['c', dns]]));
  await settle();
  t.deepEqual(seen, ['c ']);
  clock.advance(1_000);
  await settle();
  clock.advance(5_000);
  await settle();
  t.deepEqual(seen, ['c ', 'c 10.0.0.1']);
  clusters.stop();
});

test('after a failure the configured time goes by, up to its maximum', async (t) => {
  const no = new Error('no');
  const { clock, seen, clusters } = setUp([no, no, no, ['10.0.0.1']]);
  clusters.sync(new Map([['c', { ...dns, failure: { baseMs: 20_000, maxMs: 30_000 } }]]));
  await settle();
  clock.advance(9_999);
  await settle();
  t.deepEqual(seen, ['c ']);
  for (const ms of [20_000, 30_000, 30_000]) {
    clock.advance(ms);
    await settle();
  }
  t.deepEqual(seen, ['c ', 'c 10.0.0.1']);
  clusters.stop();
});

test('a logical cluster uses one address; a TTL is respected when asked for', async (t) => {
  const { clock, seen, clusters } = setUp([['10.0.0.1', '10.0.0.2'], ['10.0.0.2']], 60_000);
  clusters.sync(new Map([['c', { ...dns, all: false, respectTtl: true }]]));
  await settle();
  clock.advance(59_000);
  await settle();
  t.deepEqual(seen, ['c 10.0.0.1']);
  clock.advance(1_000);
  await settle();
  t.deepEqual(seen, ['c 10.0.0.1', 'c 10.0.0.2']);
  clusters.stop();
});

test('families are those of Envoy, and the system resolver knows the hosts file', async (t) => {
  const both = ['10.0.0.1', 'fd00::1'];
  t.deepEqual(ofFamily(both, 'auto'), ['fd00::1']);
  t.deepEqual(ofFamily(both, 'v4_preferred'), ['10.0.0.1']);
  t.deepEqual(ofFamily(both, 'v6_only'), ['fd00::1']);
  t.deepEqual(ofFamily(both, 'all'), both);
  t.deepEqual((await resolveHost('localhost', 'v4_only', false)).addresses, ['127.0.0.1']);
});
