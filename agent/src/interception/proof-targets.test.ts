import { parseCidrList } from '@chainmail/runtime';
import test from 'ava';
import { proofAddress, proofPort } from './proof-targets.ts';

const none = { excludeInboundPorts: [], excludeOutboundPorts: [], excludeOutboundCidrs: [] };

test('an excluded port is not dialled to prove that ports are captured', (t) => {
  t.is(proofPort(none), 9);
  t.is(proofPort({ ...none, excludeOutboundPorts: [9], excludeInboundPorts: [13] }), 17);
  t.is(proofPort({ ...none, excludeOutboundPorts: [7, 9, 13, 17, 19] }), undefined);
});

test('nor an address in an excluded network', (t) => {
  const excluding = (text: string) => ({ ...none, excludeOutboundCidrs: parseCidrList(text, 'x') });
  t.is(proofAddress('v4', none), '192.0.2.1');
  t.is(proofAddress('v4', excluding('192.0.0.0/8')), '198.51.100.1');
  t.is(proofAddress('v4', excluding('0.0.0.0/0')), undefined);
  t.is(proofAddress('v6', excluding('0.0.0.0/0')), '2001:db8::1');
  t.is(proofAddress('v6', excluding('2001:db8::/64')), '2001:db8:ffff::1');
  t.is(proofAddress('v6', excluding('2001:db8::/32')), undefined);
});
