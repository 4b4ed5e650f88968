import test from 'ava';
import type { EndpointSlice, Service } from './pod.ts';
import { serviceRules } from './service-rules.ts';

const service: Service = {
  ...{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'shop' } },
  spec: { clusterIPs: ['10.78.0.16', 'fd00:78::10'], ports: [{ name: 'http', port: 80 }] },
};

const slice = (addressType: 'IPv4' | 'IPv6', addresses: readonly string[]): EndpointSlice => ({
  ...{ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: 's' }, addressType },
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints: addresses.map((a) => ({
    addresses: [a],
    conditions: { ready: !a.endsWith('99'), serving: true, terminating: false },
  })),
});

const lines = (text: string): string[] => text.split('\n').filter((l) => l.includes('S0') || l.includes('REJECT'));

test('each ready endpoint gets its share, by chances that add up', (t) => {
  const rules = serviceRules(
    [{ service, slices: [slice('IPv4', ['10.77.0.16', '10.77.0.17', '10.77.0.99'])] }],
    'IPv4',
  );
  t.deepEqual(lines(rules), [
    ':S0 - [0:0]',
    ':S0_0 - [0:0]',
    ':S0_1 - [0:0]',
    '-A SERVICES -d 10.78.0.16/32 -p tcp --dport 80 -j S0',
    '-A S0 -m statistic --mode random --probability 0.5000000000 -j S0_0',
    '-A S0_0 -s 10.77.0.16/32 -j MARK --set-mark 0x4000',
    '-A S0_0 -p tcp -j DNAT --to-destination 10.77.0.16:8080',
    '-A S0 -j S0_1',
    '-A S0_1 -s 10.77.0.17/32 -j MARK --set-mark 0x4000',
    '-A S0_1 -p tcp -j DNAT --to-destination 10.77.0.17:8080',
  ]);
});

test('a Service nobody serves refuses at once', (t) => {
  const rules = serviceRules([{ service, slices: [slice('IPv4', ['10.77.0.99'])] }], 'IPv4');
  t.deepEqual(lines(rules), [
    '-A FORWARD -d 10.78.0.16/32 -p tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable',
    '-A OUTPUT -d 10.78.0.16/32 -p tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable',
  ]);
});

test('IPv6 has brackets and its own addresses only', (t) => {
  const slices = [slice('IPv4', ['10.77.0.16']), slice('IPv6', ['fd00:77::10'])];
  const rules = serviceRules([{ service, slices }], 'IPv6');
  t.true(rules.includes('-d fd00:78::10/128 -p tcp --dport 80 -j S0'));
  t.true(rules.includes('--to-destination [fd00:77::10]:8080'));
  t.false(rules.includes('10.77'));
});
