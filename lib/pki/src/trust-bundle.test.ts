import test from 'ava';
import { createTrustBundle, parseTrustBundle } from './node-crypto.ts';
import { readPemCertificates } from './pem.ts';
import { makeAny, makeIssuer, makeWeb, trustDomain } from './test-material.ts';
import { formatTrustBundle, TrustBundleError } from './trust-bundle.ts';

test('a bundle file carries its sequence and its domain', async (t) => {
  const anchors = [await makeIssuer(), await makeIssuer()].flatMap((i) => readPemCertificates(i.certificatePem));
  const bundle = createTrustBundle(trustDomain, anchors, 7);
  const read = parseTrustBundle(formatTrustBundle(bundle), trustDomain);
  t.is(read.sequence, 7);
  t.is(read.sha256, bundle.sha256);
  t.is(read.pem, bundle.pem);
  t.is(parseTrustBundle(bundle.pem, trustDomain).sequence, 0);
  t.throws(() => parseTrustBundle(formatTrustBundle(bundle), 'other.local'), {
    message: /of trust domain cluster.local/,
  });
});

test('the fingerprint does not depend on order or repetition', async (t) => {
  const [a, b] = [await makeIssuer(), await makeIssuer()].flatMap((i) => readPemCertificates(i.certificatePem));
  if (a === undefined || b === undefined) return t.fail();
  const sha = (...ders: Uint8Array[]): string => createTrustBundle(trustDomain, ders).sha256;
  t.is(sha(a, b), sha(b, a, a));
  t.not(sha(a, b), sha(a));
});

test('only signing certificates of the domain are anchors', async (t) => {
  const { issuer, chainPem } = await makeWeb();
  const refused = (ders: readonly Uint8Array[], message: RegExp): void => {
    t.throws(() => createTrustBundle(trustDomain, ders), { instanceOf: TrustBundleError, message });
  };
  refused([], /no certificate/);
  refused(readPemCertificates(chainPem), /cA is false/);
  refused([await makeAny({ issuer, basicConstraints: { cA: true } })], /keyCertSign/);
  const ca = { issuer, basicConstraints: { cA: true }, keyUsage: { flags: 32 | 4, critical: true } };
  refused([await makeAny({ ...ca, uris: ['spiffe://other.local'] })], /trust domain other.local/);
  refused([await makeAny({ ...ca, uris: ['spiffe://cluster.local/x'] })], /with a path/);
  refused([await makeAny({ ...ca, uris: ['spiffe://cluster.local', 'spiffe://b'] })], /more than one URI/);
  refused([await makeAny({ ...ca, uris: ['http://x'] })], /invalid SPIFFE ID/);
  refused([Uint8Array.of(0x30, 0)], /certificate 1 of the trust bundle/);
  const many = await Promise.all(Array.from({ length: 17 }, () => makeAny({ ...ca, uris: [] })));
  refused(many, /more than 16/);
});
