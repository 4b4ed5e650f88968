import { ManualClock, silentLogger } from '@chainmail/runtime';
import test, { type ExecutionContext } from 'ava';
import { ApiClient } from './api-client.ts';
import { LeaderElection } from './leader-election.ts';
import { FakeApiServer } from './testing/fake-api-server.ts';

const leasePath = '/apis/coordination.k8s.io/v1/namespaces/chainmail-system/leases/chainmail-control';

async function fixture(t: ExecutionContext) {
  const api = await FakeApiServer.start();
  const clock = new ManualClock(1_700_000_000_000);
  const clients: ApiClient[] = [];
  t.teardown(async () => {
    for (const c of clients) c.close();
    await api.close();
  });
  const replica = (identity: string): LeaderElection => {
    const client = new ApiClient({ kubeconfig: api.kubeconfig });
    clients.push(client);
    const names = { namespace: 'chainmail-system', name: 'chainmail-control', identity };
    return new LeaderElection({ client, ...names, clock, random: () => 0, log: silentLogger });
  };
  /** Until every replica waits for its next turn. */
  const settled = async (replicas: number): Promise<void> => {
    while (clock.pending < replicas) await new Promise((done) => setImmediate(done));
  };
  /** Time passes in the replicas' own steps, so that each has its turns. */
  const pass = async (ms: number, replicas: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 1600) {
      clock.advance(1600);
      await settled(replicas);
    }
  };
  const holder = async (): Promise<unknown> => {
    const client = new ApiClient({ kubeconfig: api.kubeconfig });
    const lease = (await client.get(leasePath)) as { spec?: { holderIdentity?: unknown } } | undefined;
    client.close();
    return lease?.spec?.holderIdentity;
  };
  return { api, replica, settled, pass, holder };
}

test('of two that start at once one leads, and goes on leading', async (t) => {
  const { replica, settled, pass, holder } = await fixture(t);
  const [a, b] = [replica('a'), replica('b')];
  a.start();
  b.start();
  await settled(2);
  await pass(5000, 2);
  t.is([a, b].filter((r) => r.isLeader).length, 1);
  const first = await holder();
  await pass(40_000, 2);
  t.is(await holder(), first);
  t.is(a.isLeader, first === 'a');
  t.is(b.isLeader, first === 'b');
});

test('a leader that stops hands over at once', async (t) => {
  const { replica, settled, pass } = await fixture(t);
  const [a, b] = [replica('a'), replica('b')];
  a.start();
  await settled(1);
  t.true(a.isLeader);
  b.start();
  await settled(2);
  t.false(b.isLeader);
  await a.stop();
  t.false(a.isLeader);
  await pass(1600, 1);
  t.true(b.isLeader);
});

test('a leader that vanished is followed by another after the lease, not before', async (t) => {
  const { api, replica, settled, pass, holder } = await fixture(t);
  api.put(leasePath, {
    ...{ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'chainmail-control' } },
    // Its clock is years ahead: only how long it stands still counts.
    spec: { holderIdentity: 'gone', leaseDurationSeconds: 15, renewTime: '2099-01-01T00:00:00.000000Z' },
  });
  const b = replica('b');
  b.start();
  await settled(1);
  await pass(12_000, 1);
  t.false(b.isLeader);
  await pass(5000, 1);
  t.true(b.isLeader);
  t.is(await holder(), 'b');
});

test('a leader that cannot renew stops leading before its lease ends', async (t) => {
  const { api, replica, settled, pass } = await fixture(t);
  const a = replica('a');
  a.start();
  await settled(1);
  t.true(a.isLeader);
  await api.down();
  await pass(8000, 1);
  t.true(a.isLeader);
  await pass(3200, 1);
  t.false(a.isLeader);
  await api.up();
  await pass(1600, 1);
  t.true(a.isLeader);
});
