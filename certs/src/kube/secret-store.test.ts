import { randomBytes } from 'node:crypto';
import { ApiClient } from '@chainmail/kube/cluster';
import { FakeApiServer } from '@chainmail/kube/testing';
import { UserError } from '@chainmail/runtime';
import test from 'ava';
import { makeState, storeContract } from '../store-contract.ts';
import { SecretStore } from './secret-store.ts';

const path = '/api/v1/namespaces/chainmail-system/secrets/chainmail-ca-state';

async function makeSecret() {
  const api = await FakeApiServer.start();
  const clients: ApiClient[] = [];
  const open = (): SecretStore => {
    const client = new ApiClient({ kubeconfig: api.kubeconfig });
    clients.push(client);
    return new SecretStore(client);
  };
  const close = async (): Promise<void> => {
    for (const c of clients) c.close();
    await api.close();
  };
  return { api, open, close };
}

storeContract('Secret', makeSecret);

/** A real API server as well, where one is given: the suite of an optimistic lock is worth little against a fake. */
const real = process.env['CHAINMAIL_TEST_KUBECONFIG'];
if (real !== undefined) {
  storeContract('Secret on a real API server', async () => {
    const client = new ApiClient({ kubeconfig: real });
    const namespace = `t-${randomBytes(4).toString('hex')}`;
    const metadata = { name: namespace };
    await client.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata });
    return {
      open: () => new SecretStore(client, namespace),
      close: async () => {
        await client.remove(`/api/v1/namespaces/${namespace}`);
        client.close();
      },
    };
  });
}

test('a Secret that is no state is an error with its name, never a fresh start', async (t) => {
  const { api, open, close } = await makeSecret();
  t.teardown(close);
  for (const data of [{}, { 'state.json': 'e30=' }, { 'state.json': '' }, { 'state.json': 7 }]) {
    api.put(path, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'chainmail-ca-state' }, data });
    const error = await t.throwsAsync(open().load(), { instanceOf: UserError });
    t.is(error.code, 'CA_STATE_INVALID');
    t.regex(error.message, /Secret chainmail-system\/chainmail-ca-state/);
  }
});

test('an API server that cannot answer is no missing state', async (t) => {
  const { api, open, close } = await makeSecret();
  t.teardown(close);
  for (const status of [403, 500, 429]) {
    api.fail(/secrets/, status);
    await t.throwsAsync(open().load(), { message: new RegExp(String(status)) });
    api.fail(/secrets/, status);
    await t.throwsAsync(open().create(await makeState()), { message: new RegExp(String(status)) });
  }
});

test('a Secret that was deleted and made again is another one', async (t) => {
  const { api, open, close } = await makeSecret();
  t.teardown(close);
  const store = open();
  await store.create(await makeState());
  const first = await store.load();
  api.objects.remove({
    ...{ base: '/api/v1', resource: 'secrets', namespace: 'chainmail-system', name: 'chainmail-ca-state' },
    subresource: undefined,
  });
  const state = await makeState();
  t.false(await store.replace(state, first?.revision ?? ''), 'not there');
  t.true(await open().create(state));
  t.false(await store.replace(state, first?.revision ?? ''), 'another version');
});
