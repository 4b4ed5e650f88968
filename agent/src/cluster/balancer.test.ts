/** The contract that every balancer keeps, and then what is particular to each. */
import test from 'ava';
import fc from 'fast-check';
import type { ClusterSpec, EndpointSpec } from '../model/cluster.ts';
import { anyChoice, createBalancer } from './balancer.ts';
import type { ClusterHost } from './host.ts';
import { RingHash } from './ring-hash.ts';
import { endpoint, endpoints, hosts, sequence, tally } from './testing/cluster-fixture.ts';
import { xxHash64 } from './xx-hash.ts';

const balancers = ['round_robin', 'least_request', 'random', 'ring_hash', 'maglev'] as const;

function picks(lb: ClusterSpec['lb'], list: readonly ClusterHost[], count: number, random = sequence()): string[] {
  const balancer = createBalancer({ lb, choices: 2, random });
  balancer.setHosts(list);
  return Array.from({ length: count }, () => balancer.pick(anyChoice)?.label ?? 'none');
}

const weighted = (weights: readonly number[]): readonly EndpointSpec[] =>
  weights.map((weight, i) => endpoint(i + 1, { weight }));

for (const lb of balancers) {
  test(`${lb}: picks only from the list, and sooner or later everybody in it`, (t) => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 }),
        fc.nat(),
        (weights, seed) => {
          const list = hosts(weighted(weights));
          const seen = new Set(picks(lb, list, 400, sequence(seed)));
          return seen.size === list.length && list.every((host) => seen.has(host.label));
        },
      ),
      { numRuns: 50 },
    );
    t.pass();
  });

  test(`${lb}: an only host is always it`, (t) => {
    t.deepEqual(tally(picks(lb, hosts(endpoints(1)), 10)), { '10.0.0.1:80': 10 });
  });

  test(`${lb}: no hosts, no pick`, (t) => {
    t.deepEqual(picks(lb, [], 1), ['none']);
  });

  test(`${lb}: a new list takes effect at once`, (t) => {
    const balancer = createBalancer({ lb, choices: 2, random: sequence() });
    balancer.setHosts(hosts(endpoints(5)));
    balancer.pick(anyChoice);
    balancer.setHosts(hosts([endpoint(9), endpoint(8)]));
    for (let i = 0; i < 20; i++) t.regex(balancer.pick(anyChoice)?.label ?? '', /^10\.0\.0\.[89]:80$/);
  });

  test(`${lb}: equal hosts share evenly`, (t) => {
    const counts = Object.values(tally(picks(lb, hosts(endpoints(4)), 8000)));
    t.is(counts.length, 4);
    // Points of a ring lie where their hashes fall; the rest is even but for chance.
    const off = lb === 'ring_hash' ? 500 : 200;
    for (const count of counts) t.true(Math.abs(count - 2000) < off, String(count));
  });

  test(`${lb}: agents do not all begin at the same host`, (t) => {
    const first = new Set(
      Array.from({ length: 64 }, (_, seed) => picks(lb, hosts(endpoints(4)), 1, sequence(seed + 1))[0]),
    );
    t.is(first.size, 4);
  });
}

test('round robin goes in the order of the hosts', (t) => {
  const order = picks('round_robin', hosts(endpoints(3)), 6).map((label) => Number(label[7]));
  for (const [i, n] of order.entries()) {
    const next = order[i + 1];
    if (next !== undefined) t.is(next, (n % 3) + 1);
  }
});

test('round robin keeps weights exactly in every cycle', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 2, maxLength: 10 }),
      fc.nat(),
      (weights, seed) => {
        const cycle = weights.reduce((a, b) => a + b, 0);
        const all = picks('round_robin', hosts(weighted(weights)), 3 * cycle, sequence(seed));
        return [0, 1, 2].every((n) => {
          const counts = tally(all.slice(n * cycle, (n + 1) * cycle));
          return weights.every((weight, i) => counts[`10.0.0.${i + 1}:80`] === weight);
        });
      },
    ),
    { numRuns: 100 },
  );
  t.pass();
});

test('round robin mixes a cycle instead of sending bursts', (t) => {
  const all = picks('round_robin', hosts(weighted([3, 1, 2])), 6);
  t.true(
    all.every((label, i) => i < 2 || label !== all[i - 1] || label !== all[i - 2]),
    all.join(' '),
  );
});

test('least request avoids the busy host', (t) => {
  const list = hosts(endpoints(2));
  const [busy] = list;
  if (busy !== undefined) busy.activeRequests = 10;
  t.deepEqual(tally(picks('least_request', list, 100)), { '10.0.0.2:80': 100 });
});

test('least request with weights: heavier hosts get more, busy ones less', (t) => {
  const list = hosts(weighted([1, 3]));
  const idle = tally(picks('least_request', list, 400));
  t.is(idle['10.0.0.2:80'], 300);
  const heavy = list[1];
  if (heavy !== undefined) heavy.activeRequests = 5;
  const loaded = tally(picks('least_request', list, 300));
  t.is(loaded['10.0.0.2:80'], 100);
});

test('random takes no notice of weights', (t) => {
  const counts = tally(picks('random', hosts(weighted([1, 100])), 2000));
  t.true((counts['10.0.0.1:80'] ?? 0) > 900);
});

const hashers = ['ring_hash', 'maglev'] as const;

for (const lb of hashers) {
  const choose = (list: readonly ClusterHost[]): ((key: string, attempt?: number) => string) => {
    const balancer = createBalancer({ lb, choices: 2, random: sequence() });
    balancer.setHosts(list);
    return (key, attempt = 0) => balancer.pick({ hash: xxHash64(key), attempt })?.label ?? 'none';
  };
  const keys = Array.from({ length: 1000 }, (_, i) => `user-${i}`);

  test(`${lb}: a request goes where its hash says, whatever the order of the hosts`, (t) => {
    const list = hosts(endpoints(5));
    const one = choose(list);
    for (const key of keys) t.is(one(key), one(key));
    if (lb === 'maglev') return;
    const other = choose(list.toReversed());
    for (const key of keys) t.is(other(key), one(key));
  });

  test(`${lb}: a host that goes takes hardly anybody else along`, (t) => {
    const list = hosts(endpoints(5));
    const before = choose(list);
    const after = choose(list.slice(0, 4));
    const moved = keys.filter((key) => before(key) !== '10.0.0.5:80' && after(key) !== before(key));
    t.true(moved.length < (lb === 'maglev' ? 60 : 150), String(moved.length));
  });

  test(`${lb}: weights are shares of the whole`, (t) => {
    const heavy = choose(hosts(weighted([1, 3])));
    const share = keys.filter((key) => heavy(key) === '10.0.0.2:80').length;
    t.true(share > 650 && share < 850, String(share));
  });

  test(`${lb}: a further attempt finds another host in the end`, (t) => {
    const of = choose(hosts(endpoints(3)));
    const seen = new Set(Array.from({ length: 64 }, (_, attempt) => of('user', attempt)));
    t.is(seen.size, 3);
  });
}

test('five equal hosts stand at 1025 points of the ring, as with Envoy', (t) => {
  const ring = new RingHash(sequence(), { minSize: 1024, maxSize: 8_388_608, byHostname: false, place: xxHash64 });
  ring.setHosts(hosts(endpoints(5)));
  t.is(ring.size, 1025);
  ring.setHosts(hosts(endpoints(1)));
  t.is(ring.size, 1024);
});

test('a hash key of its own decides where a host stands', (t) => {
  const at = (hashKey: string): string => {
    const ring = new RingHash(sequence(), { minSize: 64, maxSize: 64, byHostname: false, place: xxHash64 });
    ring.setHosts(hosts([endpoint(1, { hashKey }), endpoint(2, { hashKey: 'b' })]));
    return Array.from({ length: 50 }, (_, i) => ring.pick({ hash: xxHash64(`${i}`), attempt: 0 })?.label).join();
  };
  t.is(at('a'), at('a'));
  t.not(at('a'), at('c'));
});

test('a ring and a table say how many entries they have, and how many the hosts have', (t) => {
  const sizes: unknown[] = [];
  const options = { choices: 2, random: sequence(), onBuilt: (of: unknown) => sizes.push(of) };
  const ring = createBalancer({ ...options, lb: 'ring_hash' });
  ring.setHosts(hosts(endpoints(4)));
  ring.setHosts([]);
  createBalancer({ ...options, lb: 'maglev' }).setHosts(hosts(weighted([1, 3])));
  t.deepEqual(sizes, [
    { size: 1024, min: 256, max: 256 },
    { size: 0, min: 0, max: 0 },
    { size: 65_537, min: 16_385, max: 49_152 },
  ]);
});
