import type { KubeObject } from '@chainmail/kube';
import test from 'ava';
import { changedFields } from './apply.ts';
import { injectedPods, named } from './injected-pods.ts';
import { clusterAccess, type Surroundings } from './kubeconfig.ts';
import { listPath, objectPath, pathOf } from './paths.ts';
import { type PodObject, rolloutOf, troubleOf } from './rollout.ts';

const at = (over: Partial<Surroundings> = {}, files: readonly string[] = []): Surroundings => ({
  env: {},
  home: '/home/me',
  exists: (f) => files.includes(f),
  ...over,
});

test('a cluster is found by flag, KUBECONFIG, the usual file, and the pod we are in, in this order', (t) => {
  const usual = ['/home/me/.kube/config'];
  const env = { KUBECONFIG: '/k', KUBERNETES_SERVICE_HOST: '10.96.0.1' };
  t.deepEqual(clusterAccess({ kubeconfig: '/f', context: 'c' }, at({ env }, usual)), {
    kubeconfig: '/f',
    context: 'c',
  });
  t.deepEqual(clusterAccess({}, at({ env }, usual)), { kubeconfig: '/k', context: undefined });
  t.deepEqual(clusterAccess({}, at({}, usual))?.kubeconfig, '/home/me/.kube/config');
  t.deepEqual(clusterAccess({}, at({ env: { KUBERNETES_SERVICE_HOST: '10.96.0.1' } })), {});
  t.is(clusterAccess({}, at()), undefined);
});

test('KUBECONFIG may name several files; that none of them is there is no cluster', (t) => {
  const env = { KUBECONFIG: '/a:/b' };
  t.is(clusterAccess({}, at({ env }, ['/b']))?.kubeconfig, '/a:/b');
  t.is(clusterAccess({}, at({ env }, [])), undefined);
  t.is(clusterAccess({}, at({ env: { KUBECONFIG: '/a' } }, []))?.kubeconfig, '/a', 'and is then told by name');
});

test('paths of objects', (t) => {
  t.is(listPath('Pod'), '/api/v1/pods');
  t.is(listPath('Deployment', 'shop'), '/apis/apps/v1/namespaces/shop/deployments');
  t.is(objectPath('Namespace', 'shop'), '/api/v1/namespaces/shop');
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'a', namespace: 'b' } };
  t.is(pathOf(account), '/api/v1/namespaces/b/serviceaccounts/a');
  t.throws(() => pathOf({ apiVersion: 'v1', kind: 'Foo', metadata: { name: 'a' } }), { message: /kind Foo/ });
});

test('what changed is told field by field, without the bookkeeping of the API server', (t) => {
  const before = {
    ...{ apiVersion: 'v1', kind: 'X', metadata: { name: 'a', resourceVersion: '1', generation: 1 } },
    ...{ spec: { replicas: 2, args: ['--level', 'info', '--x'], old: true }, text: 'a: 1\nb: 2\n' },
  };
  const after = {
    ...{ apiVersion: 'v1', kind: 'X', metadata: { name: 'a', resourceVersion: '2', generation: 2 } },
    ...{ spec: { replicas: 3, args: ['--level', 'debug', '--x'], fresh: 1 }, text: 'a: 1\nb: 3\n', status: {} },
  };
  t.deepEqual(changedFields(before as KubeObject, after as KubeObject), [
    'spec.old: true -> removed',
    'spec.replicas: 2 -> 3',
    'spec.args: -"info" +"debug"',
    'spec.fresh: 1 added',
    'text: -"b: 2" +"b: 3"',
  ]);
  t.deepEqual(changedFields(before as KubeObject, before as KubeObject), []);
});

const pod = (name: string, over: Partial<PodObject> = {}): PodObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'n', labels: { app: 'x' } },
  ...over,
});
const waiting = (reason: string, message?: string): PodObject['status'] => ({
  containerStatuses: [{ name: 'c', state: { waiting: { reason, ...(message === undefined ? {} : { message }) } } }],
});

test('a rollout is done when every wanted pod is new and available, and no old one is left', (t) => {
  const deployment = {
    ...{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd', generation: 2 } },
    spec: { replicas: 2, selector: { matchLabels: { app: 'x' } } },
  };
  const status = { observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2 };
  t.true(rolloutOf({ ...deployment, status }, []).done);
  t.false(rolloutOf({ ...deployment, status: { ...status, observedGeneration: 1 } }, []).done);
  t.false(rolloutOf({ ...deployment, status: { ...status, replicas: 3 } }, []).done);
  const stuck = rolloutOf({ ...deployment, status: { ...status, availableReplicas: 1 } }, [
    pod('a', { status: { conditions: [{ type: 'Ready', status: 'True' }] } }),
    pod('b', { status: waiting('ImagePullBackOff', 'not found') as NonNullable<PodObject['status']> }),
  ]);
  t.deepEqual(stuck, {
    name: 'd',
    done: false,
    progress: '1 of 2 pods ready',
    troubles: ['b: container c: ImagePullBackOff: not found'],
  });
});

test('what holds a pod up is told in the words of Kubernetes', (t) => {
  t.is(
    troubleOf(pod('a', { status: waiting('ContainerCreating') as NonNullable<PodObject['status']> })),
    'container c is starting',
  );
  t.is(
    troubleOf(pod('a', { status: { conditions: [{ type: 'PodScheduled', status: 'False', message: 'no nodes' }] } })),
    'not scheduled: no nodes',
  );
  t.is(
    troubleOf(pod('a', { status: { containerStatuses: [{ name: 'c', ready: false }] } })),
    'container c is not ready',
  );
  t.is(troubleOf(pod('a')), undefined);
});

test('injected pods are those with our container, and those on their way out are marked', (t) => {
  const agent = { initContainers: [{ name: 'mesh-init' }, { name: 'mesh-agent', image: 'agent:1' }] };
  const found = injectedPods([
    pod('a', { spec: agent }),
    pod('b', { spec: { containers: [{ name: 'app' }] } }),
    pod('c', { spec: agent, status: { phase: 'Succeeded' } }),
  ]);
  t.deepEqual(
    found.map((p) => [p.name, p.agentImage, p.leaving]),
    [
      ['a', 'agent:1', false],
      ['c', 'agent:1', true],
    ],
  );
  const many = Array.from({ length: 25 }, (_, i) => ({ ...found[0], name: `p${i}` })) as typeof found;
  t.is(named(many).length, 21);
  t.is(named(many).at(-1), 'and 5 more');
});
