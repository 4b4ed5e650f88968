import { ApiClient } from '@chainmail/kube/cluster';
import { FakeApiServer } from '@chainmail/kube/testing';
import { ManualClock, silentLogger } from '@chainmail/runtime';
import test, { type ExecutionContext } from 'ava';
import { withOthers } from './kube-status.ts';
import { type Counts, formatCounts, parseCounts, ReplicaCounts } from './replica-counts.ts';
import type { ObjectStatus } from './status.ts';

const key = 'SecurityPolicy/shop/p';
const counts = (acknowledged: number, generation = 1, rejection?: string): Map<string, Counts> =>
  new Map([[key, { generation, agents: 3, acknowledged, rejection }]]);

async function fixture(t: ExecutionContext) {
  const api = await FakeApiServer.start();
  const client = new ApiClient({ kubeconfig: api.kubeconfig });
  const clock = new ManualClock(1_700_000_000_000);
  const all: ReplicaCounts[] = [];
  t.teardown(async () => {
    for (const r of all) r.close();
    client.close();
    await api.close();
  });
  const start = async (replica: string): Promise<ReplicaCounts> => {
    const one = new ReplicaCounts({
      ...{ client, replica, clock, random: () => 0, log: silentLogger, onChange: () => {} },
    });
    all.push(one);
    one.start();
    while (api.watching('configmaps') < all.length) await new Promise((done) => setImmediate(done));
    return one;
  };
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise((done) => setImmediate(done));
  };
  const patches = (): number => api.requests.filter((r) => r.startsWith('PATCH')).length;
  return { api, clock, start, until, patches };
}

test('the leader hears what others have, and keeps its own to itself', async (t) => {
  const { clock, start, until, patches } = await fixture(t);
  const [a, b, c] = [await start('a'), await start('b'), await start('c')];
  a.tell(counts(3), true);
  b.tell(counts(2), false);
  c.tell(counts(3), false);
  clock.advance(0);
  await until(() => a.others(key, 1).agents === 6);
  t.deepEqual(a.others(key, 1), { generation: 1, agents: 6, acknowledged: 5, rejection: undefined });
  t.is(patches(), 2);
  t.is(a.others('SecurityPolicy/shop/other', 1).agents, 0);
});

test('of an older generation nothing is acknowledged', async (t) => {
  const { clock, start, until } = await fixture(t);
  const [a, b] = [await start('a'), await start('b')];
  b.tell(counts(3, 1), false);
  clock.advance(0);
  await until(() => a.others(key, 1).acknowledged === 3);
  t.deepEqual(a.others(key, 2), { generation: 2, agents: 3, acknowledged: 0, rejection: undefined });
});

test('a replica that is silent for a minute is forgotten; one that beats is not', async (t) => {
  const { clock, start, until, patches } = await fixture(t);
  const [a, b] = [await start('a'), await start('b')];
  b.tell(counts(3), false);
  clock.advance(0);
  await until(() => a.others(key, 1).agents === 3);
  for (let i = 0; i < 4; i++) {
    const before = patches();
    await until(() => clock.pending > 0);
    clock.advance(20_000);
    await until(() => patches() > before);
  }
  await until(() => a.others(key, 1).agents === 3);
  b.close();
  clock.advance(61_000);
  t.is(a.others(key, 1).agents, 0);
});

test('what another version wrote is passed over', (t) => {
  const text = `${formatCounts(counts(2, 4, 'shop/a refused a cluster: no'), 7)}\n[1]\n["x",-1,2,3]\n["y",1,1,9]\nnonsense\n[`;
  const read = parseCounts(text);
  t.deepEqual([...read.keys()], [key, 'y']);
  t.deepEqual(read.get(key), { generation: 4, agents: 3, acknowledged: 2, rejection: 'shop/a refused a cluster: no' });
  t.is(read.get('y')?.acknowledged, 1);
});

test('Programmed is about the agents of all replicas', (t) => {
  const programmed = { agents: 2, acknowledgedCount: 2, acknowledged: ['a', 'b'], waiting: [], rejected: [] };
  const told: ObjectStatus = {
    apiVersion: 'chainmail.dev/v1alpha1',
    kind: 'SecurityPolicy',
    metadata: { namespace: 'shop', name: 'p', generation: 1 },
    status: {
      conditions: [{ type: 'Programmed', status: 'True', reason: 'Programmed', message: '2 agents acknowledged' }],
      programmed,
    },
  };
  const overall = (others: Partial<Counts>) =>
    withOthers(told, { generation: 1, agents: 3, acknowledged: 3, rejection: undefined, ...others }).status;
  t.like(overall({}).conditions[0], { status: 'True', message: '5 agents acknowledged' });
  t.like(overall({ acknowledged: 1 }).conditions[0], {
    reason: 'Pending',
    message: '2 of 5 agents have not acknowledged yet',
  });
  t.like(overall({ rejection: 'shop/c refused a route: x' }).conditions[0], { reason: 'Rejected' });
  t.is(overall({ acknowledged: 1 }).programmed.acknowledgedCount, 3);
  t.is(withOthers(told, { generation: 1, agents: 0, acknowledged: 0, rejection: undefined }), told);
});
