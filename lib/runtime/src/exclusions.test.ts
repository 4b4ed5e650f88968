import test from 'ava';
import { parseCidrList, parsePortList } from './exclusions.ts';

test('ports are sorted, once each; blanks are nothing', (t) => {
  t.deepEqual(parsePortList(' 8080, 25,8080 ', 'x'), [25, 8080]);
  t.deepEqual(parsePortList('', 'x'), []);
});

for (const bad of ['0', '65536', '-1', 'http', '80,', '8000-8010', '1e3', '80;rm', ' , ']) {
  test(`port list '${bad}' is refused by name`, (t) => {
    t.throws(() => parsePortList(bad, '--ports'), { code: 'EXCLUSION_INVALID', message: /^--ports: '/ });
  });
}

test('CIDRs of both families; a bare address is one host', (t) => {
  t.deepEqual(parseCidrList('10.0.0.0/8, fd00::/8,10.0.0.0/8,192.0.2.7,::ffff:10.0.0.0/104', 'x'), [
    { family: 'v4', text: '10.0.0.0/8' },
    { family: 'v6', text: 'fd00::/8' },
    { family: 'v4', text: '192.0.2.7/32' },
    { family: 'v6', text: '::ffff:10.0.0.0/104' },
  ]);
  t.deepEqual(parseCidrList('0.0.0.0/0,::/0', 'x').length, 2);
});

for (const bad of [
  '10.0.0.1/8',
  '10.0.0.0/33',
  'fd00::1/64',
  '::/129',
  'example.com',
  '10.0.0.0/8/8',
  '10.0.0.0/',
  'fe80::1%eth0',
]) {
  test(`CIDR '${bad}' is refused by name`, (t) => {
    t.throws(() => parseCidrList(bad, '--cidrs'), { code: 'EXCLUSION_INVALID', message: /^--cidrs: '/ });
  });
}

test('a list without end is refused', (t) => {
  t.throws(() => parsePortList(Array(300).fill('80').join(','), 'x'), { message: /300 entries/ });
});
