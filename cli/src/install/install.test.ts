/** install, upgrade and uninstall against a small API server: order, conflicts, what is left, waiting. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseValues } from '@chainmail/injector';
import { ApiClient } from '@chainmail/kube/cluster';
import { FakeApiServer } from '@chainmail/kube/testing';
import {
  defaultInstallValues,
  type InstallObject,
  injectorSettings,
  installValues,
  renderInstall,
} from '@chainmail/manifests';
import { ManualClock } from '@chainmail/runtime';
import test from 'ava';
import { applyObject } from '../cluster/apply.ts';
import { pathOf } from '../cluster/paths.ts';
import { readInstalled } from './record.ts';
import { applyStage, deploymentsOf, stages, waitForReviews, waitForRollouts, waitForWebhooks } from './steps.ts';
import { givenValues } from './values-flags.ts';

const objects = renderInstall(defaultInstallValues);
const quiet = (): void => {};

async function server(t: {
  teardown(fn: () => Promise<void>): void;
}): Promise<{ fake: FakeApiServer; api: ApiClient }> {
  const fake = await FakeApiServer.start();
  t.teardown(() => fake.close());
  return { fake, api: new ApiClient({ kubeconfig: fake.kubeconfig }) };
}

test('every object is in one stage, the namespace in the first and the webhook last', (t) => {
  const all = stages(objects);
  t.deepEqual(
    all.map((s) => s.title),
    ['namespace and rights of users', 'definitions', 'CA', 'control plane', 'injector'],
  );
  t.is(all.flatMap((s) => s.objects).length, objects.length);
  t.is(all[0]?.objects[0]?.kind, 'Namespace');
  t.is(all.at(-1)?.objects.at(-1)?.kind, 'MutatingWebhookConfiguration');
  t.deepEqual(deploymentsOf(objects), ['chainmail-ca', 'chainmail-control', 'chainmail-injector']);
});

test('an object is created, then the same, then changed; a dry run asks the server and changes nothing', async (t) => {
  const { api, fake } = await server(t);
  const [config] = objects.filter((o) => o.kind === 'ConfigMap') as [InstallObject];
  t.is((await applyObject(api, config)).outcome, 'created');
  t.is((await applyObject(api, config)).outcome, 'unchanged');
  const other = { ...config, data: { version: '9' } };
  const change = await applyObject(api, other);
  t.is(change.outcome, 'changed');
  t.true(change.fields.includes('data.version: "0.1.0" -> "9"'));
  t.true(fake.requests.some((r) => r === `PATCH ${pathOf(config)}`));
});

test('a field that somebody else has set is a conflict, told with what to do', async (t) => {
  const { api, fake } = await server(t);
  fake.fail(/^PATCH/, 409);
  const [config] = objects.filter((o) => o.kind === 'ConfigMap') as [InstallObject];
  const error = await t.throwsAsync(applyObject(api, config), { code: 'APPLY_CONFLICT' });
  t.regex(error?.message ?? '', /^ConfigMap chainmail-system\/chainmail-install: .*409/);
});

test('the record of an installation reads back, and a broken one is refused', async (t) => {
  const { api, fake } = await server(t);
  t.is(await readInstalled(api), undefined);
  const values = installValues({ control: { replicas: 3 } });
  for (const stage of stages(renderInstall(values)).slice(0, 1)) await applyStage(api, stage, {}, quiet);
  t.deepEqual((await readInstalled(api))?.values, values);
  fake.put('/api/v1/namespaces/chainmail-system/configmaps/chainmail-install', {
    ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'chainmail-install', namespace: 'chainmail-system' } },
    data: { 'values.yaml': 'foo: 1' },
  });
  await t.throwsAsync(readInstalled(api), { code: 'RECORD_INVALID', message: /foo: unknown field/ });
});

test('waiting ends when every Deployment stands, and at the deadline says what holds them up', async (t) => {
  const { api, fake } = await server(t);
  const put = (available: number): void => {
    fake.put('/apis/apps/v1/namespaces/chainmail-system/deployments/chainmail-ca', {
      ...{ apiVersion: 'apps/v1', kind: 'Deployment' },
      metadata: { name: 'chainmail-ca', namespace: 'chainmail-system', generation: 0 },
      spec: { replicas: 2, selector: { matchLabels: { app: 'ca' } } },
      status: { replicas: 2, updatedReplicas: 2, availableReplicas: available },
    });
  };
  put(1);
  fake.put('/api/v1/namespaces/chainmail-system/pods/ca-1', {
    ...{ apiVersion: 'v1', kind: 'Pod' },
    metadata: { name: 'ca-1', namespace: 'chainmail-system', labels: { app: 'ca' } },
    status: {
      containerStatuses: [{ name: 'ca', state: { waiting: { reason: 'ErrImagePull', message: 'no such host' } } }],
    },
  });
  const clock = new ManualClock();
  const error = await t.throwsAsync(waitForRollouts(api, ['chainmail-ca'], { clock, timeoutMs: 0 }, quiet), {
    code: 'INSTALL_NOT_READY',
  });
  t.regex(error?.message ?? '', /chainmail-ca: 1 of 2 pods ready\n +ca-1: container ca: ErrImagePull: no such host/);
  put(2);
  const said: string[] = [];
  await waitForRollouts(api, ['chainmail-ca'], { clock, timeoutMs: 0 }, (l) => said.push(l));
  t.deepEqual(said, ['  √ chainmail-ca: 2 of 2 pods ready']);
});

test('an installation is not ready before the API server trusts the injector', async (t) => {
  const { api, fake } = await server(t);
  const put = (caBundle: string): void => {
    fake.put('/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/chainmail-injector', {
      ...{ apiVersion: 'admissionregistration.k8s.io/v1', kind: 'MutatingWebhookConfiguration' },
      metadata: { name: 'chainmail-injector' },
      webhooks: [{ name: 'a', clientConfig: { caBundle } }],
    });
  };
  put('');
  const patience = { clock: new ManualClock(), timeoutMs: 0 };
  await t.throwsAsync(waitForWebhooks(api, patience, quiet), { code: 'INSTALL_NOT_READY', message: /caBundle/ });
  put('YQ==');
  await t.notThrowsAsync(waitForWebhooks(api, patience, quiet));
});

test('an installation is not ready before the API server reaches the injector', async (t) => {
  const { api, fake } = await server(t);
  const patience = { clock: new ManualClock(), timeoutMs: 0 };
  fake.fail(/^POST .*pods/, 500);
  await t.throwsAsync(waitForReviews(api, patience, quiet), { code: 'INSTALL_NOT_READY', message: /cannot ask/ });
  fake.fail(/^POST .*pods/, 403);
  await t.notThrowsAsync(waitForReviews(api, patience, quiet), 'what refuses a pod after the webhooks');
});

test('values: files in order, then --set, each over the one before', (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chainmail-values-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true }));
  const file = (name: string, text: string): string => {
    fs.writeFileSync(path.join(dir, name), text);
    return path.join(dir, name);
  };
  const one = file('1.yaml', 'control: {replicas: 3, logLevel: debug}');
  const two = file('2.yaml', 'control: {replicas: 4}');
  const given = givenValues({ values: [one, two], set: ['ca.replicas=5'] }, { injector: { replicas: 1 } });
  t.deepEqual(given, { control: { replicas: 4, logLevel: 'debug' }, ca: { replicas: 5 }, injector: { replicas: 1 } });
  t.throws(() => givenValues({ values: [file('3.yaml', 'a: [')] }), { code: 'VALUES_INVALID', message: /3\.yaml/ });
});

test('the injector reads the settings an installation gives it', (t) => {
  const values = installValues({ agent: { concurrency: 2, resources: { limits: { memory: '1Gi' } } } });
  const read = parseValues(injectorSettings(values));
  t.like(read, { image: 'chainmail.dev/agent:0.1.0', concurrency: 2, certificateTtlSeconds: 0 });
  t.deepEqual(read.resources, { requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '1', memory: '1Gi' } });
});

test('golden: what install says of an empty cluster, a second time, and of a change', async (t) => {
  const { api } = await server(t);
  const said: string[] = [];
  const say = (line: string): void => void said.push(line);
  const again = renderInstall(installValues({ control: { replicas: 3 }, agent: { logLevel: 'debug' } }));
  for (const wanted of [objects, objects, again]) {
    said.push('---');
    for (const stage of stages(wanted)) await applyStage(api, stage, {}, say);
  }
  const file = path.join(import.meta.dirname, 'testdata/install.golden.txt');
  const text = `${said.join('\n')}\n`;
  if (process.env['UPDATE_GOLDEN'] === '1') fs.writeFileSync(file, text);
  t.is(text, fs.readFileSync(file, 'utf8'));
});
