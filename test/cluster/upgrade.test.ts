/** Installing again, upgrading under traffic, taking out and putting back: what must stay stays. */
import { system, trustBundleConfigMap } from '@chainmail/runtime';
import test from 'ava';
import { nextTag } from './bed/images.ts';
import { answered, call, startLoad } from './calls.ts';
import { connect, kinds, Undo } from './cluster.ts';
import type { Kind, KubeObject } from './kube-api.ts';
import { components, installed, webAndClient } from './mesh.ts';
import { deployment, type Fields, idle, pod } from './workloads.ts';

const cluster = connect();
const undo = new Undo();
let home = '';

test.before(async () => {
  home = await webAndClient(cluster, undo);
});
test.after.always(async () => {
  await undo.run();
  await installed(cluster);
  await cluster.meshctl(['upgrade', '--reset-values']);
});

const mesh = async (...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await cluster.meshctl(args);
  if (code !== 0) throw new Error(`meshctl ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
};

const agentImage = (o: KubeObject): string =>
  o['spec'].initContainers.find((c: Fields) => c['name'] === 'mesh-agent')?.image ?? '';

const bundle = async (): Promise<string> =>
  (await cluster.api.get(kinds.ConfigMap, home, trustBundleConfigMap.name))['data'][trustBundleConfigMap.key];

const definition: Kind = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition' };
const ours = 'labelSelector=app.kubernetes.io%2Fpart-of%3Dchainmail';
const policy = {
  apiVersion: 'chainmail.dev/v1alpha1',
  kind: 'MeshPolicy',
  metadata: { name: 'kept' },
  spec: { mtls: { mode: 'STRICT' } },
};
const policyKind: Kind = { apiVersion: 'chainmail.dev/v1alpha1', kind: 'MeshPolicy' };

test.serial('a second install changes nothing', async (t) => {
  const said = await mesh('install');
  t.notRegex(said, /^ {2}[+~] /m);
  t.regex(await mesh('upgrade', '--dry-run'), /nothing to change/);
});

test.serial('an upgrade under traffic: no request fails, the CA stays, new pods get the new agent', async (t) => {
  const before = await bundle();
  const stop = startLoad(cluster, home, 'client', 'http://web/', 40);
  await mesh('upgrade', '--set', `image.tag=${nextTag}`);
  const report = await stop();
  t.deepEqual(report.failures, []);
  t.is(report.answered, report.sent);
  for (const name of components) {
    const { spec } = await cluster.api.get(kinds.Deployment, system.namespace, name);
    t.true(spec.template.spec.containers[0].image.endsWith(`:${nextTag}`), name);
  }
  t.is(await bundle(), before);
  const [old] = await cluster.pods(home, { app: 'web' });
  t.true(old !== undefined && !agentImage(old).endsWith(`:${nextTag}`), 'a running pod keeps its agent');
  await cluster.api.create(pod('newer', { container: idle }), home);
  t.true(agentImage(await cluster.ready(home, 'newer')).endsWith(`:${nextTag}`));
  const newer = { namespace: home, pod: 'newer' };
  await t.notThrowsAsync(answered(cluster, newer, 'http://web/'), 'both versions talk');
});

test.serial('a value that is none is refused and changes nothing', async (t) => {
  const { code, stderr } = await cluster.meshctl(['upgrade', '--set', 'control.replicas=many']);
  t.not(code, 0);
  t.regex(stderr, /control\.replicas/);
  t.regex(await mesh('upgrade', '--dry-run'), /nothing to change/);
});

test.serial('uninstall is refused while pods have agents, and says which', async (t) => {
  const { code, stderr } = await cluster.meshctl(['uninstall']);
  t.not(code, 0);
  t.regex(stderr, new RegExp(home));
});

test.serial('uninstall leaves definitions, policies and the CA; running pods go on; install picks up', async (t) => {
  await cluster.api.apply([policy], home);
  const before = await bundle();
  await mesh('uninstall', '--force');
  const hooks = await cluster.api.list(kinds.MutatingWebhookConfiguration, undefined, ours);
  t.deepEqual(
    hooks.map((h) => h.metadata.name),
    [],
  );
  t.is((await cluster.api.list(kinds.Deployment, system.namespace, ours)).length, 0);
  t.true((await cluster.api.list(definition, undefined, ours)).length > 0);
  t.truthy(await cluster.api.get(policyKind, home, 'kept'));
  t.is((await call(cluster, { namespace: home, pod: 'client' }, 'http://web/')).status, 200, 'traffic goes on');
  await cluster.api.create(pod('bare', { container: idle }), home);
  t.is((await cluster.ready(home, 'bare'))['spec'].initContainers, undefined, 'nobody injects any more');

  await mesh('install');
  await cluster.api.until(kinds.ConfigMap, home, trustBundleConfigMap.name, (o) => o !== undefined);
  t.is(await bundle(), before, 'the same CA');
  await cluster.api.apply([deployment('again', { container: idle })], home);
  await cluster.available(home, 'again');
  const [one] = await cluster.pods(home, { app: 'again' });
  t.truthy(one?.['spec'].initContainers);
  const again = { namespace: home, pod: one?.metadata.name ?? '' };
  await t.notThrowsAsync(answered(cluster, again, 'http://web/'));
});

test.serial('uninstall --purge leaves nothing at all', async (t) => {
  await mesh('uninstall', '--purge', '--force');
  await cluster.api.until(kinds.Namespace, undefined, system.namespace, (o) => o === undefined);
  const clusterWide: readonly Kind[] = [
    definition,
    kinds.MutatingWebhookConfiguration,
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole' },
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding' },
  ];
  for (const kind of clusterWide) {
    await cluster.api.untilAll(kind, undefined, ours, (objects) => objects.length === 0);
  }
  const bundles = await cluster.api.list(
    kinds.ConfigMap,
    undefined,
    `fieldSelector=metadata.name%3D${trustBundleConfigMap.name}`,
  );
  t.deepEqual(
    bundles.map((b) => b.metadata.namespace),
    [],
  );
});
