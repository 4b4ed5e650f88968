import { UserError } from '@chainmail/runtime';
import test from 'ava';
import fc from 'fast-check';
import { compileCidr, parseIp } from './cidr.ts';

const cases: readonly (readonly [cidr: string, inside: readonly string[], outside: readonly string[]])[] = [
  [
    '10.0.0.0/8',
    ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3', '::ffff:0a01:0203'],
    ['11.0.0.0', '9.255.255.255', '::'],
  ],
  ['10.1.2.3', ['10.1.2.3'], ['10.1.2.2']],
  ['10.1.2.3/24', ['10.1.2.200'], ['10.1.3.0']],
  ['0.0.0.0/0', ['1.2.3.4', '255.255.255.255'], ['::1']],
  ['192.0.2.128/25', ['192.0.2.128', '192.0.2.255'], ['192.0.2.127']],
  ['::/0', ['::1', 'fe80::1%eth0'], ['1.2.3.4', '::ffff:1.2.3.4']],
  ['2001:db8::/32', ['2001:db8:ffff::1'], ['2001:db9::']],
  ['2001:db8::8000/113', ['2001:db8::ffff'], ['2001:db8::7fff']],
  ['fe80::1', ['fe80::1', 'FE80:0:0:0:0:0:0:1'], ['fe80::2']],
  ['::ffff:10.0.0.0/104', ['10.1.2.3'], ['11.0.0.0']],
];

for (const [cidr, inside, outside] of cases) {
  test(cidr, (t) => {
    const matches = compileCidr(cidr);
    t.deepEqual(inside.filter(matches), [...inside]);
    t.deepEqual(outside.filter(matches), []);
  });
}

test('what is no address is in no network', (t) => {
  const everywhere = [compileCidr('0.0.0.0/0'), compileCidr('::/0')];
  for (const text of [
    '',
    'a',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    // Octal for some readers, decimal for others.
    '010.1.2.3',
    '1.2.3.4:80',
    ':',
    ':::',
    '1::2::3',
    '12345::',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7',
    '::1.2.3.4.5',
  ]) {
    t.is(parseIp(text), null, text);
    t.deepEqual(
      everywhere.map((matches) => matches(text)),
      [false, false],
      text,
    );
  }
});

test('bad networks are refused by name', (t) => {
  for (const cidr of [
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '10.0.0.0/a',
    '10.0.0/8',
    '10.0.0.0/8/8',
    'host/8',
    '/8',
    '10.0.0.0/-1',
  ]) {
    const error = t.throws(() => compileCidr(cidr), { instanceOf: UserError }, cidr);
    t.is(error.code, 'CIDR_INVALID');
    t.true(error.message.includes(`'${cidr}'`));
  }
});

test('agrees with arithmetic on any IPv4 network', (t) => {
  const word = fc.nat({ max: 0xffffffff });
  const show = (n: number): string => [24, 16, 8, 0].map((s) => (n >>> s) & 255).join('.');
  fc.assert(
    fc.property(word, word, fc.nat({ max: 32 }), (net, ip, length) => {
      const size = 2 ** (32 - length);
      const same = Math.floor(net / size) === Math.floor(ip / size);
      return compileCidr(`${show(net)}/${length}`)(show(ip)) === same;
    }),
  );
  t.pass();
});
