import net from 'node:net';
import test from 'ava';
import fc from 'fast-check';
import { ipBytes, isIP, isIPv4, isIPv6 } from './ip-text.ts';

const piece = fc.oneof(
  fc.constantFrom(
    ':',
    '::',
    '.',
    '%',
    '0',
    '1',
    '00',
    '255',
    '256',
    '12345',
    'ffff',
    'FFFF',
    'g',
    'eth0',
    ' ',
    '\0',
    'é',
    '',
  ),
  fc.ipV4(),
  fc.ipV6(),
);
const texts = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.string(),
  fc.array(piece, { maxLength: 10 }).map((p) => p.join('')),
);

test('says what node:net says, of addresses and of texts that are nearly one', (t) => {
  const same = (text: string) =>
    isIPv4(text) === net.isIPv4(text) && isIPv6(text) === net.isIPv6(text) && isIP(text) === (net.isIP(text) !== 0);
  fc.assert(fc.property(texts, same), { numRuns: 5000 });
  for (const text of [
    '::',
    '::1',
    'fe80::1%eth0',
    '::ffff:1.2.3.4',
    '1.2.3.4',
    '01.2.3.4',
    '1.2.3',
    '',
    `${'0'.repeat(60)}::`,
  ]) {
    t.true(same(text), text);
  }
});

test('gives the bytes of an address, each text its own', (t) => {
  const hex = (text: string) => Buffer.from(ipBytes(text) ?? []).toString('hex');
  t.is(hex('1.2.3.255'), '010203ff');
  t.is(hex('2001:DB8::1'), '20010db8000000000000000000000001');
  t.is(hex('fe80::1%eth0'), 'fe800000000000000000000000000001');
  t.is(hex('::ffff:1.2.3.4'), '00000000000000000000ffff01020304');
  const first = ipBytes('9.9.9.9');
  ipBytes('::');
  t.deepEqual(first, Uint8Array.of(9, 9, 9, 9));
  for (const text of ['', 'a', '010.1.2.3', '1.2.3', ':::', '1.2.3.4%eth0']) t.is(ipBytes(text), null, text);
});
