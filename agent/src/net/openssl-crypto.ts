/** What the checks of @chainmail/pki ask of a crypto library, by OpenSSL itself. */
import type { CertificateCrypto } from '@chainmail/pki/verify';
import { isSignedBy, keyOf } from '../sys/certificates.ts';
import { sha256 } from '../sys/digest.ts';

export const opensslCrypto: CertificateCrypto = {
  sha256: (data) => sha256(data).toString('hex'),
  keyOf(certificate) {
    const key = keyOf(certificate);
    if (key === null) throw new Error('OpenSSL reads no certificate from it');
    return key;
  },
  isSignedBy,
};
