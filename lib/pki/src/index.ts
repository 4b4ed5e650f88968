/**
 * @chainmail/pki: what every meshed process needs of SPIFFE and X.509. Light: node:crypto only. Signing certificates
 * is `@chainmail/pki/authority`, PKCS#12 is `@chainmail/pki/pkcs12`: they load packages that agents do without.
 */
export type { CsrSigner, SignedCertificate, SigningRequest } from './csr-signer.ts';
export type { IdentityMaterial } from './identity-material.ts';
export { createCsr, createKeyPair, type KeyPair } from './key-pair.ts';
export { createTrustBundle, fingerprint, nodeCrypto, parseTrustBundle, verifySvid } from './node-crypto.ts';
export { type CertificateSummary, summarizeCertificate } from './summary.ts';
export * from './verify.ts';
export { parseSpiffeId, workloadId } from './workload-id.ts';
export { type IdentityEvent, WorkloadIdentity, type WorkloadIdentityOptions } from './workload-identity.ts';
