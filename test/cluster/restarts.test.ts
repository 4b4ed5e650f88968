/** Every program of the mesh gone and back while traffic goes on; what happens to new pods meanwhile. */
import { system } from '@chainmail/runtime';
import test from 'ava';
import { answered, call, loadPod, reviewed, startLoad } from './calls.ts';
import { connect, isReady, kinds, selectorOf, Undo } from './cluster.ts';
import type { KubeObject } from './kube-api.ts';
import { components, webAndClient } from './mesh.ts';
import { deployment, idle, pod, service, serviceAccount } from './workloads.ts';

const cluster = connect();
const undo = new Undo();
let home = '';

test.before(async () => {
  home = await webAndClient(cluster, undo);
});
test.after.always(async () => {
  for (const name of components) await scale(name, 2);
  await undo.run();
});

const podsOf = (name: string) => selectorOf({ 'app.kubernetes.io/name': name });

async function scale(name: string, replicas: number): Promise<void> {
  await cluster.api.patch(kinds.Deployment, system.namespace, name, { spec: { replicas } });
  if (replicas > 0) await back(name);
  else await cluster.api.untilAll(kinds.Pod, system.namespace, podsOf(name), (pods) => pods.length === 0);
}

async function killAll(name: string): Promise<void> {
  const old = await cluster.api.list(kinds.Pod, system.namespace, podsOf(name));
  await Promise.all(old.map((p) => cluster.api.remove(kinds.Pod, system.namespace, p.metadata.name, 0)));
  const gone = new Set(old.map((p) => p.metadata.name));
  await cluster.api.untilAll(
    kinds.Pod,
    system.namespace,
    podsOf(name),
    (pods) => pods.length === old.length && pods.every((p) => !gone.has(p.metadata.name) && isReady(p)),
  );
  await back(name);
}

/** The pods are asked and not the Deployment alone: its status lags behind when pods are gone at once. */
async function back(name: string): Promise<void> {
  await cluster.available(system.namespace, name);
  const pods = await cluster.pods(system.namespace, { 'app.kubernetes.io/name': name });
  await cluster.routed(system.namespace, name, pods);
  if (name === system.injectorServiceAccount) await reviewed(cluster);
}

const killed: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(components.map((name) => [`all replicas of ${name}`, [name]])),
  'CA, control and injector at once': components,
};
for (const [what, names] of Object.entries(killed)) {
  test.serial(`${what} killed under traffic and back: no request fails`, async (t) => {
    const stop = startLoad(cluster, home, 'client', 'http://web/', 40);
    await Promise.all(names.map(killAll));
    const { failures, answered, sent } = await stop();
    t.deepEqual(failures, []);
    t.is(answered, sent);
  });
}

test.serial('the API server killed under traffic and back: no request fails, what changes then is seen', async (t) => {
  const stop = await loadPod(cluster, home, 'http://web/');
  await cluster.restartApiServer();
  await reviewed(cluster);
  await cluster.api.apply([service('after', {}, 'web')], home);
  await answered(cluster, { namespace: home, pod: 'client' }, 'http://after/');
  t.is((await cluster.kubectl(['rollout', 'restart', '-n', home, 'deployment/web'])).code, 0);
  await cluster.available(home, 'web');
  const { failures, answered: count, sent } = await stop();
  t.deepEqual(failures, []);
  t.is(count, sent);
  t.true(sent > 100, `${sent} requests`);
});

test.serial(
  'without an injector no pod of a labelled namespace starts, others do, and all come once it is back',
  async (t) => {
    const plain = await cluster.namespace(t);
    await scale(system.injectorServiceAccount, 0);
    const early = [serviceAccount('early'), deployment('early', { container: idle })];
    await cluster.api.apply(early, home);
    await cluster.api.apply(early, plain);
    await cluster.available(plain, 'early');
    const failed = (e: KubeObject) => e['reason'] === 'FailedCreate' && /failed calling webhook/.test(e['message']);
    await cluster.api.untilAll(kinds.Event, home, '', (events) => events.some(failed));
    t.deepEqual(await cluster.pods(home, { app: 'early' }), []);
    await scale(system.injectorServiceAccount, 2);
    await cluster.available(home, 'early');
    const [one] = await cluster.pods(home, { app: 'early' });
    const from = { namespace: home, pod: one?.metadata.name ?? '' };
    await t.notThrowsAsync(answered(cluster, from, 'http://web/'));
  },
);

test.serial('while control is away traffic goes on, and what changed meanwhile is caught up', async (t) => {
  await scale(system.controlServiceAccount, 0);
  const client = { namespace: home, pod: 'client' };
  t.is((await call(cluster, client, 'http://web/')).status, 200);
  const old = await cluster.pods(home, { app: 'web' });
  await cluster.kubectl(['apply', '-n', home, '-f', '-'], JSON.stringify(service('late', {}, 'web')));
  await scale(system.controlServiceAccount, 2);
  t.is((await cluster.kubectl(['rollout', 'restart', '-n', home, 'deployment/web'])).code, 0);
  await cluster.available(home, 'web');
  t.true(old.length > 0);
  await t.notThrowsAsync(answered(cluster, client, 'http://late/'));
});

test.serial(
  'without a CA running pods go on; a pod that starts meanwhile gets its identity once the CA is back',
  async (t) => {
    await scale(system.caServiceAccount, 0);
    t.is((await call(cluster, { namespace: home, pod: 'client' }, 'http://web/')).status, 200);
    await cluster.api.create(pod('orphan', { container: idle }), home);
    await cluster.api.until(kinds.Pod, home, 'orphan', (p) =>
      (p?.['status']?.initContainerStatuses ?? []).some(
        (c: { name: string; state: object }) => c.name === 'mesh-agent' && 'running' in c.state,
      ),
    );
    await scale(system.caServiceAccount, 2);
    await cluster.ready(home, 'orphan');
    await t.notThrowsAsync(answered(cluster, { namespace: home, pod: 'orphan' }, 'http://web/'));
  },
);
