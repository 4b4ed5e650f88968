import type { KubeObject } from '@chainmail/kube';
import { ApiClient } from '@chainmail/kube/cluster';
import { FakeApiServer } from '@chainmail/kube/testing';
import { ManualClock, silentLogger } from '@chainmail/runtime';
import test, { type ExecutionContext } from 'ava';
import type { Live } from '../source/kube-source.ts';
import { apiPath } from '../testing/api-path.ts';
import { conditionsOf, controllerName, KubeStatus } from './kube-status.ts';
import type { Condition, ObjectStatus } from './status.ts';

const policy: KubeObject = {
  apiVersion: 'chainmail.dev/v1alpha1',
  kind: 'SecurityPolicy',
  metadata: { namespace: 'shop', name: 'p', generation: 3 },
};
const route = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { namespace: 'shop', name: 'r', generation: 1 },
  spec: {
    parentRefs: [
      { group: '', kind: 'Service', name: 'catalog', port: 80 },
      { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'edge' },
    ],
  },
} as KubeObject;

const accepted: Condition = { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'in force' };

function told(of: KubeObject, conditions: readonly Condition[] = [accepted]): ReadonlyMap<string, ObjectStatus> {
  const { apiVersion, kind, metadata } = of;
  const { name = '', namespace = '', generation = 1 } = metadata;
  const programmed = { agents: 1, acknowledgedCount: 1, acknowledged: ['shop/a'], waiting: [], rejected: [] };
  return new Map([
    [name, { apiVersion, kind, metadata: { name, namespace, generation }, status: { conditions, programmed } }],
  ]);
}

async function fixture(t: ExecutionContext, object: KubeObject) {
  const api = await FakeApiServer.start();
  const client = new ApiClient({ kubeconfig: api.kubeconfig });
  const clock = new ManualClock(1_700_000_000_000);
  let live: Live;
  let leader = true;
  /** As the source sees the object now. */
  const look = (): void => {
    const stored = api.put(apiPath(object), object);
    live = {
      object: stored,
      version: stored.metadata.resourceVersion ?? '',
      status: (stored as { status?: unknown }).status,
    };
  };
  look();
  const source = {
    live: () => live,
    took: (_key: string, next: Live) => {
      live = next;
    },
  };
  const status = new KubeStatus({ client, source, isLeader: () => leader, clock, log: silentLogger });
  t.teardown(async () => {
    status.close();
    client.close();
    await api.close();
  });
  const patches = (): number => api.requests.filter((r) => r.startsWith('PATCH')).length;
  return {
    ...{ api, clock, status, patches },
    setLeader: (now: boolean) => {
      leader = now;
    },
    setStatus: (value: unknown) => {
      live = { ...live, status: value };
    },
    setVersion: (version: string) => {
      live = { ...live, version };
    },
    current: () => live,
    written: async (n: number) => {
      while (status.counts.written < n) await new Promise((done) => setImmediate(done));
    },
    idle: async () => {
      for (let i = 0; i < 50; i++) await new Promise((done) => setImmediate(done));
    },
  };
}

type Written = { readonly conditions: readonly { readonly type: string; readonly lastTransitionTime: string }[] };

test('a status is written once; the same one again is not', async (t) => {
  const f = await fixture(t, policy);
  f.status.write(told(policy), 1);
  await f.written(1);
  t.deepEqual(f.current().status, {
    conditions: [{ ...accepted, observedGeneration: 3, lastTransitionTime: '2023-11-14T22:13:20Z' }],
    agents: 1,
    acknowledged: 1,
    problems: [],
  });
  f.clock.advance(60_000);
  f.status.write(told(policy), 1);
  await f.idle();
  t.is(f.patches(), 1);
});

test('the time of a condition stays while its status does', async (t) => {
  const f = await fixture(t, policy);
  f.status.write(told(policy), 1);
  await f.written(1);
  f.clock.advance(60_000);
  f.status.write(told(policy, [{ ...accepted, message: 'in force; more to say' }]), 1);
  await f.written(2);
  t.is((f.current().status as Written).conditions[0]?.lastTransitionTime, '2023-11-14T22:13:20Z');
  f.status.write(told(policy, [{ ...accepted, status: 'False', reason: 'Invalid' }]), 1);
  await f.written(3);
  t.is((f.current().status as Written).conditions[0]?.lastTransitionTime, '2023-11-14T22:14:20Z');
});

test('only the leader writes', async (t) => {
  const f = await fixture(t, policy);
  f.setLeader(false);
  f.status.write(told(policy), 1);
  await f.idle();
  t.is(f.patches(), 0);
  f.setLeader(true);
  f.status.write(told(policy), 1);
  await f.written(1);
  t.is(f.patches(), 1);
});

test("a route's status has our parents beside other controllers' ones", async (t) => {
  const f = await fixture(t, route);
  const theirs = { parentRef: { name: 'edge' }, controllerName: 'example.com/gateway', conditions: [] };
  f.setStatus({ parents: [theirs] });
  f.status.write(told(route), 1);
  await f.written(1);
  const { parents } = f.current().status as { parents: readonly Record<string, unknown>[] };
  t.is(parents.length, 2);
  t.deepEqual(parents[0], theirs);
  t.deepEqual(parents[1]?.['parentRef'], { group: '', kind: 'Service', name: 'catalog', port: 80 });
  t.is(parents[1]?.['controllerName'], controllerName);
});

test('a route that somebody else changed meanwhile is not overwritten, but judged anew', async (t) => {
  const f = await fixture(t, route);
  const right = f.current().version;
  f.setVersion('1');
  f.status.write(told(route), 1);
  while (f.status.counts.failed === 0) await f.idle();
  t.is(f.status.counts.written, 0);
  f.setVersion(right);
  f.clock.advance(1000);
  await f.written(1);
  t.pass();
});

test('a refusal is tried again with back-off; an object that is gone is not', async (t) => {
  const f = await fixture(t, policy);
  f.api.fail(/PATCH/, 503);
  f.status.write(told(policy), 1);
  while (f.status.counts.failed === 0) await f.idle();
  f.clock.advance(1000);
  await f.written(1);
  f.api.fail(/PATCH/, 404);
  f.status.write(told(policy, [{ ...accepted, message: 'x' }]), 1);
  while (f.patches() < 3) await f.idle();
  await f.idle();
  t.is(f.clock.pending, 0);
  t.is(f.status.counts.failed, 1);
});

test('a condition is of the generation it was judged on', (t) => {
  const [c] = conditionsOf([accepted], undefined, undefined, 0);
  t.false(Object.hasOwn(c ?? {}, 'observedGeneration'));
});
