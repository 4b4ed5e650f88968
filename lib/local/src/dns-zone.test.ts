import test from 'ava';
import type { Question } from './dns-message.ts';
import { dnsZone } from './dns-zone.ts';
import type { Service } from './pod.ts';
import type { ServiceWithSlices } from './service-rules.ts';

const ask = (name: string, over: Partial<Question> = {}): Question => ({
  ...{ id: 1, recursionDesired: true, opcode: 0, name, type: 1, class: 1, raw: Buffer.alloc(0), maxBytes: 512 },
  edns: false,
  ...over,
});

const service = (name: string, spec: Service['spec']): Service => ({
  ...{ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop' } },
  spec,
});

const ready = { ready: true, serving: true, terminating: false };
const slices: ServiceWithSlices['slices'] = [
  {
    ...{
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 's' },
      addressType: 'IPv4' as const,
    },
    ports: [],
    endpoints: [
      { addresses: ['10.77.0.16'], conditions: ready, hostname: 'db-0' },
      { addresses: ['10.77.0.17'], conditions: { ...ready, ready: false }, hostname: 'db-1' },
    ],
  },
];

const zone = dnsZone(
  [
    { service: service('web', { clusterIP: '10.78.0.16', clusterIPs: ['10.78.0.16'] }), slices },
    { service: service('db', { clusterIP: 'None', clusterIPs: ['None'] }), slices },
  ],
  'cluster.local',
);

test('a Service answers with its cluster address, a headless one with its ready pods', (t) => {
  t.deepEqual(zone(ask('web.shop.svc.cluster.local')), { code: 'noError', addresses: ['10.78.0.16'] });
  t.deepEqual(zone(ask('db.shop.svc.cluster.local')), { code: 'noError', addresses: ['10.77.0.16'] });
  t.deepEqual(zone(ask('db-0.db.shop.svc.cluster.local')), { code: 'noError', addresses: ['10.77.0.16'] });
});

test('everything else does not exist', (t) => {
  for (const name of ['example.com', 'web', 'web.shop', 'nope.shop.svc.cluster.local', 'web.other.svc.cluster.local']) {
    t.is(zone(ask(name)).code, 'nameError', name);
  }
  t.is(zone(ask('db-1.db.shop.svc.cluster.local')).code, 'nameError', 'its pod is not ready');
  t.is(zone(ask('db-0.web.shop.svc.cluster.local')).code, 'nameError', 'not a headless Service');
});

test('a parent of names exists and has no addresses', (t) => {
  t.deepEqual(zone(ask('shop.svc.cluster.local')), { code: 'noError', addresses: [] });
  t.deepEqual(zone(ask('cluster.local')), { code: 'noError', addresses: [] });
});

test('other opcodes and classes are not implemented', (t) => {
  t.is(zone(ask('web.shop.svc.cluster.local', { opcode: 4 })).code, 'notImplemented');
  t.is(zone(ask('web.shop.svc.cluster.local', { class: 3 })).code, 'notImplemented');
});
