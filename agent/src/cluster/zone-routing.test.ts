/** Zone-aware routing: how much stays, where the rest goes, and when zones do not count. */
import test from 'ava';
import type { ClusterSpec, EndpointSpec, ZoneRoutingSpec } from '../model/cluster.ts';
import type { Cluster } from './cluster.ts';
import { createCluster } from './create.ts';
import { clusterSpec, endpoint, type Fixture, fixture, tally, untried } from './testing/cluster-fixture.ts';

const own = 'r/a/';

function zones(of: Partial<ZoneRoutingSpec> = {}): ZoneRoutingSpec {
  return { localCluster: 'us', locality: own, routingPercent: 100, minClusterSize: 1, direct: false, ...of };
}

/** Hosts in zones: `aab` is two in the own zone and one in zone b; a capital letter is an unhealthy one. */
function places(letters: string, of: Partial<EndpointSpec> = {}): readonly EndpointSpec[] {
  return [...letters].map((letter, i) =>
    endpoint(i + 1, {
      locality: `r/${letter.toLowerCase()}/`,
      health: letter === letter.toUpperCase() ? 'unhealthy' : 'healthy',
      ...of,
    }),
  );
}

interface Rig {
  readonly f: Fixture;
  readonly local: Cluster;
  readonly upstream: Cluster;
  setLocal(letters: string): void;
}

function rig(local: string, upstream: string, spec: Partial<ClusterSpec> = {}): Rig {
  const f = fixture();
  const clusters = new Map<string, Cluster>();
  const runtime = { ...f.runtime, cluster: (name: string) => clusters.get(name) };
  const us = createCluster(clusterSpec({ name: 'us' }), {
    ...runtime,
    slots: new Float64Array(f.runtime.slots.length),
  });
  const them = createCluster(clusterSpec({ zones: zones(), ...spec }), runtime);
  clusters.set('us', us);
  const setLocal = (letters: string): void => us.setEndpoints({ cluster: 'us', endpoints: places(letters) });
  setLocal(local);
  them.setEndpoints({ cluster: 'c', endpoints: places(upstream) });
  return { f, local: us, upstream: them, setLocal };
}

/** Zones of a thousand requests, in per cent, rounded. */
function zonesOf({ upstream }: Rig): Readonly<Record<string, number>> {
  const picks = Array.from({ length: 1000 }, () => upstream.pick(untried));
  const seen = tally(picks.map((p) => (p.kind === 'host' ? (p.host.endpoint.locality[2] ?? '') : p.kind)));
  return Object.fromEntries(
    Object.entries(seen)
      .sort()
      .map(([zone, n]) => [zone, Math.round(n / 10)]),
  );
}

test('everything stays where the upstream can carry it', (t) => {
  const r = rig('ab', 'aab');
  t.deepEqual(zonesOf(r), { a: 100 });
  t.is(r.f.stat('lb_zone_routing_all_directly'), 1000);
  t.is(r.f.stat('lb_recalculate_zone_structures'), 1);
});

test('what the own zone cannot carry goes to zones with capacity left, in proportion', (t) => {
  // 50 % of the load is here, and 25 % of the capacity: half of it stays; b has its own load, c has 25 % left.
  const r = rig('aabb', 'abbc');
  const seen = zonesOf(r);
  t.deepEqual(Object.keys(seen), ['a', 'c']);
  t.true(Math.abs((seen['a'] ?? 0) - 50) < 5);
  t.is(r.f.stat('lb_zone_routing_sampled') + r.f.stat('lb_zone_routing_cross_zone'), 1000);
});

test('without a host in the own zone all goes to what is left elsewhere', (t) => {
  t.deepEqual(zonesOf(rig('ab', 'bc')), { c: 100 });
});

test('where rounding has left no capacity any zone will do', (t) => {
  const r = rig('aab', 'bbb');
  t.deepEqual(zonesOf(r), { b: 100 }, 'one zone alone is no zone');
  const rounded = rig('abc', 'Abc');
  // A third is 3333 of 10,000 and a half is 5000: b and c have the same left, a has nothing.
  t.deepEqual(Object.keys(zonesOf(rounded)), ['b', 'c']);
});

test('ejected and unhealthy hosts are no capacity, and health that comes back counts at once', (t) => {
  const r = rig('ab', 'aAbb', { panicThreshold: 0 });
  t.not(zonesOf(r)['a'], 100);
  r.upstream.setEndpoints({ cluster: 'c', endpoints: places('aabb') });
  t.deepEqual(zonesOf(r), { a: 100 });
});

test('a change of the local cluster changes the plan', (t) => {
  const r = rig('aabb', 'abbc');
  t.not(zonesOf(r)['a'], 100);
  r.setLocal('abbb');
  t.deepEqual(zonesOf(r), { a: 100 });
  t.is(r.f.stat('lb_recalculate_zone_structures'), 2);
});

test('zones do not count for too few hosts, one zone, or a local cluster that is not as it should be', (t) => {
  const small = rig('ab', 'aab', { zones: zones({ minClusterSize: 4 }) });
  t.deepEqual(Object.keys(zonesOf(small)), ['a', 'b']);
  t.is(small.f.stat('lb_zone_cluster_too_small'), 1);
  const elsewhere = rig('bc', 'aab');
  t.deepEqual(Object.keys(zonesOf(elsewhere)), ['a', 'b']);
  t.is(elsewhere.f.stat('lb_local_cluster_not_ok'), 1);
  t.deepEqual(Object.keys(zonesOf(rig('aa', 'aab'))), ['a', 'b'], 'all of us are in one zone');
  const absent = rig('ab', 'aab', { zones: zones({ localCluster: 'other' }) });
  t.deepEqual(Object.keys(zonesOf(absent)), ['a', 'b']);
});

test('a share of the requests', (t) => {
  const r = rig('ab', 'abb', { zones: zones({ routingPercent: 0 }) });
  t.deepEqual(zonesOf(r), { a: 33, b: 67 });
});

test('direct routing keeps all in the own zone, whatever it carries', (t) => {
  t.deepEqual(zonesOf(rig('aab', 'abb', { zones: zones({ direct: true }) })), { a: 100 });
  t.deepEqual(zonesOf(rig('aa', 'abb', { zones: zones({ direct: true }) })), { a: 100 }, 'also with one local zone');
});

test('a local cluster in panic: any zone, or none at all where traffic is to fail', (t) => {
  const r = rig('aAAb', 'aab', { panicThreshold: 60 });
  t.deepEqual(Object.keys(zonesOf(r)), ['a', 'b']);
  t.is(r.f.stat('lb_local_cluster_not_ok'), 1000);
  t.deepEqual(zonesOf(rig('aAAb', 'aab', { panicThreshold: 60, failOnPanic: true })), { 'none-healthy': 100 });
});

test('an upstream in panic has no host where traffic is to fail, with or without zones', (t) => {
  for (const more of [{}, { zones: null }]) {
    const r = rig('ab', 'aABBC', { ...more, failOnPanic: true });
    t.deepEqual(zonesOf(r), { 'none-healthy': 100 });
    t.is(r.f.stat('lb_healthy_panic'), 1000);
  }
  t.deepEqual(Object.keys(zonesOf(rig('ab', 'aABBC', {}))), ['a', 'b', 'c']);
});

test('only the first priority is routed by zones', (t) => {
  const f = fixture();
  const us = createCluster(clusterSpec({ name: 'us' }), {
    ...f.runtime,
    slots: new Float64Array(f.runtime.slots.length),
  });
  us.setEndpoints({ cluster: 'us', endpoints: places('ab') });
  const them = createCluster(clusterSpec({ zones: zones() }), { ...f.runtime, cluster: () => us });
  them.setEndpoints({ cluster: 'c', endpoints: places('aab', { priority: 1 }) });
  const seen = new Set<string>();
  for (let i = 0; i < 9; i++) {
    const p = them.pick(untried);
    if (p.kind === 'host') seen.add(p.host.endpoint.locality);
  }
  t.is(seen.size, 2);
});
