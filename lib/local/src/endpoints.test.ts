import test from 'ava';
import { endpointSlices, serviceFamilies } from './endpoints.ts';
import type { NamedPod, Service } from './pod.ts';

const service = (spec: Partial<Service['spec']> = {}): Service => ({
  ...{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'shop' } },
  spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }], ...spec },
});

function pod(
  name: string,
  over: { ready?: boolean; port?: number; namespace?: string; leaving?: boolean } = {},
): NamedPod {
  const status = over.ready === false ? 'False' : 'True';
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...{ name, namespace: over.namespace ?? 'shop', uid: `u-${name}`, labels: { app: 'web' } },
      ...(over.leaving === true ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: { containers: [{ name: 'a', ports: [{ name: 'http', containerPort: over.port ?? 8080 }] }] },
    status: {
      phase: 'Running',
      podIPs: [{ ip: '10.77.0.16' }, { ip: 'fd00:77::10' }],
      conditions: [{ type: 'Ready', status }],
      initContainerStatuses: [],
      containerStatuses: [],
    },
  };
}

test('a slice per family with the selected pods of the namespace', (t) => {
  const slices = endpointSlices(service({ ipFamilyPolicy: 'PreferDualStack' }), [
    pod('a'),
    pod('b', { namespace: 'x' }),
  ]);
  t.deepEqual(
    slices.map((s) => [s.addressType, s.ports[0]?.port, s.endpoints.map((e) => e.addresses[0])]),
    [
      ['IPv4', 8080, ['10.77.0.16']],
      ['IPv6', 8080, ['fd00:77::10']],
    ],
  );
  t.is(slices[0]?.endpoints[0]?.targetRef?.uid, 'u-a');
});

test('an unready pod is listed as not ready, a leaving one serves but is not ready', (t) => {
  const [slice] = endpointSlices(service(), [pod('a', { ready: false }), pod('b', { leaving: true })]);
  t.deepEqual(
    slice?.endpoints.map((e) => e.conditions),
    [
      { ready: false, serving: false, terminating: false },
      { ready: false, serving: true, terminating: true },
    ],
  );
  const [published] = endpointSlices(service({ publishNotReadyAddresses: true }), [pod('a', { ready: false })]);
  t.true(published?.endpoints[0]?.conditions.ready);
});

test('pods that name the port differently stand in slices of their own', (t) => {
  const slices = endpointSlices(service(), [pod('a'), pod('b', { port: 9090 })]);
  t.deepEqual(
    slices.map((s) => s.ports[0]?.port),
    [8080, 9090],
  );
  t.is(new Set(slices.map((s) => s.metadata.name)).size, 2);
});

test('no selector, no endpoints; families as the Service says', (t) => {
  t.deepEqual(endpointSlices(service({ selector: {} }), [pod('a')]), []);
  t.deepEqual(serviceFamilies(service()), ['IPv4']);
  t.deepEqual(serviceFamilies(service({ ipFamilies: ['IPv6'] })), ['IPv6']);
  t.deepEqual(serviceFamilies(service({ ipFamilies: ['IPv6'], ipFamilyPolicy: 'RequireDualStack' })), ['IPv6', 'IPv4']);
});
