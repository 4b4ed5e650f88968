/**
 * The local runner with the real injector, CA and control plane: who gets an agent, what the agent is given, and
 * what happens to Pods while the injector is away.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type DevPod, type LocalMesh, startLocalMesh, stopLocalMesh, waitUntilReady } from '@chainmail/local';
import { containers, podPaths } from '@chainmail/runtime';
import test from 'ava';
import { base, web } from './local/plain-pods.ts';

const name = `e2e-mesh-${process.pid}`;
const readyMs = 60_000;
const labelled = base.replace('{ name: shop }', '{ name: shop, labels: { chainmail.dev/inject: enabled } }');
// Uid 1337 is the agent's alone in a meshed pod.
const app = web(1, 'v1').replaceAll('1337', '1000');

const sleeper = (pod: string, namespace: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${pod}, namespace: ${namespace} }
spec:
  terminationGracePeriodSeconds: 1
  containers: [{ name: sleep, command: [sleep, '100000'] }]
`;

let dir: string;
let mesh: LocalMesh;

const pod = (pods: readonly DevPod[], wanted: string): DevPod | undefined => pods.find((p) => p.name === wanted);

async function webPod(): Promise<{ namespace: string; pod: string }> {
  const [first] = await mesh.client.select('shop', { app: 'web' });
  return { namespace: 'shop', pod: first?.name ?? '' };
}

test.before(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'e2e-mesh-'));
  fs.writeFileSync(path.join(dir, 'shop.yaml'), `${labelled}---${app}`);
  fs.writeFileSync(path.join(dir, 'outside.yaml'), sleeper('outside', 'default'));
  mesh = await startLocalMesh({ dirs: [dir], name, mesh: { certificateTtlSeconds: 600 } });
  await waitUntilReady(mesh.client, readyMs);
});

test.after.always(async () => {
  await stopLocalMesh(name);
  fs.rmSync(dir, { recursive: true, force: true });
});

test.serial('pods of the labelled namespace have an agent, others none', async (t) => {
  const { pods } = await mesh.client.status();
  t.true(pod(pods, (await webPod()).pod)?.containerNames.includes(containers.agent));
  t.deepEqual(pod(pods, 'outside')?.containerNames, ['sleep']);
});

test.serial('the agent runs as its own user with token and trust bundle, the app sees neither', async (t) => {
  const ref = await webPod();
  const read = `id -u; stat -L -c %a:%u ${podPaths.token}; cat ${podPaths.trustBundle}`;
  const inAgent = await mesh.client.exec({ ...ref, container: containers.agent, command: ['sh', '-c', read] });
  const bundle = fs.readFileSync(mesh.paths.bundle, 'utf8');
  t.is(inAgent.stdout, `1337\n600:1337\n${bundle}`, inAgent.stderr);
  const inApp = await mesh.client.exec({ ...ref, command: ['cat', podPaths.token] });
  t.not(inApp.exitCode, 0);
  t.regex(inApp.stderr, /No such file/);
});

test.serial('the admin interface is reached through the pod proxy', async (t) => {
  const ready = await mesh.client.proxy(await webPod(), 'admin', '/ready');
  t.is(ready.status, 200, ready.body);
  await t.throwsAsync(mesh.client.logs({ namespace: 'shop', pod: 'nobody' }), { code: 'LOCAL_NOT_FOUND' });
});

test.serial('the mesh answers its own and refuses plaintext', async (t) => {
  const script = `const r = await fetch('http://web/'); console.log(r.status, (await r.json()).host)`;
  const ref = await webPod();
  const own = await mesh.client.exec({ ...ref, command: ['node', '--input-type=module', '-e', script] });
  t.is(own.stdout, `200 ${ref.pod}\n`, own.stderr);
  const command = ['curl', '-sS', '-m', '5', 'http://web.shop/'];
  const plain = await mesh.client.exec({ namespace: 'default', pod: 'outside', command });
  t.not(plain.exitCode, 0);
  t.is(plain.stdout, '');
});

test.serial('without the injector a labelled Pod waits, another one does not', async (t) => {
  await mesh.client.component('injector', 'stop');
  fs.writeFileSync(path.join(dir, 'late.yaml'), `${sleeper('late-in', 'shop')}---${sleeper('late-out', 'default')}`);
  await mesh.client.until('the unlabelled one runs', readyMs, (s) =>
    pod(s.pods, 'late-out')?.ready ? true : undefined,
  );
  const waiting = pod((await mesh.client.status()).pods, 'late-in');
  t.false(waiting?.ready);
  t.regex(waiting?.trouble ?? '', /the injector cannot be asked/);
  await mesh.client.component('injector', 'start');
  const late = await mesh.client.until('the labelled one runs', readyMs, (s) => {
    const found = pod(s.pods, 'late-in');
    return found?.ready ? found : undefined;
  });
  t.is(late.containers, 2);
});

test.serial('a killed component comes back, and traffic does not notice', async (t) => {
  await mesh.client.component('control', 'kill', 1000);
  const ref = await webPod();
  const script = `const r = await fetch('http://web/'); console.log(r.status)`;
  const command = ['node', '--input-type=module', '-e', script];
  t.is((await mesh.client.exec({ ...ref, command })).stdout, '200\n');
  const control = await mesh.client.until('control is back', readyMs, (s) =>
    s.components.find((c) => c.name === 'control' && c.state === 'running' && c.restarts === 1),
  );
  t.is(control.message, 'ended by SIGKILL');
});
