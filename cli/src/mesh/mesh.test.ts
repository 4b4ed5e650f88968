import { UserError } from '@chainmail/runtime';
import test from 'ava';
import { LinePrefix } from '../commands/logs.ts';
import { certificateRows, spell } from './certificate-rows.ts';
import { meshPod } from './cluster-mesh.ts';
import { type AgentEdge, edgeRows } from './edge-rows.ts';
import type { MeshPod } from './mesh-client.ts';
import { fromEach } from './mesh-client.ts';
import { type AgentsPage, proxyStatusRows } from './proxy-status-rows.ts';
import { selectPods } from './select.ts';

const pod = (namespace: string, workload: string, n = 1): MeshPod => ({
  namespace,
  name: `${workload}-0123456789-abcd${n}`,
  workload,
  serviceAccount: workload,
  meshed: true,
  ready: true,
  ips: [],
});

const edge = (over: Partial<AgentEdge>): AgentEdge => ({
  direction: 'inbound',
  local: 'spiffe://cluster.local/ns/shop/sa/catalog',
  peer: 'spiffe://cluster.local/ns/shop/sa/web',
  target: 'inbound_8080',
  tls: 'TLSv1.3',
  connections: 1,
  active: 1,
  requests: 10,
  failures: 0,
  ...over,
});

test('pods are found by Deployment, by namespace/name, by kind/name, and by their own name', (t) => {
  const pods = [pod('shop', 'web', 1), pod('shop', 'web', 2), pod('other', 'web')];
  t.is(selectPods(pods, undefined, undefined).length, 3);
  t.is(selectPods(pods, 'web', undefined).length, 3);
  t.is(selectPods(pods, 'shop/web', undefined).length, 2);
  t.is(selectPods(pods, 'deploy/web', 'other').length, 1);
  t.is(selectPods(pods, 'web-0123456789-abcd2', undefined).length, 1);
});

test('a namespace without pods is refused with those that have some', (t) => {
  const error = t.throws(() => selectPods([pod('shop', 'web')], undefined, 'sohp'), { code: 'NAMESPACE_EMPTY' });
  t.regex(String(error?.message), /namespace sohp/);
  t.is((error as UserError).hint, 'there are: shop');
  const inside = t.throws(() => selectPods([pod('shop', 'web')], 'web', 'other'), { code: 'POD_NOT_FOUND' });
  t.regex(String(inside?.message), /web in namespace other/);
});

test('a pod that is not there is named with those that are', (t) => {
  const error = t.throws(() => selectPods([pod('shop', 'web')], 'wbe', undefined), { instanceOf: UserError });
  t.is(error?.hint, 'there are: shop/web');
});

test('an edge seen at both ends counts once; replicas add up; the hop inside the pod is no edge', (t) => {
  const rows = edgeRows([
    {
      pod: pod('shop', 'catalog', 1),
      edges: [edge({}), edge({ direction: 'outbound', peer: '', tls: '', target: 'inbound|8080' })],
    },
    { pod: pod('shop', 'catalog', 2), edges: [edge({ requests: 5 })] },
    {
      pod: pod('shop', 'web'),
      edges: [
        edge({
          direction: 'outbound',
          local: 'spiffe://cluster.local/ns/shop/sa/web',
          peer: 'spiffe://cluster.local/ns/shop/sa/catalog',
        }),
      ],
    },
  ]);
  t.is(rows.length, 1);
  t.like(rows[0], { source: 'web', destination: 'catalog', requests: 15, secured: 'TLSv1.3' });
});

test('plaintext shows as such, at whichever end has an agent', (t) => {
  const rows = edgeRows([
    {
      pod: pod('shop', 'web'),
      edges: [
        edge({ peer: '', tls: '', local: '' }),
        edge({ direction: 'outbound', peer: '', tls: '', target: 'outbound|80||legacy.other.svc.cluster.local' }),
      ],
    },
  ]);
  t.deepEqual(
    rows.map((r) => [r.source, r.destination, r.destinationNamespace, r.secured]),
    [
      ['unknown', 'web', 'shop', ''],
      ['web', 'legacy', 'other', ''],
    ],
  );
});

test('a certificate is valid, then expiring in its last quarter, then expired', (t) => {
  const page = {
    certificates: [
      {
        ca_cert: [{ serial_number: 'aa' }],
        cert_chain: [
          {
            serial_number: '01',
            subject_alt_names: [{ dns: 'x' }, { uri: 'spiffe://cluster.local/ns/shop/sa/web' }],
            valid_from: '2026-01-01T00:00:00Z',
            expiration_time: '2026-01-01T04:00:00Z',
          },
        ],
      },
    ],
  };
  const at = (time: string): unknown => certificateRows(pod('shop', 'web'), page, Date.parse(time))[0]?.status;
  t.is(at('2026-01-01T01:00:00Z'), 'valid');
  t.is(at('2026-01-01T03:30:00Z'), 'expiring');
  t.is(at('2026-01-01T04:00:00Z'), 'expired');
  t.deepEqual(certificateRows(pod('shop', 'web'), { certificates: [{}] }, 0), []);
});

test('durations are spelt with two units', (t) => {
  t.deepEqual([0, 14, 552, 86_340, 90_061, -75].map(spell), ['0s', '14s', '9m 12s', '23h 59m', '1d 1h', '-1m 15s']);
});

test('agents are asked some at a time, and one that fails is a problem of its pod', async (t) => {
  const pods = Array.from({ length: 40 }, (_, i) => pod('shop', 'web', i));
  let [now, most] = [0, 0];
  const answers = await fromEach(pods, async (p) => {
    most = Math.max(most, ++now);
    await Promise.resolve();
    now--;
    if (p.name.endsWith('7')) throw new Error('gone');
    return p.name;
  });
  t.true(most <= 16, String(most));
  t.deepEqual(
    answers.map((a) => a.pod.name),
    pods.map((p) => p.name),
  );
  t.deepEqual(answers.filter((a) => a.problem === 'gone').length, pods.filter((p) => p.name.endsWith('7')).length);
});

test('proxy-status: synced, stale, refused, reconnected and not connected', (t) => {
  const type = (name: string, over: object = {}) => ({
    ...{ type: name, acknowledged: '1', pending: false, nameCount: 1 },
    ...over,
  });
  const agent = (name: string, connectedAt: string, types: readonly ReturnType<typeof type>[]) => ({
    ...{ pod: name, connectedAt, settled: true, types },
  });
  const page = (...agents: readonly ReturnType<typeof agent>[]): AgentsPage => ({ revision: 1, agents });
  const [web, old] = [pod('shop', 'web'), pod('shop', 'old')];
  const rows = proxyStatusRows(
    [web, old, { ...pod('shop', 'plain'), meshed: false }],
    [
      { instance: 'c1', page: page(agent(`shop/${web.name}`, '2026-01-01T00:00:00Z', [])) },
      {
        instance: 'c2',
        page: page(
          agent(`shop/${web.name}`, '2026-01-01T00:00:09Z', [
            type('cluster'),
            type('endpoints', { pending: true }),
            type('listener', { rejection: { reason: 'no such thing' } }),
          ]),
        ),
      },
    ],
  );
  t.is(rows.length, 2);
  t.like(rows[0], { pod: old.name, control: '', cds: '-' });
  t.like(rows[1], { pod: web.name, control: 'c2', cds: 'SYNCED', eds: 'STALE', lds: 'REJECTED', rds: '-' });
  t.deepEqual(rows[1]?.rejections, ['listener: no such thing']);
});

test('a pod of Kubernetes belongs to the Deployment of its ReplicaSet, to its owner, or to itself', (t) => {
  const owned = (kind: string, name: string, labels: Readonly<Record<string, string>> = {}) =>
    meshPod({
      ...{ apiVersion: 'v1', kind: 'Pod' },
      metadata: { name: 'p', namespace: 'n', labels, ownerReferences: [{ kind, name, controller: true }] } as object,
      spec: { initContainers: [{ name: 'mesh-agent' }] },
    });
  t.is(owned('ReplicaSet', 'web-abc', { 'pod-template-hash': 'abc' }).workload, 'web');
  t.is(owned('ReplicaSet', 'alone').workload, 'alone');
  t.is(owned('StatefulSet', 'db').workload, 'db');
  t.true(owned('StatefulSet', 'db').meshed);
  t.is(meshPod({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'bare', namespace: 'n' } }).workload, 'bare');
});

test('lines of several logs keep their names, whatever the split', (t) => {
  const text = Buffer.from('one\nzwö\nlast');
  for (let at = 0; at <= text.length; at++) {
    const prefix = new LinePrefix('[x] ');
    const out = prefix.lines(text.subarray(0, at)) + prefix.lines(text.subarray(at)) + prefix.end();
    t.is(out, '[x] one\n[x] zwö\n[x] last\n');
  }
});
