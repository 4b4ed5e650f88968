import 'reflect-metadata';
import { createPublicKey, generateKeyPairSync, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import test from 'ava';
import { createRoot, type Issuer, openIssuer } from './authority.ts';
import { createTrustBundle, verifySvid } from './node-crypto.ts';
import { readPemCertificates } from './pem.ts';
import { type AnyCertificate, makeAny, makeIssuer, makeWeb, startMs, trustDomain, webId } from './test-material.ts';
import type { SvidCheck, SvidRefusal } from './verify-svid.ts';

const hourMs = 3_600_000;
const { keyCertSign, digitalSignature, cRLSign } = x509.KeyUsageFlags;

function check(issuer: Issuer, chain: readonly Uint8Array[], more: Partial<SvidCheck> = {}) {
  return verifySvid({ chain, bundles: [issuer.bundle], nowMs: startMs, ...more });
}

test('a proper SVID is accepted and named', async (t) => {
  const { issuer, chainPem, svid } = await makeWeb();
  const verdict = check(issuer, readPemCertificates(chainPem), { expected: ['spiffe://td/x', webId] });
  t.true(verdict.ok);
  if (!verdict.ok) return;
  t.is(verdict.spiffeId, webId);
  t.is(verdict.leaf.serial, svid.serial);
  t.deepEqual(
    [verdict.anchor.sha256],
    issuer.bundle.anchors.map((a) => a.sha256),
  );
});

test('basicConstraints and extendedKeyUsage may be absent; another SAN beside the URI is allowed', async (t) => {
  const issuer = await makeIssuer();
  t.true(check(issuer, [await makeAny({ issuer, purposes: null })]).ok);
  t.true(check(issuer, [await makeAny({ issuer, subject: 'CN=web', sanCritical: false })]).ok);
});

type Refused = readonly [name: string, code: SvidRefusal, change: Omit<AnyCertificate, 'issuer'>];
const refusedLeaves: readonly Refused[] = [
  ['no URI', 'not-one-uri', { uris: [] }],
  ['two URIs', 'not-one-uri', { uris: [webId, 'spiffe://cluster.local/ns/shop/sa/admin'] }],
  ['the same URI twice', 'not-one-uri', { uris: [webId, webId] }],
  ['a URI that is no SPIFFE ID', 'not-a-spiffe-id', { uris: ['https://cluster.local/ns/shop/sa/web'] }],
  ['an id without a path', 'no-path', { uris: ['spiffe://cluster.local'] }],
  ['an id of an unknown trust domain', 'unknown-trust-domain', { uris: ['spiffe://other.local/ns/shop/sa/web'] }],
  ['an empty subject with a SAN that is not critical', 'san-not-critical', { sanCritical: false }],
  ['cA true', 'is-ca', { basicConstraints: { cA: true } }],
  ['no keyUsage', 'key-usage', { keyUsage: null }],
  ['keyUsage not critical', 'key-usage', { keyUsage: { flags: digitalSignature, critical: false } }],
  ['no digitalSignature', 'key-usage', { keyUsage: { flags: x509.KeyUsageFlags.keyAgreement, critical: true } }],
  ['keyCertSign', 'key-usage', { keyUsage: { flags: digitalSignature | keyCertSign, critical: true } }],
  ['cRLSign', 'key-usage', { keyUsage: { flags: digitalSignature | cRLSign, critical: true } }],
  ['serverAuth alone', 'extended-key-usage', { purposes: [x509.ExtendedKeyUsage.serverAuth] }],
  ['clientAuth alone', 'extended-key-usage', { purposes: [x509.ExtendedKeyUsage.clientAuth] }],
  ['any purpose', 'extended-key-usage', { purposes: ['2.5.29.37.0'] }],
  ['expired a second ago', 'expired', { notAfterMs: startMs - 1000 }],
  ['valid in a second', 'not-yet-valid', { notBeforeMs: startMs + 1000 }],
  [
    'an unknown critical extension',
    'unknown-critical-extension',
    { extra: [new x509.Extension('1.2.3.4', true, new Uint8Array([5, 0]))] },
  ],
  ['a P-521 key', 'weak-key', { publicKey: generateKeyPairSync('ec', { namedCurve: 'P-521' }).publicKey }],
  ['RSA 1024', 'weak-key', { publicKey: generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey }],
];
for (const [name, code, change] of refusedLeaves) {
  test(`refused leaf: ${name}`, async (t) => {
    const issuer = await makeIssuer();
    const verdict = check(issuer, [await makeAny({ issuer, ...change })]);
    t.false(verdict.ok);
    t.is(verdict.ok ? undefined : verdict.code, code, verdict.ok ? '' : verdict.reason);
  });
}

for (const [type, publicKey] of [
  ['P-384', generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey],
  ['Ed25519', generateKeyPairSync('ed25519').publicKey],
  ['RSA 2048', generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey],
] as const) {
  test(`a leaf may have a key of ${type}`, async (t) => {
    const issuer = await makeIssuer();
    t.true(check(issuer, [await makeAny({ issuer, publicKey })]).ok);
  });
}

test('the time of the check decides, to the second', async (t) => {
  const { issuer, chainPem, svid } = await makeWeb();
  const chain = readPemCertificates(chainPem);
  const codeAt = (nowMs: number): string => {
    const verdict = check(issuer, chain, { nowMs });
    return verdict.ok ? 'ok' : verdict.code;
  };
  t.is(codeAt(svid.notAfterMs), 'ok');
  t.is(codeAt(svid.notAfterMs + 1), 'expired');
  t.is(codeAt(svid.notBeforeMs), 'ok');
  t.is(codeAt(svid.notBeforeMs - 1), 'not-yet-valid');
});

const codeOf = (verdict: ReturnType<typeof verifySvid>): string => (verdict.ok ? 'ok' : verdict.code);

test('a leaf of another root is untrusted, also when that root has the same name or is presented', async (t) => {
  const issuer = await makeIssuer();
  const impostor = await makeIssuer();
  const sameName: Issuer = { ...issuer, signingKey: impostor.signingKey };
  t.is(codeOf(check(issuer, [await makeAny({ issuer: impostor })])), 'untrusted');
  t.is(codeOf(check(issuer, [await makeAny({ issuer: sameName })])), 'untrusted');
  const root = readPemCertificates(impostor.certificatePem);
  t.is(codeOf(check(issuer, [await makeAny({ issuer: impostor }), ...root])), 'untrusted');
});

test('an anchor that has expired vouches for nobody', async (t) => {
  const issuer = await makeIssuer();
  const leaf = await makeAny({ issuer, notAfterMs: startMs + 90 * 24 * hourMs });
  t.is(codeOf(check(issuer, [leaf], { nowMs: startMs + 25 * hourMs })), 'expired');
});

test('the leaf chooses the bundle: a root of another domain does not vouch for it', async (t) => {
  const ours = await makeIssuer();
  const theirs = await makeIssuer('other.local');
  const bundles = [ours.bundle, theirs.bundle];
  const forged = await makeAny({ issuer: theirs, uris: [webId] });
  t.is(codeOf(verifySvid({ chain: [forged], bundles, nowMs: startMs })), 'untrusted');
  const proper = await makeAny({ issuer: theirs, uris: ['spiffe://other.local/ns/a/sa/b'] });
  t.is(codeOf(verifySvid({ chain: [proper], bundles, nowMs: startMs })), 'ok');
});

test('during a rotation leaves of both roots are trusted', async (t) => {
  const [older, newer] = [await makeIssuer(), await makeIssuer()];
  const ders = [older, newer].flatMap((i) => readPemCertificates(i.certificatePem));
  const bundles = [createTrustBundle(trustDomain, ders, 2)];
  for (const issuer of [older, newer]) {
    t.is(codeOf(verifySvid({ chain: [await makeAny({ issuer })], bundles, nowMs: startMs })), 'ok');
  }
});

test('an identity that was not expected is refused by its whole id', async (t) => {
  const issuer = await makeIssuer();
  const chain = [await makeAny({ issuer, uris: [`${webId}.admin`] })];
  t.is(codeOf(check(issuer, chain, { expected: [webId] })), 'unexpected-identity');
  t.is(codeOf(check(issuer, chain, { expected: [] })), 'unexpected-identity');
  t.is(codeOf(check(issuer, chain, { expected: [`SPIFFE://Cluster.Local/ns/shop/sa/web.admin`] })), 'ok');
});

interface IntermediateOptions {
  readonly change?: Omit<AnyCertificate, 'issuer'>;
  readonly rootPathLength?: number;
}

/** A root that allows intermediates, an intermediate with the change, a leaf below it. */
async function makeChain({ change = {}, rootPathLength = 1 }: IntermediateOptions) {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pkcs8 = Uint8Array.from(keys.privateKey.export({ type: 'pkcs8', format: 'der' }));
  const seed = await openIssuer(
    trustDomain,
    await createRoot({ trustDomain, nowMs: startMs, lifetimeMs: 24 * hourMs }),
  );
  const signing = { flags: keyCertSign, critical: true };
  const ca = { purposes: null, keyUsage: signing, uris: ['spiffe://cluster.local'], sanCritical: false };
  const rootDer = await makeAny({
    issuer: seed,
    subject: new x509.X509Certificate(seed.certificatePem).subject,
    basicConstraints: { cA: true, pathLength: rootPathLength },
    publicKey: createPublicKey(seed.certificatePem),
    ...ca,
  });
  const intermediateDer = await makeAny({
    issuer: seed,
    subject: 'CN=intermediate',
    basicConstraints: { cA: true, pathLength: 0 },
    publicKey: keys.publicKey,
    ...ca,
    ...change,
  });
  const pem = new x509.X509Certificate(intermediateDer).toString('pem');
  const signingKey = await webcrypto.subtle.importKey('pkcs8', pkcs8, { name: 'ECDSA', namedCurve: 'P-256' }, false, [
    'sign',
  ]);
  const leaf = await makeAny({ issuer: { ...seed, certificatePem: pem, signingKey } });
  return { leaf, intermediateDer, bundles: [createTrustBundle(trustDomain, [rootDer])] };
}

test('a chain over an intermediate is followed, whatever else is presented', async (t) => {
  const { leaf, intermediateDer, bundles } = await makeChain({});
  const noise = await makeAny({ issuer: await makeIssuer() });
  t.is(codeOf(verifySvid({ chain: [leaf, noise, intermediateDer], bundles, nowMs: startMs })), 'ok');
  t.is(codeOf(verifySvid({ chain: [leaf], bundles, nowMs: startMs })), 'untrusted');
});

const refusedIntermediates: readonly (readonly [string, SvidRefusal, IntermediateOptions])[] = [
  ['cA false', 'untrusted', { change: { basicConstraints: { cA: false } } }],
  [
    'no basicConstraints, as a leaf has',
    'untrusted',
    { change: { keyUsage: { flags: digitalSignature, critical: true } } },
  ],
  ['no keyCertSign', 'untrusted', { change: { keyUsage: { flags: digitalSignature, critical: true } } }],
  ['an id with a path', 'untrusted', { change: { uris: [webId] } }],
  ['an id of another domain', 'untrusted', { change: { uris: ['spiffe://other.local'] } }],
  ['expired', 'expired', { change: { notAfterMs: startMs - 1000 } }],
  ['beyond the path length of the root', 'untrusted', { rootPathLength: 0 }],
  [
    'name constraints, which are not processed',
    'unknown-critical-extension',
    { change: { extra: [new x509.Extension('2.5.29.30', true, new Uint8Array([0x30, 0]))] } },
  ],
];
for (const [name, code, options] of refusedIntermediates) {
  test(`refused intermediate: ${name}`, async (t) => {
    const { leaf, intermediateDer, bundles } = await makeChain(options);
    t.is(codeOf(verifySvid({ chain: [leaf, intermediateDer], bundles, nowMs: startMs })), code);
  });
}

test('a signing certificate does not authenticate', async (t) => {
  const issuer = await makeIssuer();
  t.is(codeOf(check(issuer, readPemCertificates(issuer.certificatePem))), 'no-path');
});

test('an empty chain, a long one and bytes that are no certificate are refused', async (t) => {
  const { issuer, chainPem } = await makeWeb();
  const [leaf = new Uint8Array()] = readPemCertificates(chainPem);
  t.is(codeOf(check(issuer, [])), 'chain-empty');
  t.is(codeOf(check(issuer, new Array<Uint8Array>(7).fill(leaf))), 'chain-too-long');
  t.is(codeOf(check(issuer, [new Uint8Array(17 * 1024)])), 'not-a-certificate');
  t.is(codeOf(check(issuer, [leaf, Uint8Array.of(0x30, 0)])), 'not-a-certificate');
});

test('no changed byte and no cut gets a certificate through or throws', async (t) => {
  const { issuer, chainPem } = await makeWeb();
  const [leaf = new Uint8Array()] = readPemCertificates(chainPem);
  let accepted = 0;
  for (let i = 0; i < leaf.length; i++) {
    const changed = Uint8Array.from(leaf);
    changed[i] = (changed[i] ?? 0) ^ 0x01;
    if (check(issuer, [changed]).ok) accepted++;
    if (check(issuer, [leaf.subarray(0, i)]).ok) accepted++;
  }
  t.is(accepted, 0);
});

test('a NUL in a URI is a part of it, not its end', async (t) => {
  const issuer = await makeIssuer();
  const chain = [await makeAny({ issuer, uris: [`${webId}\0.example`] })];
  t.is(codeOf(check(issuer, chain)), 'not-a-spiffe-id');
});
