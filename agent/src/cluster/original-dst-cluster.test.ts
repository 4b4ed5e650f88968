import test from 'ava';
import type { PickContext } from './cluster.ts';
import { destinationIdleMs, maxDestinations, OriginalDstCluster } from './original-dst-cluster.ts';
import { clusterSpec, fixture, hostOf } from './testing/cluster-fixture.ts';

const to = (ip: string, port = 80): PickContext => ({ tried: [], destination: { ip, port } });

function make() {
  const f = fixture();
  return { f, cluster: new OriginalDstCluster(clusterSpec({ type: 'original_dst' }), f.runtime) };
}

test('a host for each destination, the same one next time', (t) => {
  const { cluster } = make();
  const host = hostOf(cluster.pick(to('10.0.0.1')));
  t.is(hostOf(cluster.pick(to('10.0.0.1'))), host);
  t.not(hostOf(cluster.pick(to('10.0.0.1', 81))), host);
  t.is(hostOf(cluster.pick(to('fd00::1'))).label, '[fd00::1]:80');
});

test('without a destination there is nowhere to go', (t) => {
  const { cluster } = make();
  t.is(cluster.pick({ tried: [], destination: null }).kind, 'no-destination');
  t.is(cluster.pick(to('10.0.0.1', 0)).kind, 'no-destination');
});

test('a destination is forgotten after a minute without a pick, not while it is busy', (t) => {
  const { cluster, f } = make();
  const idle = hostOf(cluster.pick(to('10.0.0.1')));
  const busy = hostOf(cluster.pick(to('10.0.0.2')));
  busy.activeRequests = 1;
  const opaque = hostOf(cluster.pick(to('10.0.0.3')));
  opaque.activeConnections = 1;
  f.clock.advance(destinationIdleMs - 1);
  t.false(idle.removed);
  f.clock.advance(30_000);
  t.true(idle.removed);
  t.false(busy.removed);
  t.false(opaque.removed);
  t.is(f.stat('membership_total'), 2);
  busy.activeRequests = 0;
  opaque.activeConnections = 0;
  f.clock.advance(30_000);
  t.is(f.stat('membership_total'), 0);
  t.is(f.clock.pending, 0, 'no timer without destinations');
});

test('a pick keeps a destination alive', (t) => {
  const { cluster, f } = make();
  const host = hostOf(cluster.pick(to('10.0.0.1')));
  for (let i = 0; i < 10; i++) {
    f.clock.advance(20_000);
    t.is(hostOf(cluster.pick(to('10.0.0.1'))), host);
  }
});

test('idle connections of a pool do not keep it; they are closed', (t) => {
  const { cluster, f } = make();
  const host = hostOf(cluster.pick(to('10.0.0.1')));
  let drained = 0;
  host.activeConnections = 3;
  host.pool = { drain: () => drained++ };
  f.clock.advance(destinationIdleMs + 15_000);
  t.true(host.removed);
  t.is(drained, 1);
});

test('clients cannot make it grow without end', (t) => {
  const { cluster, f } = make();
  const fill = (): void => {
    for (let i = 0; i < maxDestinations; i++) {
      hostOf(cluster.pick(to(`10.1.${i >> 8}.${i & 255}`))).activeRequests = 1;
    }
  };
  fill();
  t.is(cluster.pick(to('10.9.9.9')).kind, 'none-healthy');
  t.is(f.stat('upstream_cx_none_healthy'), 1);
  hostOf(cluster.pick(to('10.1.0.0'))).activeRequests = 0;
  t.is(hostOf(cluster.pick(to('10.9.9.9'))).label, '10.9.9.9:80');
  t.is(f.stat('membership_total'), maxDestinations);
});
