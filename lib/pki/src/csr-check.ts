/**
 * What a CA may believe of a PKCS#10 request: that the caller holds the private key of the public key in it, and that
 * the key is strong. Names in the request are ignored. Invariant: bounded in size before anything is parsed.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { DerError, expectTag, readChildren, readDer, readOid, tags } from './der.ts';
import { keyFactsOf } from './node-crypto.ts';
import { PemError, readPem } from './pem.ts';
import { keyProblem } from './verify-svid.ts';

/** A request for RSA 8192 with some attributes has 3 KB. */
export const maxCsrBytes = 8 * 1024;

export type CsrResult =
  | { readonly ok: true; readonly publicKey: KeyObject }
  | { readonly ok: false; readonly reason: string };

/** Signature algorithms of a request, with the digest node:crypto wants (null where the algorithm has its own). */
const digests: ReadonlyMap<string, string | null> = new Map([
  ['1.2.840.10045.4.3.2', 'sha256'],
  ['1.2.840.10045.4.3.3', 'sha384'],
  ['1.2.840.10045.4.3.4', 'sha512'],
  ['1.2.840.113549.1.1.11', 'sha256'],
  ['1.2.840.113549.1.1.12', 'sha384'],
  ['1.2.840.113549.1.1.13', 'sha512'],
  ['1.3.101.112', null],
]);

const keyTypes: ReadonlyMap<string, string> = new Map([
  ['1.2.840.10045', 'ec'],
  ['1.2.840.113549', 'rsa'],
  ['1.3.101.112', 'ed25519'],
]);

function keyTypeOf(algorithm: string): string | undefined {
  return [...keyTypes].find(([prefix]) => algorithm === prefix || algorithm.startsWith(`${prefix}.`))?.[1];
}

function readKey(spki: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch {
    throw new DerError('the public key cannot be read');
  }
}

function readCsr(der: Uint8Array): CsrResult {
  const [info, algorithm, signature, ...more] = readChildren(readDer(der, tags.sequence).content);
  if (more.length > 0) throw new DerError('a request has three parts');
  const body = expectTag(info, tags.sequence, 'certificationRequestInfo');
  const publicKey = readKey(expectTag(readChildren(body.content)[2], tags.sequence, 'public key').whole);
  const problem = keyProblem(keyFactsOf(publicKey));
  if (problem !== undefined) {
    return { ok: false, reason: `${problem} is not allowed; use P-256, P-384, Ed25519 or RSA of at least 2048 bits` };
  }
  const oid = readOid(readChildren(expectTag(algorithm, tags.sequence, 'algorithm').content)[0], 'algorithm');
  const digest = digests.get(oid);
  if (digest === undefined || keyTypeOf(oid) !== publicKey.asymmetricKeyType) {
    return { ok: false, reason: `signature algorithm ${oid} is not allowed for this key` };
  }
  const bits = expectTag(signature, tags.bitString, 'signature').content;
  if (bits[0] !== 0 || !verify(digest, body.whole, publicKey, bits.subarray(1))) {
    return { ok: false, reason: 'the signature is not by the key in the request' };
  }
  return { ok: true, publicKey };
}

/** Reads and checks one request in PEM; the outcome is a value. */
export function checkCsr(pem: string): CsrResult {
  if (pem.length > maxCsrBytes) return { ok: false, reason: `larger than ${maxCsrBytes} bytes` };
  try {
    const [der, ...more] = readPem(pem, 'CERTIFICATE REQUEST');
    if (der === undefined || more.length > 0) return { ok: false, reason: 'not exactly one CERTIFICATE REQUEST block' };
    return readCsr(der);
  } catch (error) {
    if (error instanceof DerError || error instanceof PemError) return { ok: false, reason: error.message };
    throw error;
  }
}
