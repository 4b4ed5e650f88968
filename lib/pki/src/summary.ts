/** What people and the admin interface see of a certificate. */
import { X509Certificate } from 'node:crypto';
import { readCertificate } from './certificate.ts';
import { fingerprint } from './node-crypto.ts';
import { formatSpiffeId, readSpiffeId } from './spiffe-id.ts';

export interface CertificateSummary {
  /** One line, `CN=...,O=...`; empty for our leaves, which have no subject. */
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  /** Null for a certificate without exactly one SPIFFE ID. */
  readonly spiffeId: string | null;
  readonly dnsNames: readonly string[];
  readonly isCa: boolean;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly sha256: string;
}

/** @throws DerError when it is no certificate. */
export function summarizeCertificate(der: Uint8Array): CertificateSummary {
  const fields = readCertificate(der);
  const printed = new X509Certificate(der);
  const id = readSpiffeId(fields.uris.length === 1 ? (fields.uris[0] ?? '') : '');
  return {
    subject: printed.subject?.replaceAll('\n', ',') ?? '',
    issuer: printed.issuer?.replaceAll('\n', ',') ?? '',
    serial: fields.serial,
    spiffeId: id.ok ? formatSpiffeId(id.id) : null,
    dnsNames: fields.dnsNames,
    isCa: fields.isCa,
    notBeforeMs: fields.notBeforeMs,
    notAfterMs: fields.notAfterMs,
    sha256: fingerprint(der),
  };
}
