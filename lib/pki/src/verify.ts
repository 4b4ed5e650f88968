/** @chainmail/pki/verify: checking peers, without the logger or any package, for data workers. */
export { type CertificateFields, fingerprint, readCertificate } from './certificate.ts';
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
  createTrustBundle,
  formatTrustBundle,
  parseTrustBundle,
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
  verifySvid,
} from './verify-svid.ts';
