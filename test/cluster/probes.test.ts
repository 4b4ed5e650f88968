/** Probes and lifecycle handlers of every kind under STRICT: the kubelet has no identity, and a dead application shows. */
import test from 'ava';
import { selfSigned } from './certificate.ts';
import { connect, isReady, kinds, Undo } from './cluster.ts';
import type { KubeObject } from './kube-api.ts';
import { installed, meshed } from './mesh.ts';
import { app, type Fields, meshPolicy, pod } from './workloads.ts';

const cluster = connect();
const undo = new Undo();
let home = '';

test.before(async () => {
  await installed(cluster);
  home = await cluster.namespace(undo, meshed);
  const { key, cert } = selfSigned('DNS:nobody.example');
  const tls = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'tls' },
    stringData: { 'tls.key': key, 'tls.crt': cert },
  };
  await cluster.api.apply([meshPolicy('STRICT'), tls], home);
});
test.after.always(() => undo.run());

const probed: Readonly<Record<string, Fields>> = {
  http: { httpGet: { path: '/healthz', port: 'http' } },
  tcp: { tcpSocket: { port: 'tcp' } },
  grpc: { grpc: { port: 50_051 } },
  https: { httpGet: { path: '/healthz', port: 'https', scheme: 'HTTPS' } },
};

/** Patient with a slow machine, which a dead application is not mistaken for. */
const often = { periodSeconds: 1, failureThreshold: 3, timeoutSeconds: 5 };

function podWith(name: string, probes: Fields) {
  return pod(name, {
    container: { ...app, ...probes, volumeMounts: [{ name: 'tls', mountPath: '/tls' }] },
    spec: { volumes: [{ name: 'tls', secret: { secretName: 'tls' } }] },
  });
}

/** From inside the pod, where the application is reached without the mesh. */
async function closeDown(name: string, what: string): Promise<void> {
  const script = `fetch('http://127.0.0.1:8080/close?what=${what}',{method:'POST'}).then(()=>process.exit())`;
  await cluster.exec(home, name, 'app', ['node', '-e', script]);
}

for (const [what, probe] of Object.entries(probed)) {
  test(`readiness by ${what} passes, and fails when that port of the application is dead`, async (t) => {
    const name = `ready-${what}`;
    await cluster.api.create(podWith(name, { readinessProbe: { ...probe, ...often } }), home);
    await cluster.ready(home, name);
    await closeDown(name, what);
    t.truthy(await cluster.api.until(kinds.Pod, home, name, (p) => !isReady(p)));
  });

  test(`startup and liveness by ${what}: a dead application is started again`, async (t) => {
    const name = `alive-${what}`;
    const probes = {
      startupProbe: { ...probe, ...often, failureThreshold: 60 },
      livenessProbe: { ...probe, ...often },
    };
    await cluster.api.create(podWith(name, probes), home);
    const first = await cluster.ready(home, name);
    t.is(restarts(first), 0);
    await closeDown(name, what);
    await cluster.api.until(kinds.Pod, home, name, (p) => restarts(p) > 0 && isReady(p));
    t.pass();
  });
}

function restarts(p: KubeObject | undefined): number {
  return p?.['status']?.containerStatuses?.[0]?.restartCount ?? 0;
}

test('an exec probe is the same as ever', async (t) => {
  const exec = { exec: { command: ['test', '-e', '/tmp/ready'] } };
  await cluster.api.create(podWith('ready-exec', { readinessProbe: { ...exec, ...often } }), home);
  await cluster.api.until(
    kinds.Pod,
    home,
    'ready-exec',
    (p) => p?.['status']?.containerStatuses?.[0]?.started === true,
  );
  await cluster.exec(home, 'ready-exec', 'app', ['touch', '/tmp/ready']);
  await cluster.ready(home, 'ready-exec');
  t.pass();
});

test('a probe of a port where nothing listens fails, though the agent accepts every connection', async (t) => {
  const probe = { readinessProbe: { tcpSocket: { port: 7777 }, ...often } };
  await cluster.api.create(podWith('nothing', probe), home);
  await eventOf('nothing', (e) => e['reason'] === 'Unhealthy' && /Readiness probe failed/.test(e['message']));
  t.false(isReady(await cluster.api.get(kinds.Pod, home, 'nothing')));
});

/** About the application's container, not the agent's. */
async function eventOf(name: string, holds: (event: KubeObject) => boolean): Promise<void> {
  const selector = `fieldSelector=involvedObject.name%3D${name}`;
  const isWanted = (e: KubeObject) => e['involvedObject'].fieldPath === 'spec.containers{app}' && holds(e);
  await cluster.api.untilAll(kinds.Event, home, selector, (events) => events.some(isWanted));
}

const hook = (path: string, port: string | number) => ({ httpGet: { path, port } });

test('lifecycle handlers reach the application at its start and before its end', async (t) => {
  // postStart runs beside the start of its own container: a sidecar that is there already answers it.
  const helper = {
    ...{ name: 'helper', image: app['image'], command: ['node', '/app/server.ts'], restartPolicy: 'Always' },
    startupProbe: { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 },
  };
  const lifecycle = { postStart: hook('/hook/started', 8080), preStop: hook('/hook/stopping', 8080) };
  const container = { name: 'app', image: app['image'], command: ['sleep', '1000000'], lifecycle };
  const spec = { initContainers: [helper], terminationGracePeriodSeconds: 2 };
  await cluster.api.create(pod('hooked', { container, spec }), home);
  await cluster.ready(home, 'hooked');
  const log = cluster.kubectl(['logs', '-f', '-n', home, 'hooked', '-c', 'helper']);
  await cluster.api.remove(kinds.Pod, home, 'hooked');
  t.regex((await log).stdout, /app \/hook\/started[\s\S]*app \/hook\/stopping/);
});

test('a postStart that nobody answers ends the container, as it does without the mesh', async (t) => {
  const lifecycle = { postStart: hook('/hook/started', 7777) };
  await cluster.api.create(podWith('unhooked', { lifecycle }), home);
  await eventOf('unhooked', (e) => e['reason'] === 'FailedPostStartHook');
  t.pass();
});
