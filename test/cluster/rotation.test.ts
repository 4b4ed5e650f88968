/** The webhook's serving certificate changes again and again while pods are created without a pause. */
import tls from 'node:tls';
import { system } from '@chainmail/runtime';
import test from 'ava';
import { connect, kinds, Undo } from './cluster.ts';
import { installed, meshed } from './mesh.ts';
import { idle, pod } from './workloads.ts';

const cluster = connect();
const undo = new Undo();
let home = '';

test.before(async () => {
  await installed(cluster);
  home = await cluster.namespace(undo, meshed);
});
test.after.always(async () => {
  await undo.run();
  await cluster.meshctl(['upgrade', '--reset-values']);
});

/** What one of the replicas presents, whichever the Service gives. */
function presented(host: string, ca: Buffer): Promise<string> {
  const servername = `${system.injectorServiceAccount}.${system.namespace}.svc`;
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host, port: 443, servername, ca }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

const caBundle = async (): Promise<Buffer> => {
  const hook = await cluster.api.get(kinds.MutatingWebhookConfiguration, undefined, 'chainmail-injector');
  return Buffer.from(hook['webhooks'][0].clientConfig.caBundle, 'base64');
};

test('no pod is refused while certificates of 20 seconds come and go', async (t) => {
  const failures: string[] = [];
  let isOver = false;
  let created = 0;
  const creating = (async () => {
    while (!isOver) {
      const one = pod('a', { container: idle });
      await cluster.api.create(one, home, '?dryRun=All').then(
        (o) => (o['spec'].initContainers?.length === 2 ? created++ : failures.push('not injected')),
        (error) => failures.push(error.message),
      );
    }
  })();
  const { code, stderr } = await cluster.meshctl(['upgrade', '--set', 'ca.defaultTtl=20s']);
  t.is(code, 0, stderr);
  const restarted = await cluster.kubectl([
    'rollout',
    'restart',
    '-n',
    system.namespace,
    'deployment/chainmail-injector',
  ]);
  t.is(restarted.code, 0, restarted.stderr);
  await cluster.available(system.namespace, system.injectorServiceAccount);
  const { spec } = await cluster.api.get(kinds.Service, system.namespace, system.injectorServiceAccount);
  const seen = new Set<string>();
  const deadline = Date.now() + 90_000;
  // Two replicas with a certificate each, and each of them replaced at least once.
  while (seen.size < 4 && Date.now() < deadline) seen.add(await presented(spec.clusterIP, await caBundle()));
  isOver = true;
  await creating;
  t.true(seen.size >= 4, `${seen.size} certificates`);
  t.deepEqual(failures, []);
  t.true(created > 100, `${created} pods`);
});
