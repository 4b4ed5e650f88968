/** Checks against a small API server, and the output held against golden files. UPDATE_GOLDEN=1 writes them anew. */
import fs from 'node:fs';
import path from 'node:path';
import { ApiClient } from '@chainmail/kube/cluster';
import { FakeApiServer } from '@chainmail/kube/testing';
import { defaultInstallValues, renderInstall } from '@chainmail/manifests';
import test, { type ExecutionContext } from 'ava';
import { pathOf } from '../cluster/paths.ts';
import type { MeshClient, MeshPod } from '../mesh/mesh-client.ts';
import { parseVersion } from './api-checks.ts';
import { type Category, type CheckReport, failure, runChecks, success, warning } from './check.ts';
import { Facts } from './facts.ts';
import { installChecks } from './install-checks.ts';
import { meshChecks } from './mesh-checks.ts';
import { preChecks } from './pre-checks.ts';
import { renderReport } from './render.ts';

function golden(t: ExecutionContext, name: string, text: string): void {
  const file = path.join(import.meta.dirname, 'testdata', `${name}.golden.txt`);
  if (process.env['UPDATE_GOLDEN'] === '1') fs.writeFileSync(file, `${text}\n`);
  t.is(`${text}\n`, fs.readFileSync(file, 'utf8'));
}

const sample: readonly Category<undefined>[] = [
  {
    name: 'one',
    checks: [
      { description: 'is well', hint: 'none', ask: async () => success },
      { description: 'could be better', hint: 'do more', ask: async () => warning('a\nb') },
    ],
  },
  {
    name: 'two',
    checks: [
      { description: 'breaks', hint: 'mend it', fatal: true, ask: () => Promise.reject(new Error('boom')) },
      { description: 'is not asked', hint: 'none', ask: async () => failure('never') },
    ],
  },
  { name: 'three', checks: [{ description: 'is not asked', hint: 'none', ask: async () => success }] },
];

test('golden: a report as a table and in short', async (t) => {
  const report = await runChecks(sample, undefined);
  t.false(report.success);
  golden(t, 'report', renderReport(report, false));
  golden(t, 'report-short', renderReport(report, true));
});

test('a warning is no failure, and a report that is well says so', async (t) => {
  const report = await runChecks(sample.slice(0, 1), undefined);
  t.true(report.success);
  t.regex(renderReport(report, true), /Status check results are √$/);
});

test('versions as servers and providers write them', (t) => {
  t.deepEqual(parseVersion('1', '31+'), { major: 1, minor: 31 });
  t.is(parseVersion(undefined, 'x'), undefined);
});

const bundle = `-----BEGIN CERTIFICATE-----
MIIBfTCCASOgAwIBAgIUeRnt8H9qZQYcWrVz4kQ0r3m8m0MwCgYIKoZIzj0EAwIw
-----END CERTIFICATE-----
`;

const meshPod = (name: string): MeshPod => ({
  ...{ namespace: 'shop', name, workload: name, serviceAccount: name, meshed: true, ready: true, ips: [] },
});

/** What a mesh would answer; the API server behind it is the test's. */
function meshOf(pods: readonly MeshPod[], connected: readonly string[]): MeshClient {
  const none = (): never => {
    throw new Error('not asked in this test');
  };
  return {
    where: 'a test',
    pods: async () => pods,
    admin: async () => JSON.stringify({ certificates: [] }),
    execAgent: none,
    instances: async (program) => [{ program, name: 'c1' }],
    control: async () =>
      JSON.stringify({
        revision: 1,
        agents: connected.map((pod) => ({ pod, connectedAt: '', settled: true, types: [] })),
      }),
    logs: none,
    close: () => {},
  };
}

interface Bed {
  readonly fake: FakeApiServer;
  readonly ask: (
    categories: readonly Category<Facts>[],
    mesh?: MeshClient,
  ) => Promise<Readonly<Record<string, string>>>;
}

const flat = (report: CheckReport): Readonly<Record<string, string>> =>
  Object.fromEntries(
    report.categories.flatMap((c) =>
      c.checks.map((r) => [r.description, [r.result, r.reason].filter(Boolean).join(': ')]),
    ),
  );

async function bed(t: ExecutionContext): Promise<Bed> {
  const fake = await FakeApiServer.start();
  t.teardown(() => fake.close());
  const api = new ApiClient({ kubeconfig: fake.kubeconfig });
  return {
    fake,
    ask: async (categories, mesh = meshOf([], [])) =>
      flat(await runChecks(categories, new Facts({ api, mesh, nowMs: 0, failWithinMs: 0 }))),
  };
}

const object = (apiVersion: string, kind: string, metadata: object, rest: object = {}): object => ({
  ...{ apiVersion, kind, metadata },
  ...rest,
});
const pod = (
  name: string,
  over: { readonly labels?: object; readonly agent?: string; readonly ready?: boolean } = {},
): object =>
  object(
    'v1',
    'Pod',
    { name, namespace: 'shop', labels: over.labels ?? {} },
    {
      spec: {
        initContainers: over.agent === undefined ? [] : [{ name: 'mesh-agent', image: over.agent }],
        containers: [{ name: 'app' }],
      },
      status: { phase: 'Running', initContainerStatuses: [{ name: 'mesh-agent', ready: over.ready ?? true }] },
    },
  );

test('before an installation: rights that are missing are named, and a mesh that is there', async (t) => {
  const { fake, ask } = await bed(t);
  fake.answerers.set('selfsubjectaccessreviews', (body) => {
    const { resourceAttributes: r } = (body as unknown as { spec: { resourceAttributes: Record<string, string> } })
      .spec;
    return { ...body, status: { allowed: !(r['resource'] === 'clusterroles' && r['verb'] === 'create') } };
  });
  const before = await ask(preChecks);
  t.is(before['may create deployments'], 'success');
  t.is(before['may create clusterroles'], 'error: not allowed to create clusterroles');
  t.is(before['no mesh is installed yet'], 'success');
  t.regex(before['HTTPRoute of the Gateway API is installed'] ?? '', /^warning/);
  for (const o of renderInstall(defaultInstallValues)) if (o.kind === 'ConfigMap') fake.put(pathOf(o), o);
  fake.put(
    '/api/v1/namespaces/shop',
    object('v1', 'Namespace', {
      name: 'shop',
      labels: { 'chainmail.dev/inject': 'enabled', 'pod-security.kubernetes.io/enforce': 'restricted' },
    }),
  );
  const after = await ask(preChecks);
  t.is(after['no mesh is installed yet'], 'error: version 0.1.0 is installed');
  t.is(after['labelled namespaces admit mesh-init'], "error: shop enforces Pod Security 'restricted'");
});

test('nothing is asked of a mesh that is not installed', async (t) => {
  const { ask } = await bed(t);
  t.deepEqual(await ask([...installChecks, ...meshChecks]), {
    'the mesh is installed': 'error: there is no installation',
  });
});

test('an installation: what is missing, open or untrusted is told', async (t) => {
  const { fake, ask } = await bed(t);
  const all = renderInstall(defaultInstallValues);
  for (const o of all) if (o.kind === 'ConfigMap') fake.put(pathOf(o), o);
  fake.put('/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/chainmail-injector', {
    ...object('admissionregistration.k8s.io/v1', 'MutatingWebhookConfiguration', { name: 'chainmail-injector' }),
    webhooks: [
      { name: 'a', failurePolicy: 'Ignore', clientConfig: {} },
      { name: 'b', failurePolicy: 'Fail', clientConfig: { caBundle: Buffer.from('other').toString('base64') } },
    ],
  });
  for (const o of all.filter((d) => d.kind === 'Deployment'))
    fake.put(pathOf(o), JSON.parse(JSON.stringify(o).replace('chainmail.dev/control:0.1.0', 'else/where:1')) as object);
  const answers = await ask(installChecks);
  t.is(answers['the mesh is installed'], 'success');
  t.is(
    answers['they run the images of the installation'],
    'warning: control runs else/where:1, not chainmail.dev/control:0.1.0',
  );
  t.regex(answers['the definitions of its kinds are in force'] ?? '', /meshpolicies.chainmail.dev is not there/);
  t.is(answers['ca is ready'], 'error: 0 of 2 pods ready');
  t.is(answers['the webhooks are configured, and fail closed'], 'error: a has failurePolicy Ignore');
  t.is(answers['the API server trusts the injector'], 'error: a has no caBundle\nb has another bundle than the CA');
});

test('a pod that comes back without an agent is an error, and one with it is well', async (t) => {
  const { fake, ask } = await bed(t);
  const all = renderInstall(defaultInstallValues);
  for (const o of all) if (o.kind === 'ConfigMap') fake.put(pathOf(o), o);
  const probe = 'a pod gets an agent (asked of the API server, not stored)';
  t.is((await ask(installChecks))[probe], 'error: a pod in default came back without one');
  fake.answerers.set('pods', (body) => ({ ...body, spec: { initContainers: [{ name: 'mesh-agent' }] } }));
  t.is((await ask(installChecks))[probe], 'success');
});

test('the mesh: bundles, pods without agents, old and unready agents, lost streams, refused policies', async (t) => {
  const { fake, ask } = await bed(t);
  for (const o of renderInstall(defaultInstallValues)) if (o.kind === 'ConfigMap') fake.put(pathOf(o), o);
  const labelled = { 'chainmail.dev/inject': 'enabled' };
  for (const name of ['shop', 'late'])
    fake.put(`/api/v1/namespaces/${name}`, object('v1', 'Namespace', { name, labels: labelled }));
  for (const [namespace, text] of [
    ['chainmail-system', bundle],
    ['shop', 'old'],
  ] as const)
    fake.put(`/api/v1/namespaces/${namespace}/configmaps/chainmail-trust-bundle`, {
      ...object('v1', 'ConfigMap', { name: 'chainmail-trust-bundle', namespace }),
      data: { 'bundle.pem': text },
    });
  const pods: Readonly<Record<string, object>> = {
    good: pod('good', { agent: 'chainmail.dev/agent:0.1.0' }),
    old: pod('old', { agent: 'chainmail.dev/agent:0.0.9', ready: false }),
    plain: pod('plain'),
    out: pod('out', { labels: { 'chainmail.dev/inject': 'disabled' } }),
  };
  for (const [name, o] of Object.entries(pods)) fake.put(`/api/v1/namespaces/shop/pods/${name}`, o);
  fake.put('/apis/chainmail.dev/v1alpha1/namespaces/shop/meshpolicies/m', {
    ...object('chainmail.dev/v1alpha1', 'MeshPolicy', { name: 'm', namespace: 'shop' }),
    status: { conditions: [{ type: 'Accepted', status: 'False', message: 'spec.mtls: no' }] },
  });
  const answers = await ask(meshChecks, meshOf([meshPod('good'), meshPod('old')], ['shop/good']));
  const expected: Readonly<Record<string, string>> = {
    'every labelled namespace has the newest trust bundle': 'error: late has none\nshop has another one',
    "the agents' certificates last": 'success',
    'pods of labelled namespaces have agents': 'warning: shop/plain',
    'every agent is ready': 'error: shop/old',
    'every agent is connected to control': 'error: shop/old',
    'every agent is of the installed version': 'warning: shop/old',
    'every policy is accepted': 'warning: MeshPolicy shop/m: spec.mtls: no',
  };
  for (const [description, outcome] of Object.entries(expected)) t.is(answers[description], outcome, description);
});
