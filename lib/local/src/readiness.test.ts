import test from 'ava';
import type { DevPod, DevStatus } from './dev-status.ts';
import { readinessOf } from './readiness.ts';

const pod = (over: Partial<DevPod> = {}): DevPod => ({
  ...{
    namespace: 'shop',
    name: 'web',
    phase: 'Running',
    ready: true,
    readyContainers: 1,
    containers: 1,
    unready: [],
    restarts: 0,
  },
  ...{ ips: [], serviceAccount: 'default', labels: {}, containerNames: ['web'], terminating: false, createdAt: '' },
  ...over,
});
const status = (over: Partial<DevStatus> = {}): DevStatus => ({
  ...{ name: 'dev', phase: 'running' as const, pid: 1, dirs: [], runDir: '', nodeNetns: '', bridge: '', meshed: true },
  ...{ components: [], pods: [pod()], services: [], problems: [] },
  ...over,
});
const unready = { ready: false, readyContainers: 0 };

test('ready when all pods are ready or have done their work', (t) => {
  t.is(readinessOf(status()).state, 'ready');
  t.is(readinessOf(status({ pods: [pod({ ...unready, phase: 'Succeeded' })] })).state, 'ready');
  t.is(readinessOf(status({ pods: [pod(unready)] })).state, 'waiting');
  t.is(readinessOf(status({ phase: 'starting' })).state, 'waiting');
});

test('hopeless cases end the wait and say whose log to read', (t) => {
  const failed = (over: Partial<DevStatus>): unknown => {
    const verdict = readinessOf(status(over));
    return verdict.state === 'failed' ? (verdict.log ?? verdict.reason) : verdict.state;
  };
  t.is(failed({ problems: [{ origin: { file: 'a.yaml', line: 3 }, reason: 'bad' }] }), 'a.yaml:3: bad');
  t.deepEqual(failed({ pods: [pod({ ...unready, restarts: 3, trouble: 'container web: CrashLoopBackOff: x' })] }), {
    ...{ namespace: 'shop', pod: 'web', container: 'web' },
  });
  t.is(
    failed({ pods: [pod({ ...unready, trouble: 'denied by the injector: no' })] }),
    'pod shop/web: denied by the injector: no',
  );
  t.is(failed({ pods: [pod({ ...unready, trouble: 'ContainerCreating: ConfigMap x not found' })] }), 'waiting');
  const ca = { name: 'ca', state: 'waiting' as const, restarts: 3, message: 'exit code 1' };
  t.deepEqual(failed({ components: [ca] }), { namespace: 'chainmail-system', pod: 'ca' });
});
