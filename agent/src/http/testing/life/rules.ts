/** What holds after every event, and when everybody has gone. */
import { http2HostOf } from '../../../http2/host-of.ts';
import type { clusterStat } from '../../../stats/layout.ts';
import { exchangePoolOf } from '../../exchange-pool.ts';
import { replayBlocksOf } from '../../replay-buffer.ts';
import type { FakeWorker } from '../fake-worker.ts';
import { endpoint } from '../specs.ts';
import { insist, type LifeClient, type LifeUpstream, type Peer } from './peers.ts';
import { clusters } from './setup.ts';
import type { LifeWorld } from './world.ts';

const open = ['cx', 'rq', 'rq_pending', 'rq_retry'].map(
  (of) => `circuit_breakers.default.${of}_open` as keyof typeof clusterStat.at,
);
/** Longer than any deadline of the setup. */
const longMs = 10_000_000;

function equal(what: string, found: number, expected: number): void {
  insist(found === expected, `${what}: ${found}, not ${expected}`);
}

/** Numbers that follow from what there is. */
export function checkNow({ w, clients, dialled }: LifeWorld): void {
  const active = w.http('downstream_rq_active');
  const again = w.clusterStat('upstream_internal_redirect_succeeded_total');
  equal('requests begun', w.http('downstream_rq_total') - again, w.logged.length + active);
  equal('exchanges in use', exchangePoolOf(w).lent, active);
  equal('downstream_cx_active', w.http('downstream_cx_active'), clients.filter((c) => !c.outbox.stream.dead).length);
  for (const [i, name] of clusters.entries()) {
    equal(
      `${name} cx_active`,
      w.clusterStat('upstream_cx_active', i),
      dialled.filter((d) => d.options.target === name).length,
    );
    insist(w.clusterStat('upstream_rq_active', i) >= 0, `${name} upstream_rq_active below 0`);
    insist(w.clusterStat('upstream_rq_pending_active', i) >= 0, `${name} upstream_rq_pending_active below 0`);
  }
  checkEnds(w);
  const tunnels = w.http('downstream_cx_upgrades_active');
  insist(tunnels >= 0 && tunnels <= active, `${tunnels} tunnels in ${active} requests`);
  if (active === 0) checkIdle(w);
}

/** Each connection has been ended by one side. */
function checkEnds(w: FakeWorker): void {
  const client = (of: 'destroy' | 'destroy_local' | 'destroy_remote'): number => w.http(`downstream_cx_${of}`);
  equal('ends of clients', client('destroy_local') + client('destroy_remote'), client('destroy'));
  const cut = w.http('downstream_cx_destroy_local_active_rq') + w.http('downstream_cx_destroy_remote_active_rq');
  equal('ends of clients under a request', cut, w.http('downstream_cx_destroy_active_rq'));
  for (const [i, name] of clusters.entries()) {
    const count = (
      of: `destroy${'' | '_local' | '_remote'}` | `destroy_${'' | 'local_' | 'remote_'}with_active_rq`,
    ): number => w.clusterStat(`upstream_cx_${of}`, i);
    equal(`${name} ends`, count('destroy_local') + count('destroy_remote'), count('destroy'));
    const cuts = count('destroy_local_with_active_rq') + count('destroy_remote_with_active_rq');
    equal(`${name} ends under a request`, cuts, count('destroy_with_active_rq'));
  }
}

/** No request is under way: only copies of requests may still be. */
function checkIdle(w: FakeWorker): void {
  for (const cluster of [0, 2]) checkCluster(w, cluster);
  equal('blocks for bodies that are kept', replayBlocksOf(w).lent, 0);
}

function checkCluster(w: FakeWorker, i: number): void {
  const name = clusters[i];
  equal(`${name} upstream_rq_active`, w.clusterStat('upstream_rq_active', i), 0);
  equal(`${name} upstream_rq_pending_active`, w.clusterStat('upstream_rq_pending_active', i), 0);
  for (const breaker of open.slice(1)) equal(`${name} ${breaker}`, w.clusterStat(breaker, i), 0);
}

/** With nobody doing anything, every request ends by itself. */
export function outlast(world: LifeWorld): void {
  const { w } = world;
  for (let i = 0; i < 5; i++) w.advance(1000);
  world.observe();
  equal('downstream_rq_active after all deadlines', w.http('downstream_rq_active'), 0);
  checkNow(world);
}

/** With everybody reading, sending and answering, every request comes to its end long before any deadline. */
export function help(world: LifeWorld): void {
  const { w } = world;
  if (world.hasNonsense) return;
  for (let round = 0; round < 40; round++) {
    for (const { stream } of world.dialled) if (!stream.connected) stream.connect();
    world.observe();
    for (const client of world.liveClients) helpClient(client);
    world.observe();
    for (const upstream of world.liveUpstreams) helpUpstream(upstream);
    w.advance(3);
    world.observe();
  }
  equal('downstream_rq_active when nobody waits', w.http('downstream_rq_active'), 0);
}

function helpClient(client: LifeClient): void {
  widen(client);
  client.body(0, 3, true);
  client.endTunnel();
  client.outbox.flush();
}

function helpUpstream(upstream: LifeUpstream): void {
  widen(upstream);
  upstream.answer(0, 200, 'open', 'plain');
  upstream.body(0, 3, true);
  upstream.outbox.flush();
}

function widen(peer: Peer): void {
  peer.widenAll();
  peer.outbox.stream.unblock();
}

/** Everybody goes, and nothing is left. */
export function checkEnd(world: LifeWorld): void {
  const { w } = world;
  leave(world);
  checkNow(world);
  const before = countTimeouts(w);
  w.advance(longMs);
  equal('timeouts after the end', countTimeouts(w) - before, 0);
  checkNothingLeft(w);
  serveOneMore(world);
  leave(world);
  w.advance(longMs);
  checkNothingLeft(w);
}

function leave(world: LifeWorld): void {
  for (const client of world.clients) client.outbox.stream.fail('remote-reset');
  world.observe();
  equal('downstream_rq_active', world.w.http('downstream_rq_active'), 0);
  // What waits for one connection may be the reason for another.
  while (world.dialled.length > 0) for (const { stream } of world.dialled) stream.fail('remote-reset');
}

function countTimeouts(w: FakeWorker): number {
  const ofRequests = [
    'downstream_rq_timeout',
    'downstream_rq_idle_timeout',
    'downstream_rq_max_duration_reached',
  ] as const;
  const ofAttempts = ['upstream_rq_timeout', 'upstream_rq_per_try_timeout'] as const;
  const counts = [
    ...ofRequests.map((name) => w.http(name)),
    ...ofAttempts.flatMap((name) => [...clusters.keys()].map((i) => w.clusterStat(name, i))),
  ];
  return counts.reduce((sum, n) => sum + n, 0);
}

function checkNothingLeft(w: FakeWorker): void {
  for (const i of clusters.keys()) {
    checkCluster(w, i);
    equal(`${clusters[i]} connections`, w.clusterStat('upstream_cx_active', i), 0);
    for (const breaker of open) equal(`${clusters[i]} ${breaker}`, w.clusterStat(breaker, i), 0);
  }
  const { streams, blocks } = http2HostOf(w).lent;
  equal('streams in use', streams, 0);
  equal('blocks in use', blocks, 0);
  equal('timers', w.timersSet, 0);
}

/** Every limit lets one more pass: a request, its connection, and its second attempt. */
function serveOneMore(world: LifeWorld): void {
  const { w } = world;
  w.setEndpoints([endpoint(8081)]);
  const client = world.connect('http1', true);
  client.ask('!', 'retry', 'none');
  client.outbox.flush();
  for (const status of [503, 200]) {
    for (const { stream } of world.dialled) if (!stream.connected) stream.connect();
    world.observe();
    const upstream = world.liveUpstreams.find((u) => u.find('!') >= 0);
    insist(upstream !== undefined, `one more request does not get to an upstream: ${w.logged.at(-1)?.details}`);
    upstream.answer(upstream.find('!'), status, 'empty', 'plain');
    upstream.outbox.flush();
    w.advance(100);
  }
  world.observe();
  equal('the status of one more request', w.lastLog.status, 200);
}
