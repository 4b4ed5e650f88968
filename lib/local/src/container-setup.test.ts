import test from 'ava';
import { capabilitiesOf, launchOf, userOf } from './container-setup.ts';
import { agentImage, resolveImage } from './images.ts';
import { launchScript, quote } from './launch-script.ts';
import type { Container, NamedPod } from './pod.ts';

const pod = (over: Partial<NamedPod['spec']> = {}): NamedPod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web-1', namespace: 'shop', uid: 'u' },
  spec: { containers: [], volumes: [{ name: 'v', emptyDir: {} }], ...over },
});
const container = (over: Partial<Container> = {}): Container => ({ name: 'app', command: ['run', '$(A)'], ...over });
const paths = {
  ...{ scratch: '/run/s', etc: '/run/etc', repository: '/srv/clone', hostMounts: [] },
  volume: (n: string) => `/run/v/${n}`,
};
const launch = (c: Container, p = pod()) => launchOf(p, c, resolveImage(c, paths.repository), paths, { A: "it's" });

test('user and groups: the container before the pod, root without either', (t) => {
  t.deepEqual(userOf(pod(), container()), { uid: 0, gid: 0, groups: [] });
  const shared = pod({ securityContext: { runAsUser: 1000, runAsGroup: 1000, fsGroup: 7, supplementalGroups: [8] } });
  t.deepEqual(userOf(shared, container({ securityContext: { runAsUser: 1337 } })), {
    uid: 1337,
    gid: 1000,
    groups: [8, 7],
  });
  t.throws(() => userOf(pod({ securityContext: { runAsNonRoot: true } }), container()), { message: /runAsNonRoot/ });
});

test('capabilities: the usual ones, less what is dropped, plus what is added', (t) => {
  t.true(capabilitiesOf(container()).includes('chown'));
  t.false(capabilitiesOf(container()).includes('net_admin'));
  const init = { securityContext: { capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'CAP_NET_RAW'] } } };
  t.deepEqual(capabilitiesOf(container(init)), ['net_admin', 'net_raw']);
  t.is(capabilitiesOf(container({ securityContext: { privileged: true } })), 'all');
});

test('the repository is at a neutral path, arguments are expanded, volumes bound', (t) => {
  const l = launch(container({ volumeMounts: [{ name: 'v', mountPath: '/data', subPath: 'x' }] }));
  t.deepEqual(l.command, ['run', "it's"]);
  t.deepEqual(l.binds[0], { source: '/srv/clone', target: '/opt/chainmail', readOnly: true, file: false });
  t.deepEqual(l.binds[1], { source: '/run/v/v/x', target: '/data', readOnly: false, file: false });
});

test('a volume mount cannot point elsewhere', (t) => {
  const mount = (m: { mountPath: string; subPath?: string; name?: string }) => () =>
    launch(container({ volumeMounts: [{ name: 'v', ...m }] }));
  t.throws(mount({ mountPath: 'data' }), { code: 'LOCAL_VOLUME_MOUNT' });
  t.throws(mount({ mountPath: '/a/../b' }), { code: 'LOCAL_VOLUME_MOUNT' });
  t.throws(mount({ mountPath: '/a', subPath: '../x' }), { code: 'LOCAL_VOLUME_MOUNT' });
  t.throws(mount({ mountPath: '/a', name: 'none' }), { code: 'LOCAL_VOLUME_MOUNT' });
});

test('the agent image runs the agent, an unknown one needs a command, the demo has its folder', (t) => {
  const agent = resolveImage({ name: 'a', image: agentImage, args: ['sidecar'] }, '/r');
  t.deepEqual(agent.argv, ['/opt/chainmail/node_modules/.bin/chainmail-agent', 'sidecar']);
  t.throws(() => resolveImage({ name: 'a', image: 'nginx' }, '/r'), { code: 'LOCAL_NO_COMMAND' });
  const demo = resolveImage({ name: 'a', image: 'chainmail.dev/demo:1', command: ['node'] }, '/r');
  t.is(demo.binds[0]?.source, '/r/manifests/demo/app');
  t.is(demo.workingDir, '/app');
});

test('nothing in a spec can leave its quotes', (t) => {
  t.is(quote("a'b; rm -rf /"), `'a'\\''b; rm -rf /'`);
  const script = launchScript(launch(container({ command: ["x'; touch /pwned; '"] })));
  t.true(script.includes(`'x'\\''; touch /pwned; '\\'''`));
});
