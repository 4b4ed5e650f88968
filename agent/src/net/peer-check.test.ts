import { readPemCertificates } from '@chainmail/pki/verify';
import test from 'ava';
import type { SubjectAltNameMatchSpec } from '../model/tls.ts';
import { TestCa } from '../worker/testing.ts';
import { PeerCheck } from './peer-check.ts';

const ca = new TestCa();
test.after.always(() => ca.remove());

const chainOf = (san: string, more: { readonly usage?: string } = {}): Buffer[] =>
  readPemCertificates(ca.leaf(san, more).chainPem).map((der) => Buffer.from(der));

const exact = (type: SubjectAltNameMatchSpec['type'], value: string): SubjectAltNameMatchSpec => ({
  type,
  match: { kind: 'exact', value, ignoreCase: false },
});

function check(names: readonly SubjectAltNameMatchSpec[], svid: boolean): PeerCheck {
  const anchorsPem = ca.trust.kind === 'trust' ? ca.trust.bundlePem : '';
  return new PeerCheck({
    subjectAltNames: names,
    svid: svid ? { anchorsPem, trustDomain: 'cluster.local' } : null,
    nowMs: () => Date.now(),
  });
}

const id = 'spiffe://cluster.local/ns/shop/sa/web';

test('the peer is known by its URI, and read once', (t) => {
  const judge = check([exact('uri', id)], true);
  const chain = chainOf(`URI:${id}`);
  const first = judge.accepts(chain);
  t.true(first.ok);
  if (!first.ok) return;
  t.is(first.peer.principal, id);
  t.regex(first.peer.sha256, /^[0-9a-f]{64}$/);
  t.is(first.peer.subject(), 'CN=x');
  t.regex(first.peer.pem(), /^-----BEGIN CERTIFICATE-----/);
  t.is(judge.accepts(chain), first);
});

for (const [what, san, usage, reason] of [
  ['two URIs', `URI:${id},URI:${id}2`, undefined, /exactly one URI/],
  ['no URI', 'DNS:web', undefined, /exactly one URI/],
  ['an ID without a path', 'URI:spiffe://cluster.local', undefined, /no path/],
  ['a foreign trust domain', 'URI:spiffe://elsewhere/ns/shop/sa/web', undefined, /trust domain elsewhere/],
  ['a percent-encoded ID', 'URI:spiffe://cluster.local/ns/shop/sa/%77eb', undefined, /not a SPIFFE ID/],
  ['a key that may sign certificates', `URI:${id}`, 'critical,digitalSignature,keyCertSign', /keyCertSign/],
  ['a key usage that is not critical', `URI:${id}`, 'digitalSignature', /critical/],
] as const) {
  test(`refused: ${what}`, (t) => {
    const verdict = check([], true).accepts(chainOf(san, usage === undefined ? {} : { usage }));
    t.false(verdict.ok);
    if (!verdict.ok) t.is(verdict.cause, 'verify');
    if (!verdict.ok) t.regex(verdict.reason, reason);
  });
}

for (const [type, san, value] of [
  ['dns', 'DNS:a.example.com', 'a.example.com'],
  ['ip', 'IP:10.0.0.1', '10.0.0.1'],
  ['ip', 'IP:fd00:0:0:0:0:0:0:1', 'fd00::1'],
  ['email', 'email:a@example.com', 'a@example.com'],
] as const) {
  test(`${type} names match ${value}, and nothing else`, (t) => {
    t.true(check([exact(type, value)], false).accepts(chainOf(san)).ok);
    const other = check([exact(type, `${value}0`)], false).accepts(chainOf(san));
    t.like(other, { ok: false, cause: 'san' });
    t.false(check([exact('uri', value)], false).accepts(chainOf(san)).ok, 'another type of name');
  });
}

test('what is no certificate is refused', (t) => {
  t.like(check([], false).accepts([Buffer.from('junk')]), { ok: false, cause: 'verify' });
  t.like(check([], false).accepts([]), { ok: false, cause: 'verify' });
});

test('a name with a NUL in it is refused, whatever names are allowed', (t) => {
  const der = Buffer.from(readPemCertificates(ca.leaf('DNS:good.example').chainPem)[0] ?? []);
  const at = der.indexOf('good.example');
  der[at + 4] = 0;
  const verdict = check(
    [{ type: 'dns', match: { kind: 'suffix', value: 'example', ignoreCase: false } }],
    false,
  ).accepts([der]);
  t.deepEqual(verdict, { ok: false, cause: 'verify', reason: 'a name in the certificate holds a control character' });
});
