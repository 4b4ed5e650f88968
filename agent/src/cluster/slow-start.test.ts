/** Slow start and locality weights, as shares of a thousand picks. */
import test from 'ava';
import type { ClusterSpec } from '../model/cluster.ts';
import type { Cluster } from './cluster.ts';
import { createCluster } from './create.ts';
import { clusterSpec, endpoint, endpoints, type Fixture, fixture, hostOf, untried } from './testing/cluster-fixture.ts';

const slowStart = { windowMs: 10_000, aggression: 1, minShare: 0.1 };

function make(of: Partial<ClusterSpec>): { readonly cluster: Cluster; readonly f: Fixture } {
  const f = fixture();
  const cluster = createCluster(clusterSpec(of), f.runtime);
  cluster.setEndpoints({ cluster: 'c', endpoints: endpoints(2) });
  return { cluster, f };
}

/** Share of picks that go to host n. */
function share(cluster: Cluster, n: number): number {
  const picks = Array.from({ length: 1100 }, () => hostOf(cluster.pick(untried)).address.ip);
  return picks.filter((ip) => ip === `10.0.0.${n}`).length / picks.length;
}

function near(actual: number, wanted: number, within = 0.02): boolean {
  return Math.abs(actual - wanted) < within;
}

for (const lb of ['round_robin', 'least_request'] as const) {
  test(`${lb}: a new host begins with the minimal share and grows to its own`, (t) => {
    const { cluster, f } = make({ lb, slowStart });
    f.clock.advance(60_000);
    cluster.setEndpoints({ cluster: 'c', endpoints: endpoints(3) });
    t.true(near(share(cluster, 3), 0.1 / 2.1));
    f.clock.advance(5_000);
    t.true(near(share(cluster, 3), 0.5 / 2.5));
    f.clock.advance(5_000);
    t.true(near(share(cluster, 3), 1 / 3, 0.06));
  });
}

test('aggression: above 1 the share grows faster at first', (t) => {
  const { cluster, f } = make({ slowStart: { ...slowStart, aggression: 2 } });
  f.clock.advance(60_000);
  cluster.setEndpoints({ cluster: 'c', endpoints: endpoints(3) });
  f.clock.advance(2_500);
  t.true(near(share(cluster, 3), 0.5 / 2.5));
});

test('hosts that start together share equally', (t) => {
  const { cluster } = make({ slowStart });
  t.true(near(share(cluster, 1), 0.5));
});

test('localities get load by their weights, and less when they lose hosts', (t) => {
  const f = fixture();
  const cluster = createCluster(clusterSpec({ localityWeighted: true }), f.runtime);
  const zone = (n: number, locality: string, localityWeight: number, health: 'healthy' | 'unhealthy' = 'healthy') =>
    endpoint(n, { locality, localityWeight, health });
  cluster.setEndpoints({
    cluster: 'c',
    endpoints: [zone(1, 'a', 1), zone(2, 'a', 1), zone(3, 'a', 1), zone(4, 'b', 3), endpoint(5, { locality: 'c' })],
  });
  t.true(near(share(cluster, 4), 0.75));
  t.is(share(cluster, 5), 0, 'a locality without a weight takes nothing');
  cluster.setEndpoints({
    cluster: 'c',
    endpoints: [zone(1, 'a', 1), zone(2, 'a', 1), zone(3, 'b', 1), zone(4, 'b', 1, 'unhealthy')],
  });
  t.true(near(share(cluster, 3), 0.7 / 1.7));
});

test('without any weight localities do not count', (t) => {
  const { cluster } = make({ localityWeighted: true });
  t.true(near(share(cluster, 1), 0.5));
});
