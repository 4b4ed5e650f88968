import { ApiClient } from '@chainmail/kube/cluster';
import { FakeApiServer } from '@chainmail/kube/testing';
import { ManualClock, silentLogger } from '@chainmail/runtime';
import test, { type ExecutionContext } from 'ava';
import { AuditKeeper } from './audit-keeper.ts';

async function fixture(t: ExecutionContext) {
  const api = await FakeApiServer.start();
  const client = new ApiClient({ kubeconfig: api.kubeconfig });
  t.teardown(async () => {
    client.close();
    await api.close();
  });
  const clock = new ManualClock(1_700_000_000_000);
  const lines = async (): Promise<Record<string, unknown>[]> => {
    const found = await client.get('/api/v1/namespaces/chainmail-system/configmaps/chainmail-ca-audit');
    const text = (found as { data?: Record<string, string> } | undefined)?.data?.['audit.jsonl'] ?? '';
    return text
      .split('\n')
      .filter((l) => l !== '')
      .map((l) => JSON.parse(l) as Record<string, unknown>);
  };
  return { api, clock, lines, keeper: () => new AuditKeeper(client, clock, silentLogger) };
}

test('records of two replicas are kept beside one another, with their time', async (t) => {
  const { keeper, lines } = await fixture(t);
  const [a, b] = [keeper(), keeper()];
  a.add({ n: 1 });
  b.add({ n: 2 });
  await Promise.all([a.flush(), b.flush()]);
  const kept = await lines();
  t.deepEqual(kept.map((l) => l['n']).sort(), [1, 2]);
  t.is(kept[0]?.['time'], '2023-11-14T22:13:20.000Z');
});

test('the oldest go when there are too many', async (t) => {
  const { keeper, lines } = await fixture(t);
  const one = keeper();
  for (let n = 0; n < 900; n++) one.add({ n });
  await one.flush();
  for (let n = 900; n < 1800; n++) one.add({ n });
  await one.flush();
  const kept = await lines();
  t.is(kept.length, 1000);
  t.is(kept[0]?.['n'], 800);
  t.is(kept.at(-1)?.['n'], 1799);
});

test('what could not be written is written later', async (t) => {
  const { api, clock, keeper, lines } = await fixture(t);
  const one = keeper();
  one.add({ n: 1 });
  api.fail(/configmaps/, 500);
  await one.flush();
  t.deepEqual(await lines(), []);
  one.add({ n: 2 });
  t.is(clock.pending, 1);
  await one.flush();
  t.deepEqual(
    (await lines()).map((l) => l['n']),
    [1, 2],
  );
});
