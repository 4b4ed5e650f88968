/** The mesh's own programs on the API server: the trust bundle, statuses and who writes them, events, the fallback. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { connect, kinds, Undo } from './cluster.ts';
import type { Kind, KubeObject } from './kube-api.ts';
import { installed, meshed } from './mesh.ts';
import { deployment, idle, pod } from './workloads.ts';

const cluster = connect();
const undo = new Undo();
const system = 'chainmail-system';
const bundle = 'chainmail-trust-bundle';
const lease: Kind = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
const securityPolicy: Kind = { apiVersion: 'chainmail.dev/v1alpha1', kind: 'SecurityPolicy' };

test.before(() => installed(cluster));
test.after.always(() => undo.run());

const bundleIn = (namespace: string, holds: (text: string | undefined) => boolean) =>
  cluster.api.until(kinds.ConfigMap, namespace, bundle, (o) => holds(o?.['data']?.['bundle.pem']));

test.serial(
  'the trust bundle is in every namespace of the mesh, and comes back when it is changed or deleted',
  async (t) => {
    const home = await cluster.namespace(t, meshed);
    const original: string = (await cluster.api.get(kinds.ConfigMap, system, bundle))['data']['bundle.pem'];
    t.regex(original, /BEGIN CERTIFICATE/);
    await bundleIn(home, (text) => text === original);
    await cluster.api.patch(kinds.ConfigMap, home, bundle, { data: { 'bundle.pem': 'rubbish' } });
    await bundleIn(home, (text) => text === original);
    await cluster.api.remove(kinds.ConfigMap, home, bundle);
    await bundleIn(home, (text) => text === original);
  },
);

test.serial('a pod that asks for itself has a bundle and an agent, in a namespace without the label', async (t) => {
  const home = await cluster.namespace(t);
  await cluster.api.apply([pod('alone', { container: idle, labels: meshed })], home);
  const ready = await cluster.ready(home, 'alone');
  const names = ready['spec'].initContainers.map((c: { name: string }) => c.name);
  t.deepEqual(names, ['mesh-init', 'mesh-agent']);
});

const policyOf = (action: string) => ({
  apiVersion: 'chainmail.dev/v1alpha1',
  kind: 'SecurityPolicy',
  metadata: { name: 'p' },
  spec: { authorization: { defaultAction: 'Allow', rules: [{ name: 'r', action, operation: { methods: ['PUT'] } }] } },
});

const condition = (o: KubeObject | undefined, type: string) =>
  o?.['status']?.conditions?.find((c: { type: string }) => c.type === type);

test.serial(
  'a status says which generation it is about, and Programmed speaks of the agents of all replicas',
  async (t) => {
    const home = await cluster.namespace(t, meshed);
    await cluster.api.apply([deployment('web', {}, 4), policyOf('Deny')], home);
    await cluster.available(home, 'web');
    const settled = (generation: number) => (o: KubeObject | undefined) => {
      const programmed = condition(o, 'Programmed');
      const { agents = 0, acknowledged = 0 } = o?.['status'] ?? {};
      return (
        programmed?.observedGeneration === generation &&
        programmed.status === 'True' &&
        agents >= 4 &&
        acknowledged >= 4
      );
    };
    const first = await cluster.api.until(securityPolicy, home, 'p', settled(1));
    const since = condition(first, 'Accepted').lastTransitionTime;
    await cluster.api.apply([policyOf('Allow')], home);
    const second = await cluster.api.until(securityPolicy, home, 'p', settled(2));
    t.is(condition(second, 'Accepted').lastTransitionTime, since, 'it was true all the time');
  },
);

test.serial('when the leader goes, the other replica writes statuses', async (t) => {
  const home = await cluster.namespace(t, meshed);
  const leader: string = (await cluster.api.get(lease, system, 'chainmail-control'))['spec'].holderIdentity;
  await cluster.api.remove(kinds.Pod, system, leader);
  await cluster.api.until(lease, system, 'chainmail-control', (o) => {
    const holder = o?.['spec'].holderIdentity;
    return holder !== '' && holder !== undefined && holder !== leader;
  });
  await cluster.api.apply([policyOf('Deny')], home);
  await cluster.api.until(securityPolicy, home, 'p', (o) => condition(o, 'Accepted')?.observedGeneration === 1);
  await cluster.available(system, 'chainmail-control');
  t.pass();
});

test.serial('who owns pods that cannot have an agent is told so by an event', async (t) => {
  const home = await cluster.namespace(t, meshed);
  await cluster.api.apply([deployment('host', { container: idle, spec: { hostNetwork: true } })], home);
  const events = await cluster.api.untilAll(kinds.Event, home, '', (all) =>
    all.some((e) => e['reason'] === 'InjectionSkipped' && e['involvedObject'].kind === 'ReplicaSet'),
  );
  const told = events.find((e) => e['reason'] === 'InjectionSkipped');
  t.regex(told?.['message'], /^pods get no agent: hostNetwork/);
});

test.serial('without native sidecars the application starts when the agent is ready', async (t) => {
  // Not `enabled`, so that the webhook leaves alone what is injected here; the bundle comes by the label.
  const home = await cluster.namespace(t, { 'chainmail.dev/inject': 'disabled' });
  const installedValues = await cluster.api.get(kinds.ConfigMap, system, 'chainmail-injector');
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'fallback-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true }));
  const file = path.join(dir, 'values.yaml');
  fs.writeFileSync(file, `${installedValues['data']['values.yaml']}\nnativeSidecar: false\n`);
  const text = JSON.stringify(pod('old', { container: idle }));
  const { code, stdout, stderr } = await cluster.meshctl(['inject', '--values', file, '-f', '-'], text);
  t.is(code, 0, stderr);
  await cluster.api.apply(stdout, home);
  const ready = await cluster.ready(home, 'old');
  const started = (name: string) =>
    Date.parse(
      ready['status'].containerStatuses.find((c: { name: string }) => c.name === name).state.running.startedAt,
    );
  t.true(started('mesh-agent') <= started('app'));
  t.deepEqual(
    ready['spec'].containers.map((c: { name: string }) => c.name),
    ['mesh-agent', 'app'],
  );
});
