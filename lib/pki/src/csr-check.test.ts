import 'reflect-metadata';
import { generateKeyPairSync, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import test from 'ava';
import { checkCsr, maxCsrBytes } from './csr-check.ts';
import { createCsr, createKeyPair } from './key-pair.ts';
import { readPem, writePem } from './pem.ts';

test('a request of our own holds its key, and is read the same by another implementation', async (t) => {
  const { privateKey, publicKey } = await createKeyPair();
  const pem = createCsr(privateKey);
  const result = checkCsr(pem);
  t.true(result.ok && result.publicKey.equals(publicKey));
  const other = new x509.Pkcs10CertificateRequest(pem);
  t.true(await other.verify(webcrypto));
  t.is(other.subject, '');
});

const algorithms = {
  'P-384': { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  'RSA 2048': {
    name: 'RSASSA-PKCS1-v1_5',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: 'SHA-256',
  },
  Ed25519: { name: 'Ed25519' },
} as const;

async function requestWith(algorithm: (typeof algorithms)[keyof typeof algorithms]): Promise<string> {
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const csr = await x509.Pkcs10CertificateRequestGenerator.create(
    { name: 'CN=anybody', keys, signingAlgorithm: algorithm },
    webcrypto,
  );
  return csr.toString('pem');
}

for (const [name, algorithm] of Object.entries(algorithms)) {
  test(`a request with ${name} made elsewhere is accepted`, async (t) => {
    t.true(checkCsr(await requestWith(algorithm)).ok);
  });
}

const reasonOf = (pem: string): string => {
  const result = checkCsr(pem);
  return result.ok ? 'accepted' : result.reason;
};

test('a request signed by another key, or changed after signing, is refused', async (t) => {
  const { privateKey } = await createKeyPair();
  const [der = new Uint8Array()] = readPem(createCsr(privateKey), 'CERTIFICATE REQUEST');
  let accepted = 0;
  for (let i = 0; i < der.length; i++) {
    const changed = Uint8Array.from(der);
    changed[i] = (changed[i] ?? 0) ^ 1;
    if (checkCsr(writePem('CERTIFICATE REQUEST', changed)).ok) accepted++;
  }
  t.is(accepted, 0);
  const stranger = await createKeyPair();
  const [other = new Uint8Array()] = readPem(createCsr(stranger.privateKey), 'CERTIFICATE REQUEST');
  const swapped = Buffer.concat([der.subarray(0, -70), other.subarray(-70)]);
  t.not(reasonOf(writePem('CERTIFICATE REQUEST', swapped)), 'accepted');
});

test('weak and unusual keys are refused by name', (t) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  t.regex(reasonOf(createCsr(privateKey)), /RSA of 1024 bits is not allowed/);
  const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' });
  t.regex(reasonOf(createCsr(p521.privateKey)), /curve secp521r1 is not allowed/);
  const k256 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
  t.regex(reasonOf(createCsr(k256.privateKey)), /curve secp256k1 is not allowed/);
});

test('an algorithm that does not belong to the key is refused', (t) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  t.regex(reasonOf(createCsr(privateKey)), /signature algorithm 1.2.840.10045.4.3.2 is not allowed for this key/);
});

test('size, label and number are bounded', async (t) => {
  const pem = createCsr((await createKeyPair()).privateKey);
  t.regex(reasonOf('x'.repeat(maxCsrBytes + 1)), /larger than/);
  t.regex(reasonOf(''), /not exactly one/);
  t.regex(reasonOf(pem + pem), /not exactly one/);
  t.regex(reasonOf(pem.replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE')), /not exactly one/);
  t.regex(reasonOf('-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----'), /./);
});
