import { ApiClient } from '@chainmail/kube/cluster';
import { FakeApiServer } from '@chainmail/kube/testing';
import { createTrustBundle, formatTrustBundle, readPemCertificates, type TrustBundle } from '@chainmail/pki';
import { createRoot } from '@chainmail/pki/authority';
import { ManualClock, silentLogger } from '@chainmail/runtime';
import test, { type ExecutionContext } from 'ava';
import { BundlePublisher } from './bundle-publisher.ts';

const trustDomain = 'cluster.local';

async function bundleOf(sequence: number): Promise<TrustBundle> {
  const root = await createRoot({ trustDomain, nowMs: Date.now(), lifetimeMs: 3_600_000 });
  return createTrustBundle(trustDomain, readPemCertificates(root.certificatePem), sequence);
}

const namespace = (name: string, labels: object = {}, more: object = {}) => ({
  ...{ apiVersion: 'v1', kind: 'Namespace' },
  metadata: { name, labels, ...more },
});

async function fixture(t: ExecutionContext) {
  const api = await FakeApiServer.start();
  const client = new ApiClient({ kubeconfig: api.kubeconfig });
  const clock = new ManualClock(Date.now());
  const put = (...objects: ReturnType<typeof namespace>[]): void => {
    for (const o of objects) api.put(`/api/v1/namespaces/${o.metadata.name}`, o);
  };
  put(namespace('chainmail-system'), namespace('plain'), namespace('shop', { 'chainmail.dev/inject': 'enabled' }));
  const publishers: BundlePublisher[] = [];
  const start = (bundle: TrustBundle): BundlePublisher => {
    const publisher = new BundlePublisher({ client, clock, log: silentLogger, random: () => 0 });
    publishers.push(publisher);
    publisher.start();
    publisher.offer(bundle);
    return publisher;
  };
  t.teardown(async () => {
    for (const p of publishers) p.stop();
    client.close();
    await api.close();
  });
  const path = (ns: string): string => `/api/v1/namespaces/${ns}/configmaps/chainmail-trust-bundle`;
  const text = async (ns: string): Promise<unknown> => {
    const found = (await client.get(path(ns))) as { data?: Record<string, unknown> } | undefined;
    return found?.data?.['bundle.pem'];
  };
  const until = async (holds: () => Promise<boolean>): Promise<void> => {
    while (!(await holds())) await new Promise((done) => setImmediate(done));
  };
  const has = (ns: string, wanted: unknown) => until(async () => (await text(ns)) === wanted);
  const watching = (resource: string) => until(async () => api.watching(resource) === publishers.length);
  return { api, client, clock, put, start, path, text, has, until, watching };
}

test('in labelled namespaces and our own, and in those that come', async (t) => {
  const { put, start, has, text } = await fixture(t);
  const bundle = await bundleOf(1);
  const publisher = start(bundle);
  const wanted = formatTrustBundle(bundle);
  await has('chainmail-system', wanted);
  await has('shop', wanted);
  put(
    namespace('late', { 'chainmail.dev/inject': 'disabled' }),
    namespace('kube-system', { 'chainmail.dev/inject': 'enabled' }),
  );
  await has('late', wanted);
  t.is(await text('plain'), undefined);
  t.is(await text('kube-system'), undefined);
  t.true(publisher.isPublished || (await text('chainmail-system')) !== undefined);
});

test('in the namespace of a pod that asks for itself', async (t) => {
  const { api, start, has } = await fixture(t);
  const bundle = await bundleOf(1);
  start(bundle);
  await has('shop', formatTrustBundle(bundle));
  const metadata = { name: 'p', labels: { 'chainmail.dev/inject': 'enabled' } };
  api.put('/api/v1/namespaces/plain/pods/p', { apiVersion: 'v1', kind: 'Pod', metadata });
  await has('plain', formatTrustBundle(bundle));
  t.pass();
});

test('one that was changed or deleted is put right', async (t) => {
  const { client, start, has, path, watching } = await fixture(t);
  const bundle = await bundleOf(1);
  const wanted = formatTrustBundle(bundle);
  start(bundle);
  await has('shop', wanted);
  await watching('configmaps');
  await client.apply(path('shop'), { ...(await client.get(path('shop'))), data: { 'bundle.pem': 'rubbish' } }, 'me');
  await has('shop', wanted);
  await client.remove(path('shop'));
  await has('shop', wanted);
  t.pass();
});

test('a new bundle goes everywhere, also where the label is gone', async (t) => {
  const { put, start, has } = await fixture(t);
  const [first, second] = [await bundleOf(1), await bundleOf(2)];
  const publisher = start(first);
  await has('shop', formatTrustBundle(first));
  put(namespace('shop'));
  publisher.offer(second);
  await has('shop', formatTrustBundle(second));
  await has('chainmail-system', formatTrustBundle(second));
  publisher.offer(first);
  await has('shop', formatTrustBundle(second));
  t.pass();
});

test('a replica that is behind does not take a newer bundle back; what is only claimed to be newer goes', async (t) => {
  const { clock, start, has, until, text } = await fixture(t);
  const [old, fresh] = [await bundleOf(1), await bundleOf(2)];
  start(fresh);
  await has('shop', formatTrustBundle(fresh));
  await has('chainmail-system', formatTrustBundle(fresh));
  const behind = start(old);
  await until(async () => clock.pending > 0); // it has seen the newer one and waits
  t.is(behind.counts.written, 0);
  t.is(await text('shop'), formatTrustBundle(fresh));
  behind.offer(fresh); // its store told it
  clock.advance(7000);
  await until(async () => behind.namespaceCount === 2);
  t.is(behind.counts.written, 0);
});

test('a forged later sequence is overwritten once the store had its time', async (t) => {
  const { client, clock, start, has, path, until, watching } = await fixture(t);
  const bundle = await bundleOf(1);
  start(bundle);
  await has('shop', formatTrustBundle(bundle));
  await watching('configmaps');
  const forged = formatTrustBundle(await bundleOf(99));
  await client.apply(path('shop'), { ...(await client.get(path('shop'))), data: { 'bundle.pem': forged } }, 'me');
  await until(async () => clock.pending > 0);
  clock.advance(7000);
  await has('shop', formatTrustBundle(bundle));
  t.pass();
});

test('a namespace that is being deleted is left alone; a refusal is tried again', async (t) => {
  const { api, clock, put, start, has, text, until } = await fixture(t);
  const bundle = await bundleOf(1);
  put(namespace('ending', { 'chainmail.dev/inject': 'enabled' }, { deletionTimestamp: '2026-01-01T00:00:00Z' }));
  api.fail(/PATCH .*shop/, 500);
  const publisher = start(bundle);
  await has('chainmail-system', formatTrustBundle(bundle));
  await until(async () => clock.pending > 0);
  t.is(publisher.counts.failed, 1);
  clock.advance(1000);
  await has('shop', formatTrustBundle(bundle));
  t.is(await text('ending'), undefined);
});
