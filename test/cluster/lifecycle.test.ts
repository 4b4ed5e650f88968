/** Beginning and end of pods under traffic: nothing is lost, no POST happens twice, the agent goes last. */
import fs from 'node:fs';
import { containers } from '@chainmail/runtime';
import test, { type ExecutionContext } from 'ava';
import { answered, startLoad } from './calls.ts';
import { connect, kinds, Undo } from './cluster.ts';
import { installed, meshed } from './mesh.ts';
import { app, deployment, type Fields, idle, lingering, pod, ready, service } from './workloads.ts';

const cluster = connect();
const undo = new Undo();
let home = '';

test.before(async () => {
  await installed(cluster);
  home = await cluster.namespace(undo, meshed);
  await cluster.api.apply([pod('client', { container: idle }), deployment('steady'), service('steady')], home);
  await cluster.ready(home, 'client');
  await cluster.available(home, 'steady');
});
test.after.always(() => undo.run());

/** A Deployment whose pods write the id of every POST to a file on the node. */
async function recorded(name: string, replicas: number, more: Fields = {}): Promise<() => readonly string[]> {
  const folder = `/var/lib/received/${home}`;
  const container = {
    ...app,
    ...ready,
    ...more,
    env: [{ name: 'RECEIVED', value: `/received/${name}` }],
    volumeMounts: [{ name: 'received', mountPath: '/received' }],
  };
  const volumes = [{ name: 'received', hostPath: { path: folder, type: 'DirectoryOrCreate' } }];
  await cluster.api.apply([deployment(name, { container, spec: { volumes } }, replicas), service(name)], home);
  await cluster.available(home, name);
  await answered(cluster, { namespace: home, pod: 'client' }, `http://${name}/`);
  return () =>
    fs
      .readFileSync(cluster.nodePath(`${folder}/${name}`), 'utf8')
      .trimEnd()
      .split('\n');
}

async function restartAll(t: ExecutionContext, name: string): Promise<void> {
  const before = await cluster.pods(home, { app: name });
  const { code, stderr } = await cluster.kubectl(['rollout', 'restart', '-n', home, `deployment/${name}`]);
  t.is(code, 0, stderr);
  await cluster.available(home, name);
  const after = new Set((await cluster.pods(home, { app: name })).map((p) => p.metadata.name));
  t.true(
    before.every((p) => !after.has(p.metadata.name)),
    'every pod is another one',
  );
}

const sorted = (ids: readonly string[]): readonly string[] => [...ids].sort();

test.serial('rolling restarts under load lose no GET and no POST, and no POST happens twice', async (t) => {
  const received = await recorded('roll', 3, lingering);
  const stop = startLoad(cluster, home, 'client', 'http://roll/?ms=20', 60);
  await restartAll(t, 'roll');
  await restartAll(t, 'roll');
  const { sent, answered, failures, posted } = await stop();
  t.deepEqual(failures, []);
  t.is(answered, sent);
  t.true(sent > 300, `${sent} requests`);
  t.deepEqual(sorted(received()), sorted(posted), 'an id that is there twice was repeated');
});

test.serial('an application that stops listening at once costs no GET, and no POST happens twice', async (t) => {
  const received = await recorded('abrupt', 3);
  const stop = startLoad(cluster, home, 'client', 'http://abrupt/?ms=20', 60);
  await restartAll(t, 'abrupt');
  const { failures, posted } = await stop();
  t.deepEqual(
    failures.filter((f) => f.includes(' GET ')),
    [],
  );
  // It may close a connection while a POST is on it; nobody but the application knows whether it had read that.
  for (const failure of failures) t.regex(failure, / POST 503 .*connection termination/);
  const ids = received();
  t.is(new Set(ids).size, ids.length);
  t.true(posted.every((id) => ids.includes(id)));
});

test.serial('scaling to one and back under load loses nothing', async (t) => {
  const received = await recorded('scale', 3);
  const stop = startLoad(cluster, home, 'client', 'http://scale/', 40);
  for (const replicas of [1, 3]) {
    await cluster.api.patch(kinds.Deployment, home, 'scale', { spec: { replicas } });
    await cluster.available(home, 'scale');
  }
  const { failures, posted } = await stop();
  t.deepEqual(failures, []);
  t.deepEqual([...received()].sort(), [...posted].sort());
});

test.serial(
  'at the end of a pod the application is told first, still reaches others, and the agent goes last',
  async (t) => {
    const container = { ...app, ...ready, env: [{ name: 'FAREWELL', value: 'http://steady/' }] };
    await cluster.api.create(pod('leaver', { container, spec: { terminationGracePeriodSeconds: 20 } }), home);
    await cluster.ready(home, 'leaver');
    const follow = (name: string) => cluster.kubectl(['logs', '-f', '--timestamps', '-n', home, 'leaver', '-c', name]);
    const logs = [follow('app'), follow(containers.agent)];
    const begun = performance.now();
    await cluster.api.remove(kinds.Pod, home, 'leaver');
    await cluster.api.until(kinds.Pod, home, 'leaver', (p) => p === undefined);
    const [ofApp = '', ofAgent = ''] = (await Promise.all(logs)).map((l) => l.stdout);
    t.regex(ofApp, /app TERM[\s\S]*app farewell 200[\s\S]*app end/);
    const at = (text: string) => text.trimEnd().split('\n').at(-1)?.split(' ')[0] ?? '';
    t.true(at(ofAgent) >= at(ofApp), `agent ${at(ofAgent)}, application ${at(ofApp)}`);
    t.true(performance.now() - begun < 19_000, 'nobody had to be killed');
  },
);

test.serial('a pod that is killed without grace costs no request that may be repeated', async (t) => {
  await recorded('killed', 2);
  const stop = startLoad(cluster, home, 'client', 'http://killed/', 40);
  const [victim] = await cluster.pods(home, { app: 'killed' });
  await cluster.api.remove(kinds.Pod, home, victim?.metadata.name ?? '', 0);
  await cluster.api.until(kinds.Pod, home, victim?.metadata.name ?? '', (p) => p === undefined);
  await cluster.available(home, 'killed');
  const { failures } = await stop();
  t.deepEqual(
    failures.filter((f) => f.includes(' GET ')),
    [],
    'a GET is repeated elsewhere; a POST that was under way cannot be',
  );
});
