import { ApiClient } from '@chainmail/kube/cluster';
import { FakeApiServer } from '@chainmail/kube/testing';
import { silentLogger, systemClock } from '@chainmail/runtime';
import test, { type ExecutionContext } from 'ava';
import { namespacesOfServer } from './namespaces.ts';

async function fixture(t: ExecutionContext) {
  const api = await FakeApiServer.start();
  const client = new ApiClient({ kubeconfig: api.kubeconfig });
  const put = (name: string, labels: object) =>
    api.put(`/api/v1/namespaces/${name}`, { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  put('shop', { 'chainmail.dev/inject': 'enabled' });
  put('plain', {});
  const namespaces = namespacesOfServer(client, systemClock, silentLogger);
  t.teardown(async () => {
    namespaces.close();
    client.close();
    await api.close();
  });
  while (!namespaces.synced() || api.watching('namespaces') === 0) await new Promise((done) => setImmediate(done));
  return { api, put, namespaces };
}

const label = 'chainmail.dev/inject';

test('a labelled namespace costs no question', async (t) => {
  const { api, namespaces } = await fixture(t);
  const before = api.requests.length;
  await namespaces.prepare('shop', false);
  t.is(namespaces.find('shop')?.labels?.[label], 'enabled');
  t.is(api.requests.length, before);
});

test('one that was labelled or made a moment ago is asked for', async (t) => {
  const { put, namespaces } = await fixture(t);
  put('plain', { [label]: 'enabled' });
  put('fresh', { [label]: 'enabled' });
  await namespaces.prepare('plain', false); // the event may not have come yet
  await namespaces.prepare('fresh', false);
  t.is(namespaces.find('plain')?.labels?.[label], 'enabled');
  t.is(namespaces.find('fresh')?.labels?.[label], 'enabled');
  await namespaces.prepare('nowhere', false);
  t.is(namespaces.find('nowhere'), undefined);
});

test('a pod with a label of its own costs no question, unless nobody has heard of its namespace', async (t) => {
  const { api, put, namespaces } = await fixture(t);
  const before = api.requests.length;
  await namespaces.prepare('plain', true);
  t.is(api.requests.length, before);
  put('fresh', {});
  await namespaces.prepare('fresh', true);
  t.deepEqual(namespaces.find('fresh')?.labels ?? {}, {});
  t.not(namespaces.find('fresh'), undefined);
});

test('while the API server is away the last labels count', async (t) => {
  const { api, namespaces } = await fixture(t);
  await api.down();
  await namespaces.prepare('plain', false);
  t.deepEqual(namespaces.find('plain'), { name: 'plain', labels: {} });
  await api.up();
});
