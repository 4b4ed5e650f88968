import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type KubeObject, objectKey, parseObjects } from '@chainmail/kube';
import { ApiClient } from '@chainmail/kube/cluster';
import { FakeApiServer } from '@chainmail/kube/testing';
import { silentLogger, systemClock } from '@chainmail/runtime';
import test from 'ava';
import { apiPath } from '../testing/api-path.ts';
import { shop } from '../testing/world-files.ts';
import { kubeSource } from './kube-source.ts';
import { fileSource } from './source.ts';
import { Follower, sourceContract } from './source-contract.ts';

const objectsOf = (text: string): KubeObject[] => parseObjects(text, 'x').objects.map((o) => o.object);

sourceContract(
  'folder',
  async (objects) => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chainmail-source-'));
    const file = (o: KubeObject): string => path.join(dir, `${objectKey(o).replaceAll('/', '.')}.json`);
    const put = async (o: KubeObject): Promise<void> => {
      const temporary = path.join(dir, '.new');
      fs.writeFileSync(temporary, JSON.stringify(o));
      fs.renameSync(temporary, file(o));
    };
    for (const o of objects) await put(o);
    return {
      source: fileSource([dir]),
      put,
      remove: async (o) => fs.rmSync(file(o)),
      close: async () => fs.rmSync(dir, { recursive: true }),
    };
  },
  objectsOf,
);

async function kubeFixture(objects: readonly KubeObject[]) {
  const api = await FakeApiServer.start();
  const client = new ApiClient({ kubeconfig: api.kubeconfig });
  for (const o of objects) api.put(apiPath(o), o);
  return {
    api,
    source: kubeSource({ client, clock: systemClock, log: silentLogger, random: () => 0 }),
    put: async (o: KubeObject) => void api.put(apiPath(o), o),
    remove: (o: KubeObject) => client.remove(apiPath(o)),
    close: async () => {
      client.close();
      await api.close();
    },
  };
}

sourceContract('API server', kubeFixture, objectsOf);

test('nothing is told while one kind cannot be listed', async (t) => {
  const fixture = await kubeFixture(objectsOf(shop));
  fixture.api.fail(/securitypolicies/, 500, 3);
  const follower = new Follower(fixture.source);
  t.teardown(async () => {
    follower.close();
    await fixture.close();
  });
  await follower.until(() => true);
  t.is(follower.told, 1);
  t.is(follower.world.pods.size, 3);
  t.is(fixture.api.requests.filter((r) => r.endsWith('/securitypolicies')).length >= 4, true);
});

test('a kind that is not installed is empty and does not keep the rest waiting', async (t) => {
  const fixture = await kubeFixture(objectsOf(shop));
  fixture.api.absent.add('httproutes');
  const follower = new Follower(fixture.source);
  t.teardown(async () => {
    follower.close();
    await fixture.close();
  });
  await follower.until((w) => w.pods.size === 3);
  t.pass();
});

test('a slice without endpoints comes with null, and empties its Service', async (t) => {
  const slice = (endpoints: unknown): KubeObject =>
    ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'catalog-x', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'catalog' } },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080 }],
      endpoints,
    }) as KubeObject;
  const fixture = await kubeFixture([...objectsOf(shop), slice([{ addresses: ['10.1.0.6'] }])]);
  const follower = new Follower(fixture.source);
  t.teardown(async () => {
    follower.close();
    await fixture.close();
  });
  await follower.until((w) => w.endpoints.get('shop/catalog')?.get(80)?.length === 1);
  await fixture.put(slice(null));
  await follower.until((w) => w.endpoints.get('shop/catalog')?.get(80)?.length === 0);
  t.pass();
});

test('routes of other controllers alone are none of ours', async (t) => {
  const route = (name: string, kind: string): KubeObject =>
    ({
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name, namespace: 'shop' },
      spec: { parentRefs: [{ kind, group: kind === 'Service' ? '' : 'gateway.networking.k8s.io', name: 'catalog' }] },
    }) as KubeObject;
  const fixture = await kubeFixture([...objectsOf(shop), route('theirs', 'Gateway'), route('ours', 'Service')]);
  const follower = new Follower(fixture.source);
  t.teardown(async () => {
    follower.close();
    await fixture.close();
  });
  await follower.until((w) => w.pods.size === 3);
  const names = follower.loaded?.objects.flatMap((o) =>
    o.object.kind === 'HTTPRoute' ? [o.object.metadata.name] : [],
  );
  t.deepEqual(names, ['ours']);
});
