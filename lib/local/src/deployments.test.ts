import test from 'ava';
import { type OwnedPod, planDeployment, podOf, templateHash } from './deployments.ts';

const pod = (name: string, over: Partial<OwnedPod> = {}): OwnedPod => ({
  ...{ name, hash: 'new', ready: true, terminating: false, sequence: Number(name.replace(/\D/g, '')) },
  ...over,
});

test('missing pods are made at once, surplus ones go youngest and unready first', (t) => {
  t.deepEqual(planDeployment(3, 'new', [pod('p1')]), { create: 2, remove: [] });
  t.deepEqual(planDeployment(1, 'new', [pod('p1'), pod('p2')]), { create: 0, remove: ['p2'] });
  t.deepEqual(planDeployment(1, 'new', [pod('p1', { ready: false }), pod('p2')]), { create: 0, remove: ['p1'] });
  t.deepEqual(planDeployment(0, 'new', [pod('p1')]), { create: 0, remove: ['p1'] });
});

test('a pod on its way out does not count', (t) => {
  t.deepEqual(planDeployment(1, 'new', [pod('p1', { terminating: true })]), { create: 1, remove: [] });
});

/** Runs the plan against a model where a new pod is ready one step later; gives the least ready and the most pods. */
function roll(replicas: number): { steps: number; minReady: number; maxPods: number } {
  let pods: OwnedPod[] = Array.from({ length: replicas }, (_, i) => pod(`p${i}`, { hash: 'old' }));
  let sequence = replicas;
  let minReady = replicas;
  let maxPods = replicas;
  for (let steps = 1; steps < 100; steps++) {
    const plan = planDeployment(replicas, 'new', pods);
    pods = pods.filter((p) => !plan.remove.includes(p.name)).map((p) => ({ ...p, ready: true }));
    for (let i = 0; i < plan.create; i++) pods.push(pod(`p${sequence}`, { ready: false, sequence: sequence++ }));
    minReady = Math.min(minReady, pods.filter((p) => p.ready).length);
    maxPods = Math.max(maxPods, pods.length);
    if (pods.length === replicas && pods.every((p) => p.hash === 'new' && p.ready)) return { steps, minReady, maxPods };
  }
  throw new Error('the roll-out does not end');
}

test('a roll-out ends, never has fewer ready pods than wanted, never more than one above', (t) => {
  for (const replicas of [1, 2, 3, 7]) {
    const { minReady, maxPods } = roll(replicas);
    t.is(minReady, replicas);
    t.true(maxPods <= replicas + 1);
  }
});

test('old pods that are not ready go first, they serve nobody', (t) => {
  const plan = planDeployment(2, 'new', [pod('p1', { hash: 'old', ready: false }), pod('p2', { hash: 'old' })]);
  t.deepEqual(plan, { create: 1, remove: ['p1'] });
});

test('the pod carries template, hash and owner', (t) => {
  const deployment = {
    ...{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web', namespace: 'shop', uid: 'd-1' } },
    spec: { template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'a' }] } } },
  };
  const hash = templateHash(deployment.spec.template);
  const made = podOf(deployment, hash, 'abcde');
  t.is(made.metadata.name, `web-${hash}-abcde`);
  t.deepEqual(made.metadata.labels, { app: 'web', 'pod-template-hash': hash });
  t.is(made.metadata.ownerReferences?.[0]?.uid, 'd-1');
  t.not(templateHash({ ...deployment.spec.template, x: 1 }), hash);
});
