import { X509Certificate } from 'node:crypto';
import test from 'ava';
import { createRoot, issueSvid, openIssuer } from './authority.ts';
import { readCertificate } from './certificate.ts';
import { createKeyPair } from './key-pair.ts';
import { readPemCertificates } from './pem.ts';
import { summarizeCertificate } from './summary.ts';
import { makeIssuer, makeWeb, startMs, trustDomain, webId } from './test-material.ts';
import { parseSpiffeId } from './workload-id.ts';

const read = (pem: string) => readPemCertificates(pem).map(readCertificate);

test('a root signs only, names its domain and nobody in it', async (t) => {
  const { fields, bundle } = await makeIssuer();
  t.true(fields.isCa);
  t.is(fields.pathLength, 0);
  t.deepEqual(fields.keyUsage, { critical: true, digitalSignature: false, keyCertSign: true, crlSign: true });
  t.deepEqual(fields.uris, ['spiffe://cluster.local']);
  t.is(bundle.anchors.length, 1);
});

test('two roots differ in name, and OpenSSL verifies what they sign', async (t) => {
  const [a, b] = [await makeIssuer(), await makeIssuer()];
  t.notDeepEqual(a.fields.subject, b.fields.subject);
  const { issuer, chainPem } = await makeWeb();
  const root = new X509Certificate(issuer.certificatePem);
  const leaf = new X509Certificate(chainPem);
  t.true(leaf.checkIssued(root));
  t.true(leaf.verify(root.publicKey));
});

test('a leaf: two minutes back, the wished lifetime, 128 random bits of serial, DNS names beside the id', async (t) => {
  const issuer = await makeIssuer();
  const { publicKey } = await createKeyPair();
  const template = {
    id: parseSpiffeId(webId),
    publicKey,
    dnsNames: ['web.shop.svc'],
    nowMs: startMs + 600_000,
    ttlMs: 20_000,
  };
  const svids = [await issueSvid(issuer, template), await issueSvid(issuer, template)];
  const [leaf] = read(svids[0]?.certificatePem ?? '');
  t.is(leaf?.notBeforeMs, startMs + 600_000 - 120_000);
  t.is(leaf?.notAfterMs, startMs + 620_000);
  t.deepEqual(leaf?.uris, [webId]);
  t.deepEqual(leaf?.dnsNames, ['web.shop.svc']);
  t.true(leaf?.subjectIsEmpty);
  t.true(svids.every((s) => s.serial.length === 32));
  t.not(svids[0]?.serial, svids[1]?.serial);
});

test('a leaf ends with its issuer, and an expired issuer signs nothing', async (t) => {
  const { publicKey } = await createKeyPair();
  const material = await createRoot({ trustDomain, nowMs: startMs, lifetimeMs: 60_000 });
  const issuer = await openIssuer(trustDomain, material);
  const template = { id: parseSpiffeId(webId), publicKey, dnsNames: [], nowMs: startMs, ttlMs: 3_600_000 };
  t.is((await issueSvid(issuer, template)).notAfterMs, startMs + 60_000);
  await t.throwsAsync(issueSvid(issuer, { ...template, nowMs: startMs + 61_000 }), { message: /no SVID/ });
});

test('an id without a path, or of another domain, is never signed', async (t) => {
  const issuer = await makeIssuer();
  const { publicKey } = await createKeyPair();
  for (const id of ['spiffe://cluster.local', 'spiffe://other.local/ns/a/sa/b']) {
    const template = { id: parseSpiffeId(id), publicKey, dnsNames: [], nowMs: startMs, ttlMs: 60_000 };
    await t.throwsAsync(issueSvid(issuer, template), { message: /no SVID/ });
  }
});

test("a key that is not the certificate's, and a leaf as an issuer, are refused", async (t) => {
  const a = await createRoot({ trustDomain, nowMs: startMs, lifetimeMs: 60_000 });
  const b = await createRoot({ trustDomain, nowMs: startMs, lifetimeMs: 60_000 });
  await t.throwsAsync(openIssuer(trustDomain, { ...a, keyPem: b.keyPem }), { message: /does not belong/ });
  await t.throwsAsync(openIssuer('other.local', a), { message: /belongs to trust domain cluster.local/ });
  const { chainPem, keyPem } = await makeWeb();
  await t.throwsAsync(openIssuer(trustDomain, { certificatePem: chainPem, keyPem }), { message: /cA is false/ });
});

test('the summary says what people ask for', async (t) => {
  const { issuer, chainPem, svid } = await makeWeb();
  const [leaf = new Uint8Array()] = readPemCertificates(chainPem);
  const summary = summarizeCertificate(leaf);
  t.is(summary.spiffeId, webId);
  t.is(summary.sha256, svid.sha256);
  t.is(summary.serial, svid.serial);
  t.false(summary.isCa);
  t.is(summary.notAfterMs, startMs + 3_600_000);
  const [root = new Uint8Array()] = readPemCertificates(issuer.certificatePem);
  t.regex(summarizeCertificate(root).subject, /^O=Chainmail,CN=cluster.local root [0-9a-f]{8}$/);
  t.is(summarizeCertificate(root).spiffeId, 'spiffe://cluster.local');
});
