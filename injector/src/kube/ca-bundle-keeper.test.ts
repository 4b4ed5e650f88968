import { ApiClient } from '@chainmail/kube/cluster';
import { FakeApiServer } from '@chainmail/kube/testing';
import { createTrustBundle, readPemCertificates, type TrustBundle } from '@chainmail/pki';
import { createRoot } from '@chainmail/pki/authority';
import { ManualClock, silentLogger } from '@chainmail/runtime';
import test, { type ExecutionContext } from 'ava';
import { CaBundleKeeper, sequenceAnnotation } from './ca-bundle-keeper.ts';

const trustDomain = 'cluster.local';
const path = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/chainmail-injector';

async function anchors(): Promise<Uint8Array[]> {
  const root = await createRoot({ trustDomain, nowMs: Date.now(), lifetimeMs: 3_600_000 });
  return [...readPemCertificates(root.certificatePem)];
}

interface Stored {
  readonly metadata: { readonly annotations?: Record<string, string> };
  readonly webhooks: readonly { readonly name: string; readonly clientConfig: { readonly caBundle?: string } }[];
}

async function fixture(t: ExecutionContext) {
  const api = await FakeApiServer.start();
  const client = new ApiClient({ kubeconfig: api.kubeconfig });
  const clock = new ManualClock(Date.now());
  const keepers: CaBundleKeeper[] = [];
  const install = (metadata: object = {}): void => {
    const service = { name: 'chainmail-injector', namespace: 'chainmail-system' };
    const webhook = (name: string) => ({ name, clientConfig: { service } });
    const body = { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'MutatingWebhookConfiguration' };
    api.put(path, {
      ...body,
      metadata: { name: 'chainmail-injector', ...metadata },
      webhooks: [webhook('a'), webhook('b')],
    });
  };
  const keeper = (): CaBundleKeeper => {
    const made = new CaBundleKeeper({
      ...{ client, clock, random: () => 0, log: silentLogger, name: 'chainmail-injector' },
      onChange: () => {},
    });
    keepers.push(made);
    made.start();
    return made;
  };
  t.teardown(async () => {
    for (const k of keepers) k.stop();
    client.close();
    await api.close();
  });
  const stored = async (): Promise<Stored> => (await client.get(path)) as unknown as Stored;
  const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
    while (!(await holds())) await new Promise((done) => setImmediate(done));
  };
  const has = (bundle: TrustBundle) =>
    until(async () => {
      const text = Buffer.from(bundle.pem).toString('base64');
      return (await stored()).webhooks.every((w) => w.clientConfig.caBundle === text);
    });
  const patches = (): number => api.requests.filter((r) => r.startsWith('PATCH')).length;
  return { api, client, clock, install, keeper, stored, until, has, patches };
}

test('every webhook of the configuration gets the bundle, once', async (t) => {
  const { install, keeper, stored, has, patches, until } = await fixture(t);
  install();
  const bundle = createTrustBundle(trustDomain, await anchors(), 3);
  const one = keeper();
  const anchor = bundle.anchors[0]?.sha256 ?? '';
  t.false(one.trusts(anchor));
  one.offer(bundle, anchor);
  await has(bundle);
  await until(() => one.trusts(anchor));
  one.offer(bundle, anchor);
  const other = keeper();
  other.offer(bundle, anchor);
  await until(() => other.trusts(anchor));
  t.is(patches(), 1);
  t.is((await stored()).metadata.annotations?.[sequenceAnnotation], '3');
});

test('old and new stand there before anything of the new is trusted', async (t) => {
  const { install, keeper, has, until } = await fixture(t);
  install({ annotations: { mine: 'x' } });
  const [first, second] = [await anchors(), await anchors()];
  const one = keeper();
  const before = createTrustBundle(trustDomain, first, 1);
  const both = createTrustBundle(trustDomain, [...first, ...second], 2);
  one.offer(before, before.anchors[0]?.sha256);
  await has(before);
  const [old = '', fresh = ''] = both.anchors.map((a) => a.sha256);
  await until(() => one.trusts(old));
  t.false(one.trusts(fresh));
  one.offer(both, old);
  await until(() => one.trusts(fresh));
  t.true(one.trusts(old));
});

test('a replica that is behind takes nothing back', async (t) => {
  const { install, keeper, has, until, patches, clock } = await fixture(t);
  install();
  const [first, second] = [await anchors(), await anchors()];
  const old = createTrustBundle(trustDomain, first, 1);
  const both = createTrustBundle(trustDomain, [...first, ...second], 2);
  const ahead = keeper();
  ahead.offer(both, both.anchors[0]?.sha256);
  await has(both);
  const behind = keeper();
  behind.offer(old, old.anchors[0]?.sha256);
  await until(() => behind.trusts(old.anchors[0]?.sha256 ?? ''));
  clock.advance(600_000);
  await until(() => behind.trusts(both.anchors[1]?.sha256 ?? ''));
  t.is(patches(), 1);
});

test('a later sequence of a mesh that is no more is overwritten after a while', async (t) => {
  const { api, install, keeper, has, patches, until, clock } = await fixture(t);
  install({ annotations: { [sequenceAnnotation]: '99' } });
  const bundle = createTrustBundle(trustDomain, await anchors(), 1);
  const one = keeper();
  one.offer(bundle, bundle.anchors[0]?.sha256);
  await until(() => clock.pending > 0 && api.watching('mutatingwebhookconfigurations') === 1);
  t.is(patches(), 0);
  clock.advance(31_000);
  await has(bundle);
  t.pass();
});

test('an upgrade that takes the bundle away is put right; refusals are tried again', async (t) => {
  const { api, install, keeper, has, until, clock } = await fixture(t);
  install();
  const bundle = createTrustBundle(trustDomain, await anchors(), 1);
  const one = keeper();
  api.fail(/PATCH/, 500, 2);
  one.offer(bundle, bundle.anchors[0]?.sha256);
  for (let n = 1; n <= 2; n++) {
    await until(() => one.counts.failed === n && clock.pending > 0);
    clock.advance(1000);
  }
  await has(bundle);
  await until(() => api.watching('mutatingwebhookconfigurations') === 1);
  install();
  await has(bundle);
  t.is(one.counts.failed, 2);
});

test('without a configuration nothing asks us, so there is nothing to wait for', async (t) => {
  const { install, keeper, has, until } = await fixture(t);
  const bundle = createTrustBundle(trustDomain, await anchors(), 1);
  const one = keeper();
  one.offer(bundle, bundle.anchors[0]?.sha256);
  await until(() => one.trusts(bundle.anchors[0]?.sha256 ?? ''));
  install();
  await has(bundle);
  t.pass();
});
