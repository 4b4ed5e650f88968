import { UserError } from '@chainmail/runtime';
import test from 'ava';
import { equalSpiffeIds, formatSpiffeId, isTrustDomain, readSpiffeId, workloadOf } from './spiffe-id.ts';
import { parseSpiffeId, workloadId } from './workload-id.ts';

test('an id is read into its parts and written back the same', (t) => {
  for (const text of [
    'spiffe://cluster.local',
    'spiffe://cluster.local/ns/shop/sa/web',
    'spiffe://a_b-c.1/x/Y.z_-',
    `spiffe://td/${'a'.repeat(2048 - 'spiffe://td/'.length)}`,
  ]) {
    t.is(formatSpiffeId(parseSpiffeId(text)), text);
  }
});

const invalid: readonly (readonly [string, RegExp])[] = [
  ['', /scheme/],
  ['https://cluster.local/ns', /scheme/],
  ['spiffe:/cluster.local', /scheme/],
  ['spiffe://', /trust domain is empty/],
  ['spiffe:///ns/shop', /trust domain is empty/],
  ['spiffe://user@td/x', /trust domain has characters/],
  ['spiffe://td:8443/x', /trust domain has characters/],
  ['spiffe://td?x', /trust domain has characters/],
  ['spiffe://td#x', /trust domain has characters/],
  ['spiffe://t%64/x', /trust domain has characters/],
  ['spiffe://münchen/x', /trust domain has characters/],
  [`spiffe://${'a'.repeat(256)}/x`, /longer than 255/],
  ['spiffe://td/', /empty segment or ends with a slash/],
  ['spiffe://td/a/', /empty segment or ends with a slash/],
  ['spiffe://td//a', /empty segment/],
  ['spiffe://td/./a', /dot segment/],
  ['spiffe://td/a/..', /dot segment/],
  ['spiffe://td/a%2fb', /path has characters/],
  ['spiffe://td/a?b', /path has characters/],
  ['spiffe://td/a#b', /path has characters/],
  ['spiffe://td/a b', /path has characters/],
  ['spiffe://td/a\0b', /path has characters/],
  ['spiffe://td/ns/é', /path has characters/],
  ['spiffe://td/a\n', /path has characters/],
  [`spiffe://td/${'a'.repeat(2048)}`, /longer than 2048/],
];

for (const [text, reason] of invalid) {
  test(`refused: ${JSON.stringify(text.slice(0, 40))} of ${text.length}`, (t) => {
    const result = readSpiffeId(text);
    t.false(result.ok);
    t.regex(result.ok ? '' : result.reason, reason);
    t.is(t.throws(() => parseSpiffeId(text), { instanceOf: UserError })?.code, 'SPIFFE_ID_INVALID');
  });
}

test('scheme and trust domain compare without case, the path with it', (t) => {
  const id = parseSpiffeId('spiffe://td/ns/shop');
  t.true(equalSpiffeIds(id, parseSpiffeId('SPIFFE://TD/ns/shop')));
  t.false(equalSpiffeIds(id, parseSpiffeId('spiffe://td/ns/Shop')));
  t.false(equalSpiffeIds(id, parseSpiffeId('spiffe://td/ns/shop/x')));
  t.false(equalSpiffeIds(id, parseSpiffeId('spiffe://td2/ns/shop')));
});

test('a service account with dots stays one segment', (t) => {
  const id = workloadId('td', 'shop', 'web.prod.svc');
  t.is(formatSpiffeId(id), 'spiffe://td/ns/shop/sa/web.prod.svc');
  t.deepEqual(workloadOf(id), { namespace: 'shop', serviceAccount: 'web.prod.svc' });
});

test('only ids of our shape name a workload', (t) => {
  for (const path of ['', '/ns/shop', '/ns/shop/sa/web/x', '/sa/web/ns/shop', '/ns/shop/xx/web']) {
    t.is(workloadOf({ trustDomain: 'td', path }), undefined, path);
  }
  t.throws(() => workloadId('td', 'shop/sa/admin', 'web'), { instanceOf: UserError });
  t.throws(() => workloadId('td', '', 'web'), { instanceOf: UserError });
});

test('a trust domain in configuration is in lower case', (t) => {
  t.true(isTrustDomain('cluster.local'));
  t.false(isTrustDomain('Cluster.local'));
  t.false(isTrustDomain(''));
});
