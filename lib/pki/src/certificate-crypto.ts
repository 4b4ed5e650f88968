/**
 * What checking certificates needs of a crypto library: node:crypto's (node-crypto.ts), or OpenSSL itself in data workers,
 * where node:crypto would cost 0.6 MB each. Certificates are DER; what the library makes of one is not kept.
 */

/** What decides whether a key is strong. */
export interface KeyFacts {
  /** `ec`, `ed25519`, `rsa`, `rsa-pss`, or another name. */
  readonly type: string;
  /** OpenSSL's name of the curve, of `ec` with a named one. */
  readonly curve?: string | undefined;
  /** Of `rsa`. */
  readonly bits?: number | undefined;
}

export interface CertificateCrypto {
  /** Lower-case hex. */
  sha256(data: Uint8Array): string;
  /** Of the public key in a certificate. @throws Error when the library reads no certificate, or no key, from it */
  keyOf(certificate: Uint8Array): KeyFacts;
  /**
   * Whether the issuer's key made the certificate's signature; names, uses and times are not looked at. False for what
   * the library cannot read.
   */
  isSignedBy(certificate: Uint8Array, issuer: Uint8Array): boolean;
}
