/** @chainmail/pki/verify: checking peers, without the logger, any package or node:crypto, for data workers. */
export { type CertificateFields, commonNameOf, readCertificate } from './certificate.ts';
export type { CertificateCrypto, KeyFacts } from './certificate-crypto.ts';
export { DerError } from './der.ts';
export { PemError, readPem, readPemCertificates, writePem } from './pem.ts';
export {
  equalSpiffeIds,
  formatSpiffeId,
  isTrustDomain,
  readSpiffeId,
  type SpiffeId,
  type SpiffeIdResult,
  type Workload,
  workloadOf,
} from './spiffe-id.ts';
export {
  createTrustBundleWith,
  formatTrustBundle,
  parseTrustBundleWith,
  type TrustAnchor,
  type TrustBundle,
  TrustBundleError,
} from './trust-bundle.ts';
export {
  keyProblem,
  maxChainLength,
  type RefusedSvid,
  type Svid,
  type SvidCheck,
  type SvidRefusal,
  type SvidVerdict,
  verifySvidWith,
} from './verify-svid.ts';
