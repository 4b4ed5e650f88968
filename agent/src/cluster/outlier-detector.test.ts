import test from 'ava';
import type { OutlierSpec } from '../model/cluster.ts';
import type { Cluster, Host, Outcome } from './cluster.ts';
import { createCluster } from './create.ts';
import {
  clusterSpec,
  endpoint,
  endpoints,
  type Fixture,
  fixture,
  hostOf,
  outlierSpec,
  tally,
  untried,
} from './testing/cluster-fixture.ts';

interface Setup {
  readonly cluster: Cluster;
  readonly f: Fixture;
  /** Host number n, from 1. */
  host(n: number): Host;
  fail(n: number, times?: number, outcome?: Outcome): void;
  /** Numbers of the ejected hosts. */
  ejected(): number[];
}

function setup(count: number, outlier: Partial<OutlierSpec> = {}, random?: () => number): Setup {
  const f = fixture(random);
  const cluster = createCluster(clusterSpec({ outlier: outlierSpec(outlier) }), f.runtime);
  cluster.setEndpoints({ cluster: 'c', endpoints: endpoints(count) });
  const byLabel = new Map(
    Array.from({ length: 50 * count }, () => hostOf(cluster.pick(untried))).map((h) => [h.label, h]),
  );
  const host = (n: number): Host => {
    const found = byLabel.get(`10.0.0.${n}:80`);
    if (found === undefined) throw new Error(`host ${n} was never picked`);
    return found;
  };
  const fail: Setup['fail'] = (n, times = 5, outcome = { kind: 'response', status: 500 }) => {
    for (let i = 0; i < times; i++) cluster.record(host(n), outcome);
  };
  const ejected = (): number[] => Array.from({ length: count }, (_, i) => i + 1).filter((n) => host(n).ejected);
  return { cluster, f, host, fail, ejected };
}

const ok: Outcome = { kind: 'response', status: 200 };

test('ejected at exactly consecutive_5xx, and no pick goes there', (t) => {
  const { cluster, f, host, fail, ejected } = setup(2);
  fail(1, 4);
  t.deepEqual(ejected(), []);
  fail(1, 1);
  t.deepEqual(ejected(), [1]);
  t.deepEqual(tally(Array.from({ length: 10 }, () => hostOf(cluster.pick(untried)).label)), { [host(2).label]: 10 });
  t.is(f.stat('outlier_detection.ejections_active'), 1);
  t.is(f.stat('outlier_detection.ejections_enforced_total'), 1);
  t.is(f.stat('outlier_detection.ejections_enforced_consecutive_5xx'), 1);
  t.is(f.stat('outlier_detection.ejections_detected_consecutive_5xx'), 1);
  t.is(f.stat('membership_healthy'), 1);
  t.deepEqual(cluster.snapshot().hosts.find((h) => h.address === host(1).label)?.flags, ['failed_outlier_check']);
});

test('a success in between starts the count anew; 4xx are successes', (t) => {
  const { cluster, host, fail, ejected } = setup(2);
  fail(1, 4);
  cluster.record(host(1), { kind: 'response', status: 404 });
  fail(1, 4);
  t.deepEqual(ejected(), []);
});

test('failures of our own count as 5xx unless they are split off', (t) => {
  const causes = ['connect-failed', 'connect-timeout', 'timeout', 'reset'] as const;
  for (const cause of causes) {
    const together = setup(2);
    together.fail(1, 5, { kind: 'local', cause });
    t.deepEqual(together.ejected(), [1], cause);
    const apart = setup(2, {
      splitExternalLocalOriginErrors: true,
      consecutive5xx: 3,
      consecutiveLocalOriginFailure: 4,
    });
    apart.fail(1, 3, { kind: 'local', cause });
    t.deepEqual(apart.ejected(), [], cause);
    apart.fail(1, 1, { kind: 'local', cause });
    t.deepEqual(apart.ejected(), [1], cause);
    t.is(apart.f.stat('outlier_detection.ejections_enforced_consecutive_local_origin_failure'), 1);
  }
});

test('split: a response of any kind shows that the host can be reached', (t) => {
  const { fail, ejected } = setup(2, { splitExternalLocalOriginErrors: true });
  for (let i = 0; i < 4; i++) {
    fail(1, 4, { kind: 'local', cause: 'reset' });
    fail(1, 1);
  }
  t.deepEqual(ejected(), []);
});

test('gateway failures: 502, 503, 504, detected always, enforced when asked for', (t) => {
  const gateway: Outcome = { kind: 'response', status: 503 };
  const byDefault = setup(2, { consecutiveGatewayFailure: 3 });
  byDefault.fail(1, 3, gateway);
  t.deepEqual(byDefault.ejected(), []);
  t.is(byDefault.f.stat('outlier_detection.ejections_detected_consecutive_gateway_failure'), 1);
  const enforced = setup(2, { consecutiveGatewayFailure: 3, enforcingConsecutiveGatewayFailure: 100 });
  enforced.fail(1, 2, gateway);
  enforced.fail(1, 1, { kind: 'response', status: 500 });
  enforced.fail(1, 1, gateway);
  t.deepEqual(enforced.ejected(), []);
  enforced.fail(2, 3, gateway);
  t.deepEqual(enforced.ejected(), [2]);
});

test('enforcing is a percentage', (t) => {
  const { f, fail, ejected } = setup(2, { enforcingConsecutive5xx: 50 }, () => 0.5);
  f.clock.advance(0);
  t.deepEqual(ejected(), []);
  fail(2, 5);
  t.deepEqual(ejected(), []);
  t.is(f.stat('outlier_detection.ejections_detected_consecutive_5xx'), 1);
});

test('max_ejection_percent: one host always, more only up to the share', (t) => {
  const ten = setup(10);
  ten.fail(1);
  ten.fail(2);
  t.deepEqual(ten.ejected(), [1]);
  t.is(ten.f.stat('outlier_detection.ejections_overflow'), 1);
  const half = setup(10, { maxEjectionPercent: 50 });
  for (let n = 1; n <= 10; n++) half.fail(n);
  t.deepEqual(half.ejected(), [1, 2, 3, 4, 5]);
});

test('the only endpoint left is never ejected', (t) => {
  const one = setup(1, { maxEjectionPercent: 100 });
  one.fail(1, 50);
  t.deepEqual(one.ejected(), []);
  const all = setup(3, { maxEjectionPercent: 100 });
  for (let round = 0; round < 3; round++) for (const n of [1, 2, 3]) all.fail(n);
  t.deepEqual(all.ejected(), [1, 2]);
});

test('an unhealthy or draining neighbour is nobody left', (t) => {
  const s = setup(1, { maxEjectionPercent: 100 });
  s.cluster.setEndpoints({
    cluster: 'c',
    endpoints: [endpoint(1), endpoint(2, { health: 'unhealthy' }), endpoint(3, { health: 'draining' })],
  });
  s.fail(1, 50);
  t.deepEqual(s.ejected(), []);
});

test('comes back at the first sweep after its time', (t) => {
  const { f, fail, ejected, host, cluster } = setup(2);
  fail(1);
  f.clock.advance(29_999);
  t.deepEqual(ejected(), [1]);
  f.clock.advance(1);
  t.deepEqual(ejected(), []);
  t.is(f.stat('outlier_detection.ejections_active'), 0);
  t.is(f.stat('membership_healthy'), 2);
  t.is(Object.keys(tally(Array.from({ length: 10 }, () => hostOf(cluster.pick(untried)).label))).length, 2);
  t.false(host(1).removed);
});

test('each ejection lasts longer, up to the cap; healthy sweeps bring it down again', (t) => {
  const { f, fail, ejected } = setup(2, { maxEjectionTimeMs: 60_000 });
  const outFor = (): number => {
    fail(1);
    t.deepEqual(ejected(), [1]);
    let ms = 0;
    for (; ejected().length > 0; ms += 10_000) f.clock.advance(10_000);
    return ms;
  };
  t.is(outFor(), 30_000);
  t.is(outFor(), 60_000);
  t.is(outFor(), 60_000);
  f.clock.advance(20_000);
  t.is(outFor(), 30_000);
});

test('the sweep rests when there is nothing to watch', (t) => {
  const { f, fail } = setup(2);
  t.is(f.clock.pending, 0);
  fail(1);
  t.is(f.clock.pending, 1);
  f.clock.advance(60_000);
  t.is(f.clock.pending, 0);
});

test('counts start anew after the return', (t) => {
  const { f, fail, ejected, cluster, host } = setup(2);
  fail(1);
  fail(1, 4);
  f.clock.advance(30_000);
  fail(1, 4);
  t.deepEqual(ejected(), []);
  cluster.record(host(1), ok);
});

test('an update keeps ejections; removal of the host ends them; switching detection off frees all', (t) => {
  const s = setup(3, { maxEjectionPercent: 100 });
  s.fail(1);
  s.fail(2);
  s.cluster.update(clusterSpec({ outlier: outlierSpec({ baseEjectionTimeMs: 60_000 }) }));
  t.deepEqual(s.ejected(), [1, 2]);
  s.cluster.setEndpoints({ cluster: 'c', endpoints: [endpoint(2), endpoint(3)] });
  t.deepEqual(s.ejected(), [2]);
  t.is(s.f.stat('outlier_detection.ejections_active'), 1);
  s.cluster.update(clusterSpec({ outlier: null }));
  t.deepEqual(s.ejected(), []);
  t.is(s.f.stat('outlier_detection.ejections_active'), 0);
  t.is(s.f.stat('membership_healthy'), 2);
});

test('late outcomes of a removed host change nothing', (t) => {
  const s = setup(3);
  s.cluster.setEndpoints({ cluster: 'c', endpoints: [endpoint(2), endpoint(3)] });
  s.fail(1, 50);
  t.is(s.f.stat('outlier_detection.ejections_enforced_total'), 0);
});

const successRate = { minimumHosts: 5, requestVolume: 10, stdevFactor: 1.9, enforcing: 100, enforcingLocal: 100 };
const rates: Partial<OutlierSpec> = { consecutive5xx: 0, maxEjectionPercent: 50, successRate };

/** Each host gets 20 requests, of which that many fail. */
function interval({ cluster, f, host }: Setup, failures: readonly number[], outcome: Outcome): void {
  failures.forEach((failed, i) => {
    for (let n = 0; n < 20; n++) cluster.record(host(i + 1), n < failed ? outcome : ok);
  });
  f.clock.advance(10_000);
}

const bad: Outcome = { kind: 'response', status: 500 };

test('success rate: the one far below the others goes, at the end of the interval', (t) => {
  const s = setup(6, rates);
  interval(s, [1, 0, 1, 0, 0, 15], bad);
  t.deepEqual(s.ejected(), [6]);
  t.is(s.f.stat('outlier_detection.ejections_enforced_success_rate'), 1);
  const even = setup(6, rates);
  interval(even, [15, 15, 15, 15, 15, 15], bad);
  t.deepEqual(even.ejected(), []);
});

test('success rate: too few hosts or requests say nothing, and intervals do not add up', (t) => {
  const few = setup(4, rates);
  interval(few, [0, 0, 0, 20], bad);
  t.deepEqual(few.ejected(), []);
  const rare = setup(6, { ...rates, successRate: { ...successRate, requestVolume: 21 } });
  interval(rare, [0, 0, 0, 0, 0, 20], bad);
  interval(rare, [0, 0, 0, 0, 0, 20], bad);
  t.deepEqual(rare.ejected(), []);
});

test('failure percentage: whoever fails too often goes, whatever the others do', (t) => {
  const failurePercentage = { threshold: 85, minimumHosts: 5, requestVolume: 10, enforcing: 100, enforcingLocal: 0 };
  const s = setup(6, { ...rates, successRate: null, failurePercentage });
  interval(s, [17, 16, 0, 17, 0, 0], bad);
  t.deepEqual(s.ejected(), [1, 4]);
  t.is(s.f.stat('outlier_detection.ejections_enforced_failure_percentage'), 2);
});

test('split errors: what never answered is counted apart from what answered badly', (t) => {
  const s = setup(6, { ...rates, splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailure: 0 });
  interval(s, [0, 0, 0, 0, 0, 15], { kind: 'local', cause: 'connect-failed' });
  t.deepEqual(s.ejected(), [6]);
  t.is(s.f.stat('outlier_detection.ejections_enforced_local_origin_success_rate'), 1);
  t.is(s.f.stat('outlier_detection.ejections_detected_success_rate'), 0);
});
