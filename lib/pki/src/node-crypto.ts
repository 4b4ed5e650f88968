/** The checks of this package with node:crypto, for everybody but data workers. */
import { createHash, type KeyObject, X509Certificate } from 'node:crypto';
import type { CertificateCrypto, KeyFacts } from './certificate-crypto.ts';
import { createTrustBundleWith, parseTrustBundleWith, type TrustBundle } from './trust-bundle.ts';
import { type SvidCheck, type SvidVerdict, verifySvidWith } from './verify-svid.ts';

export function keyFactsOf(key: KeyObject): KeyFacts {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  return { type: key.asymmetricKeyType ?? 'secret', curve: namedCurve, bits: modulusLength };
}

export const nodeCrypto: CertificateCrypto = {
  sha256: (data) => createHash('sha256').update(data).digest('hex'),
  keyOf: (certificate) => keyFactsOf(new X509Certificate(certificate).publicKey),
  isSignedBy(certificate, issuer) {
    try {
      return new X509Certificate(certificate).verify(new X509Certificate(issuer).publicKey);
    } catch {
      return false;
    }
  },
};

/** Lower-case hex SHA-256 of a certificate, the name it goes by in logs and audits. */
export function fingerprint(der: Uint8Array): string {
  return nodeCrypto.sha256(der);
}

/** A bundle from DER certificates, duplicates dropped. @throws TrustBundleError */
export function createTrustBundle(trustDomain: string, ders: readonly Uint8Array[], sequence = 0): TrustBundle {
  return createTrustBundleWith(nodeCrypto, trustDomain, ders, sequence);
}

/** Reads a bundle file; the sequence comes from its first line, or is 0. @throws TrustBundleError, PemError */
export function parseTrustBundle(text: string, trustDomain: string): TrustBundle {
  return parseTrustBundleWith(nodeCrypto, text, trustDomain);
}

/** Every rule at the given time. Never throws for what a peer presents. */
export function verifySvid(check: SvidCheck): SvidVerdict {
  return verifySvidWith(nodeCrypto, check);
}
