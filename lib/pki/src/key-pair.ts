/** ECDSA P-256 keys and the PKCS#10 request for one (RFC 2986). Invariant: a key is made for one request only. */
import { createPublicKey, generateKeyPair, type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { tags, writeDer, writeOid } from './der.ts';
import { writePem } from './pem.ts';

const ecdsaWithSha256 = '1.2.840.10045.4.3.2';

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** PKCS#8. A secret. */
  readonly keyPem: string;
}

const generate = promisify(generateKeyPair);

/** A new P-256 key, made off the main thread. */
export async function createKeyPair(): Promise<KeyPair> {
  const { privateKey, publicKey } = await generate('ec', { namedCurve: 'P-256' });
  return { privateKey, publicKey, keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/**
 * A request in PEM that proves possession of a P-256 key. It names nobody: subject and attributes are empty, for the
 * CA takes the identity from the caller's token alone.
 */
export function createCsr(privateKey: KeyObject): string {
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const info = writeDer(
    tags.sequence,
    writeDer(tags.integer, Uint8Array.of(0)),
    writeDer(tags.sequence),
    spki,
    writeDer(0xa0),
  );
  const signature = sign('sha256', info, privateKey);
  const algorithm = writeDer(tags.sequence, writeOid(ecdsaWithSha256));
  return writePem(
    'CERTIFICATE REQUEST',
    writeDer(tags.sequence, info, algorithm, writeDer(tags.bitString, Uint8Array.of(0), signature)),
  );
}
