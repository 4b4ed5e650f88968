import { ApiClient } from '@chainmail/kube/cluster';
import { FakeApiServer } from '@chainmail/kube/testing';
import { ManualClock, silentLogger } from '@chainmail/runtime';
import test, { type ExecutionContext } from 'ava';
import { withOthers } from './kube-status.ts';
import {
  type AgentCounts,
  type Counts,
  formatCounts,
  parseCounts,
  ReplicaCounts,
  type Told,
} from './replica-counts.ts';
import type { ObjectStatus } from './status.ts';

const key = 'SecurityPolicy/shop/p';
const counts = (acknowledged: number, revision = 'u/1', rejection?: string): Told => ({
  agents: 3,
  objects: new Map([[key, { revision, agents: 3, acknowledged, rejection }]]),
});

async function fixture(t: ExecutionContext) {
  const api = await FakeApiServer.start();
  const client = new ApiClient({ kubeconfig: api.kubeconfig });
  const clock = new ManualClock(1_700_000_000_000);
  const all: ReplicaCounts[] = [];
  t.teardown(async () => {
    for (const r of all) await r.close();
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
  await until(() => a.others(key, 'u/1').agents === 6);
  t.deepEqual(a.others(key, 'u/1'), { agents: 6, acknowledged: 5, rejection: undefined });
  t.is(patches(), 2);
});

test('of another revision nothing is acknowledged, nor refused', async (t) => {
  const { clock, start, until } = await fixture(t);
  const [a, b] = [await start('a'), await start('b')];
  b.tell(counts(2, 'u/1', 'shop/a refused a route: x'), false);
  clock.advance(0);
  await until(() => a.others(key, 'u/1').acknowledged === 2);
  t.is(a.others(key, 'u/1').rejection, 'shop/a refused a route: x');
  for (const other of ['u/2', 'another-uid/1']) {
    t.deepEqual(a.others(key, other), { agents: 3, acknowledged: 0, rejection: undefined });
  }
});

test('an object that a replica has not seen yet waits for all agents of that replica', async (t) => {
  const { clock, start, until } = await fixture(t);
  const [a, b] = [await start('a'), await start('b')];
  b.tell({ agents: 4, objects: new Map() }, false);
  clock.advance(0);
  await until(() => a.others(key, 'u/1').agents === 4);
  t.deepEqual(a.others(key, 'u/1'), { agents: 4, acknowledged: 0, rejection: undefined });
});

test('an object for which a replica had no room is not waited for', (t) => {
  const row: Counts = { revision: 'u/1', agents: 3, acknowledged: 3, rejection: undefined };
  const told: Told = { agents: 3, objects: new Map(['x', 'y', 'z'].map((k) => [k, row])) };
  const whole = parseCounts(formatCounts(told, 1));
  t.deepEqual([whole.objects.size, whole.isCut], [3, false]);
  const cut = parseCounts(formatCounts(told, 1, 40));
  t.deepEqual([[...cut.objects.keys()], cut.isCut, cut.agents], [['x', 'y'], true, 3]);
});

test('a replica that is silent for a minute is forgotten; one that beats is not', async (t) => {
  const { clock, start, until, patches } = await fixture(t);
  const [a, b] = [await start('a'), await start('b')];
  b.tell(counts(3), false);
  clock.advance(0);
  await until(() => a.others(key, 'u/1').agents === 3);
  for (let i = 0; i < 4; i++) {
    const before = patches();
    await until(() => clock.pending > 0);
    clock.advance(20_000);
    await until(() => patches() > before);
  }
  await until(() => a.others(key, 'u/1').agents === 3);
  clock.advance(61_000);
  t.is(a.others(key, 'u/1').agents, 0);
});

test('a replica that stops takes back what it told', async (t) => {
  const { clock, start, until } = await fixture(t);
  const [a, b] = [await start('a'), await start('b')];
  b.tell(counts(2), false);
  clock.advance(0);
  await until(() => a.others(key, 'u/1').agents === 3);
  await b.close();
  await until(() => a.others(key, 'u/1').agents === 0);
  t.is(a.others('SecurityPolicy/shop/new', 'u/1').agents, 0);
});

test('what another version wrote is passed over', (t) => {
  const text = `${formatCounts(counts(2, 'u/4', 'shop/a refused a cluster: no'), 7)}\n[1]\n["x","r",-2,3]\n["y",1,1,9]\nnonsense\n[`;
  const { agents, objects } = parseCounts(text);
  t.is(agents, 3);
  t.deepEqual([...objects.keys()], [key, 'y']);
  t.deepEqual(objects.get(key), {
    revision: 'u/4',
    agents: 3,
    acknowledged: 2,
    rejection: 'shop/a refused a cluster: no',
  });
  t.is(objects.get('y')?.acknowledged, 1);
  t.deepEqual(
    [...parseCounts('#5\n["y",1,1,1]').objects.values()],
    [{ revision: '1', agents: 1, acknowledged: 1, rejection: undefined }],
  );
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
  const overall = (others: Partial<AgentCounts>) =>
    withOthers(told, { agents: 3, acknowledged: 3, rejection: undefined, ...others }).status;
  t.like(overall({}).conditions[0], { status: 'True', message: '5 agents acknowledged' });
  t.like(overall({ acknowledged: 1 }).conditions[0], {
    reason: 'Pending',
    message: '2 of 5 agents have not acknowledged yet',
  });
  t.like(overall({ rejection: 'shop/c refused a route: x' }).conditions[0], { reason: 'Rejected' });
  t.is(overall({ acknowledged: 1 }).programmed.acknowledgedCount, 3);
  t.is(withOthers(told, { agents: 0, acknowledged: 0, rejection: undefined }), told);
});
