/** What every CertificateCrypto answers, on certificates with all kinds of keys and on what is none. */
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { TestFn } from 'ava';
import type { CertificateCrypto, KeyFacts } from './certificate-crypto.ts';
import { readPemCertificates } from './pem.ts';
import { makeAny, makeIssuer } from './test-material.ts';

const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).publicKey;
const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength }).publicKey;

const keys: readonly (readonly [name: string, make: () => KeyObject, facts: KeyFacts])[] = [
  ['P-256', () => ec('P-256'), { type: 'ec', curve: 'prime256v1' }],
  ['P-384', () => ec('P-384'), { type: 'ec', curve: 'secp384r1' }],
  ['P-521', () => ec('P-521'), { type: 'ec', curve: 'secp521r1' }],
  ['secp256k1', () => ec('secp256k1'), { type: 'ec', curve: 'secp256k1' }],
  ['Ed25519', () => generateKeyPairSync('ed25519').publicKey, { type: 'ed25519' }],
  ['RSA 1024', () => rsa(1024), { type: 'rsa', bits: 1024 }],
  ['RSA 3072', () => rsa(3072), { type: 'rsa', bits: 3072 }],
  ['RSA-PSS', () => generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey, { type: 'rsa-pss', bits: 2048 }],
];

async function issuerAndRoot() {
  const issuer = await makeIssuer();
  const [root] = readPemCertificates(issuer.bundle.pem);
  if (root === undefined) throw new Error('an issuer has a root');
  return { issuer, root };
}

export function certificateCryptoContract(test: TestFn, crypto: CertificateCrypto): void {
  for (const [name, make, facts] of keys) {
    test(`the key of a certificate: ${name}`, async (t) => {
      const issuer = await makeIssuer();
      t.like(crypto.keyOf(await makeAny({ issuer, publicKey: make() })), facts);
    });
  }

  test('only the key that made a signature is found to have made it', async (t) => {
    const [a, b] = await Promise.all([issuerAndRoot(), issuerAndRoot()]);
    const leaf = await makeAny({ issuer: a.issuer });
    t.true(crypto.isSignedBy(leaf, a.root));
    t.true(crypto.isSignedBy(a.root, a.root));
    t.false(crypto.isSignedBy(leaf, b.root));
    t.false(crypto.isSignedBy(leaf, leaf));
    const rsaCa = await makeAny({ issuer: a.issuer, publicKey: rsa(2048) });
    t.false(crypto.isSignedBy(leaf, rsaCa), 'a key that makes other signatures');
  });

  test('one changed bit, anywhere, and it is not signed or not read', async (t) => {
    const { issuer, root } = await issuerAndRoot();
    const leaf = await makeAny({ issuer });
    for (let at = 0; at < leaf.length; at++) {
      const changed = Uint8Array.from(leaf);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      t.false(crypto.isSignedBy(changed, root), `byte ${at}`);
    }
  });

  test('what is no certificate has no key and no signature, and disturbs nothing', async (t) => {
    const { issuer, root } = await issuerAndRoot();
    const leaf = await makeAny({ issuer });
    const none = [
      new Uint8Array(0),
      new Uint8Array(100),
      new TextEncoder().encode('-----BEGIN'),
      leaf.subarray(0, 200),
    ];
    for (const bytes of none) {
      t.throws(() => crypto.keyOf(bytes));
      t.false(crypto.isSignedBy(bytes, root));
      t.false(crypto.isSignedBy(leaf, bytes));
      t.true(crypto.isSignedBy(leaf, root));
    }
  });

  test('SHA-256 of any length', (t) => {
    for (const length of [0, 1, 32, 63, 64, 65, 5000]) {
      const data = new Uint8Array(length).fill(length & 0xff);
      t.is(crypto.sha256(data), createHash('sha256').update(data).digest('hex'), `${length} bytes`);
    }
  });
}
