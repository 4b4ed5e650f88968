import { ApiClient } from '@chainmail/kube/cluster';
import { FakeApiServer } from '@chainmail/kube/testing';
import { ManualClock, silentLogger } from '@chainmail/runtime';
import test, { type ExecutionContext } from 'ava';
import { answerReview } from '../review.ts';
import { defaultValues } from '../values.ts';
import { EventWriter } from './events.ts';

const owner = { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'probe', uid: 'u', controller: true };

function reviewed(change: { spec?: object; dryRun?: boolean; owned?: boolean; labels?: Record<string, string> } = {}) {
  const references = change.owned === false ? [] : [owner];
  const outcome = answerReview(
    {
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      request: {
        ...{ uid: 'r', kind: { group: '', kind: 'Pod' }, operation: 'CREATE', namespace: 'shop' },
        dryRun: change.dryRun ?? false,
        object: {
          metadata: { generateName: 'probe-', ownerReferences: references },
          spec: { containers: [{ name: 'app' }], ...change.spec },
        },
      },
    },
    {
      values: defaultValues,
      namespace: (name) => ({ name, labels: { 'chainmail.dev/inject': 'enabled', ...change.labels } }),
    },
  );
  if (outcome.kind !== 'answered') throw new Error('not answered');
  return outcome;
}

async function fixture(t: ExecutionContext) {
  const api = await FakeApiServer.start();
  const client = new ApiClient({ kubeconfig: api.kubeconfig });
  t.teardown(async () => {
    client.close();
    await api.close();
  });
  const clock = new ManualClock(1_700_000_000_000);
  const events = async (n: number) => {
    const list = async () => (await client.list('/api/v1/namespaces/shop/events', {})).items ?? [];
    while ((await list()).length < n) await new Promise((done) => setImmediate(done));
    return list();
  };
  return { api, clock, events, writer: new EventWriter(client, clock, silentLogger) };
}

test('a pod that cannot have an agent is told of on its owner, once in a while', async (t) => {
  const { clock, events, writer } = await fixture(t);
  for (let i = 0; i < 3; i++) writer.tell(reviewed({ spec: { hostNetwork: true } }));
  const [event] = await events(1);
  t.like(event, {
    type: 'Warning',
    reason: 'InjectionSkipped',
    involvedObject: { kind: 'DaemonSet', name: 'probe', uid: 'u', namespace: 'shop' },
  });
  t.regex((event as { message?: string } | undefined)?.message ?? '', /^pods get no agent: hostNetwork/);
  clock.advance(600_001);
  writer.tell(reviewed({ spec: { hostNetwork: true } }));
  t.is((await events(2)).length, 2);
});

test('a warning is told; an injection, a dry run and a bare pod are not', async (t) => {
  const { api, events, writer } = await fixture(t);
  writer.tell(reviewed());
  writer.tell(reviewed({ spec: { hostNetwork: true }, dryRun: true }));
  writer.tell(reviewed({ spec: { hostNetwork: true }, owned: false }));
  writer.tell(reviewed({ labels: { 'pod-security.kubernetes.io/enforce': 'baseline' } }));
  const all = await events(1);
  t.is((all[0] as { reason?: string } | undefined)?.reason, 'InjectionWarning');
  t.is(api.requests.filter((r) => r.startsWith('POST')).length, 1);
});
