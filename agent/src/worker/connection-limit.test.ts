import test from 'ava';
import type { ConnectionLimitSpec, FilterChainSpec } from '../model/listener.ts';
import { connectionLimitStat, tcpStat } from '../stats/layout.ts';
import { ConnectionTallies, TallyCells, tallyCells } from './connection-tallies.ts';
import { Client, echo, Rig, serve, until } from './test-rig.ts';
import { chain, cluster, endpoints, listener, meshTls, slotsAt, TestCa } from './testing.ts';

const stats = 900;
const limit = (more: Partial<ConnectionLimitSpec> = {}): ConnectionLimitSpec => ({
  statPrefix: 'limit',
  stats,
  cell: 3,
  maxConnections: 1,
  delayMs: 0,
  ...more,
});

async function limited(spec: ConnectionLimitSpec, more: Partial<FilterChainSpec> = {}): Promise<Rig> {
  const { port } = await serve(echo);
  const rig = new Rig();
  rig.apply({
    clusters: [cluster('app', 0)],
    endpoints: [endpoints('app', port)],
    listeners: [listener([chain('a', 'app', { limits: [spec], ...more })])],
  });
  return rig;
}

const limitStat = (rig: Rig, name: keyof typeof connectionLimitStat.at): number =>
  rig.slots[stats + connectionLimitStat.at[name]] ?? 0;

async function opened(rig: Rig): Promise<Client> {
  const client = new Client(rig.port);
  client.socket.write('hello');
  await client.receive('hello');
  return client;
}

test('a connection over the limit is closed, and its place is free when another one has ended', async (t) => {
  const rig = await limited(limit());
  const first = await opened(rig);
  const second = new Client(rig.port);
  await until('the second is closed', () => second.over);
  t.is(second.received, '');
  t.is(limitStat(rig, 'limited_connections'), 1);
  t.is(limitStat(rig, 'active_connections'), 1);
  first.socket.destroy();
  await until('the first is gone', () => limitStat(rig, 'active_connections') === 0);
  await opened(rig);
  t.is(limitStat(rig, 'limited_connections'), 1);
  t.is(rig.slots[slotsAt.tcp + tcpStat.at.downstream_cx_total], 3);
  rig.stop();
});

test('with a delay it stays open unread, counts, and is closed when the time is over', async (t) => {
  const rig = await limited(limit({ delayMs: 500 }));
  await opened(rig);
  const second = new Client(rig.port);
  second.socket.write('hello');
  await until('it is counted', () => limitStat(rig, 'limited_connections') === 1);
  t.is(limitStat(rig, 'active_connections'), 2);
  t.false(second.over);
  await until('it is closed', () => second.over);
  t.is(second.received, '');
  t.is(limitStat(rig, 'active_connections'), 1);
  rig.stop();
});

test('a delayed connection that its client ends gives its place back before the time is over', async (t) => {
  const rig = await limited(limit({ delayMs: 60_000 }));
  await opened(rig);
  const second = new Client(rig.port);
  await until('it is counted', () => limitStat(rig, 'active_connections') === 2);
  second.socket.destroy();
  await until('it is gone', () => limitStat(rig, 'active_connections') === 1);
  t.is(rig.stat('downstream_cx_active'), 1);
  rig.stop();
});

test('the refusal is logged with the details that Envoy gives', async (t) => {
  const sink = { kind: 'stdout' } as never;
  const rig = await limited(limit());
  const terminal = { ...chain('a', 'app').terminal, accessLog: [sink] } as FilterChainSpec['terminal'];
  rig.apply({ listeners: [listener([chain('b', 'app', { limits: [limit({ cell: 4 })], terminal })])] });
  await opened(rig);
  const second = new Client(rig.port);
  await until('the second is closed', () => second.over);
  t.is(rig.logged.length, 1);
  t.is(rig.logged[0]?.details, 'over_connection_limit');
  rig.stop();
});

test('a connection over the limit costs no TLS handshake', async (t) => {
  const ca = new TestCa();
  const rig = await limited(limit(), { tls: { ...meshTls, requireClientCertificate: true } });
  rig.apply({ secrets: [ca.trust, ca.leaf('URI:spiffe://cluster.local/ns/a/sa/b')] });
  const silent = new Client(rig.port);
  await until('the first counts before its handshake', () => limitStat(rig, 'active_connections') === 1);
  const second = new Client(rig.port);
  await until('the second is closed', () => second.over);
  t.false(silent.over);
  t.is(rig.stat('ssl.handshake') + rig.stat('ssl.connection_error'), 0);
  rig.stop();
  ca.remove();
});

test('workers count together, and a dead one counts no more', (t) => {
  const memory = ConnectionTallies.memory(2);
  const [one, two] = [0, 1].map((own) => new ConnectionTallies(new Int32Array(memory), own));
  t.is(one?.enter(5), 1);
  t.is(two?.enter(5), 2);
  t.is(two?.enter(6), 1);
  t.is(one?.count(5), 2);
  ConnectionTallies.forget(memory, 1);
  t.is(one?.count(5), 1);
  t.is(one?.count(6), 0);
  one?.leave(5);
  t.is(two?.count(5), 0);
});

test('a limit keeps its cell while it is in use, and there is a number of them', (t) => {
  const cells = new TallyCells();
  t.is(cells.obtain('a'), 0);
  t.is(cells.obtain('b'), 1);
  t.is(cells.obtain('a'), 0);
  cells.retain(new Set([1]));
  t.is(cells.obtain('c'), 0);
  t.is(cells.obtain('b'), 1);
  for (let i = 2; i < tallyCells; i++) cells.obtain(`n${i}`);
  t.throws(() => cells.obtain('one more'), { code: 'CONNECTION_LIMITS_EXHAUSTED' });
});
