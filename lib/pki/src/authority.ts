/**
 * @chainmail/pki/authority: making certificates. Template, sign, then read what was signed and hold it against the
 * rules; a certificate that fails is not returned. Loads @peculiar/x509: for CAs and tests, not for agents.
 */
export { type CsrResult, checkCsr, maxCsrBytes } from './csr-check.ts';
export { createRoot, type Issuer, openIssuer, type RootMaterial, type RootOptions } from './root-certificate.ts';
export { type IssuedSvid, issueSvid, type SvidTemplate } from './svid-certificate.ts';
