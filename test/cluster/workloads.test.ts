/** Every kind of workload in a labelled namespace: injected by the real admission chain, talking over mutual TLS. */
import { containers } from '@chainmail/runtime';
import test from 'ava';
import { answered, call } from './calls.ts';
import { connect, isReady, kinds, selectorOf, Undo } from './cluster.ts';
import type { KubeObject } from './kube-api.ts';
import { installed, meshed } from './mesh.ts';
import {
  cronJob,
  daemonSet,
  deployment,
  type Fields,
  idle,
  job,
  pod,
  service,
  serviceAccount,
  statefulSet,
} from './workloads.ts';

const cluster = connect();
const undo = new Undo();
let home = '';
let plain = '';

/** Only who comes with the identity of `caller` gets an answer, so that an answer proves an identity. */
const onlyCaller = (namespace: string) => ({
  apiVersion: 'chainmail.dev/v1alpha1',
  kind: 'SecurityPolicy',
  metadata: { name: 'only-caller' },
  spec: {
    targetRefs: [{ group: '', kind: 'Service', name: 'web' }],
    authorization: {
      defaultAction: 'Deny',
      rules: [{ name: 'caller', action: 'Allow', principal: { serviceAccounts: [`${namespace}/caller`] } }],
    },
  },
});

const asCaller = { spec: { serviceAccountName: 'caller' } };
const get = (url: string) => ['sh', '-c', `node /app/call.ts ${url} | tee /dev/stderr | grep -q '"status":200'`];

test.before(async () => {
  await installed(cluster);
  home = await cluster.namespace(undo, meshed);
  plain = await cluster.namespace(undo);
  await cluster.api.apply(
    [
      serviceAccount('caller'),
      deployment('web', {}, 2),
      service('web'),
      onlyCaller(home),
      pod('caller', { container: idle, ...asCaller }),
      pod('stranger', { container: idle }),
      statefulSet('store', {}, 2),
      service('store', { clusterIP: 'None', ports: [{ name: 'http', port: 8080, targetPort: 'http' }] }),
      daemonSet('everywhere'),
      service('everywhere'),
    ],
    home,
  );
  await cluster.api.apply([pod('outsider', { container: idle })], plain);
  await cluster.available(home, 'web');
  await Promise.all([cluster.ready(home, 'caller'), cluster.ready(home, 'stranger'), cluster.ready(plain, 'outsider')]);
  await answered(cluster, caller(), 'http://web/');
});
test.after.always(() => undo.run());

const hasAgent = (p: KubeObject): boolean =>
  (p['spec'].initContainers ?? []).some((c: Fields) => c['name'] === containers.agent);
const caller = () => ({ namespace: home, pod: 'caller' });

test('pods of a Deployment are injected and answer who has the identity', async (t) => {
  const pods = await cluster.pods(home, { app: 'web' });
  t.is(pods.length, 2);
  t.true(pods.every(hasAgent));
  for (const url of ['http://web/', `http://web.${home}/`, `http://web.${home}.svc.cluster.local/`]) {
    t.is((await call(cluster, caller(), url)).status, 200, url);
  }
});

test('both replicas are used', async (t) => {
  const seen = new Set<string>();
  for (let i = 0; i < 20 && seen.size < 2; i++)
    seen.add(JSON.parse((await call(cluster, caller(), 'http://web/')).text).pod);
  t.is(seen.size, 2);
});

test('another identity of the mesh is refused by the policy', async (t) => {
  t.is((await call(cluster, { namespace: home, pod: 'stranger' }, 'http://web/')).status, 403);
});

test('a pod without an agent is refused before the application hears of it', async (t) => {
  const [web] = await cluster.pods(home, { app: 'web' });
  const outsider = { namespace: plain, pod: 'outsider' };
  for (const url of [`http://web.${home}/`, `http://${web?.['status'].podIP}:8080/`]) {
    t.is((await call(cluster, outsider, url)).status, 0, url);
  }
  t.is((await call(cluster, caller(), 'http://web/')).status, 200, 'while others are served');
});

test('a meshed pod reaches one without an agent', async (t) => {
  await cluster.api.apply([deployment('open'), service('open')], plain);
  await cluster.available(plain, 'open');
  await t.notThrowsAsync(answered(cluster, caller(), `http://open.${plain}/`));
});

test('pods of a StatefulSet are reached by their own names', async (t) => {
  const pods = await cluster.api.untilAll(
    kinds.Pod,
    home,
    selectorOf({ app: 'store' }),
    (all) => all.length === 2 && all.every(isReady),
  );
  t.true(pods.every(hasAgent));
  for (const name of ['store-0', 'store-1']) {
    const url = `http://${name}.store.${home}.svc.cluster.local:8080/`;
    await answered(cluster, caller(), url);
    const { text } = await call(cluster, caller(), url);
    t.is(JSON.parse(text).pod, name);
  }
});

test('a DaemonSet', async (t) => {
  const [one] = await cluster.api.untilAll(kinds.Pod, home, selectorOf({ app: 'everywhere' }), (all) =>
    all.some(isReady),
  );
  t.true(one !== undefined && hasAgent(one));
  await t.notThrowsAsync(answered(cluster, caller(), 'http://everywhere/'));
});

test('a Job that calls the mesh completes, and its agent ends with it', async (t) => {
  await cluster.api.apply([job('once', get('http://web/'), asCaller)], home);
  const done = await cluster.api.until(kinds.Job, home, 'once', (j) => ended(j));
  const [ran] = await cluster.pods(home, { 'batch.kubernetes.io/job-name': 'once' });
  const log = await cluster.logs(home, ran?.metadata.name ?? '', 'app');
  t.is(done?.['status'].succeeded, 1, log);
  const name = ran?.metadata.name ?? '';
  const over = await cluster.api.until(kinds.Pod, home, name, (p) => p?.['status'].phase === 'Succeeded');
  const agent = over?.['status'].initContainerStatuses.find((c: Fields) => c['name'] === containers.agent);
  t.is(agent.state.terminated?.exitCode, 0);
});

test('a Job that fails says so; the agent does not keep it alive', async (t) => {
  await cluster.api.apply([job('never', ['sh', '-c', 'exit 3'])], home);
  const done = await cluster.api.until(kinds.Job, home, 'never', ended);
  t.is(done?.['status'].failed, 1);
});

test("a Job's init container has the network of the mesh already", async (t) => {
  const early = { name: 'early', image: idle['image'], command: get('http://web/') };
  const shape = { spec: { ...asCaller.spec, initContainers: [early] } };
  await cluster.api.apply([job('early', ['true'], shape)], home);
  const done = await cluster.api.until(kinds.Job, home, 'early', ended);
  t.is(done?.['status'].succeeded, 1);
});

test('a CronJob is injected at each run and completes', async (t) => {
  const object = cronJob('tick', get('http://everywhere/'));
  await cluster.api.apply([object], home);
  const [run] = await cluster.api
    .untilAll(kinds.Job, home, '', (jobs) => jobs.some((j) => j.metadata.name.startsWith('tick-') && ended(j)), 150_000)
    .then((jobs) => jobs.filter((j) => j.metadata.name.startsWith('tick-')));
  t.is(run?.['status'].succeeded, 1);
  await cluster.api.remove(kinds.CronJob, home, 'tick');
});

function ended(j: KubeObject | undefined): boolean {
  return (j?.['status']?.conditions ?? []).some(
    (c: Fields) => (c['type'] === 'Complete' || c['type'] === 'Failed') && c['status'] === 'True',
  );
}
