/** X.509-SVID leaves: template, sign, validate. Invariant: only what verifySvid accepts leaves this file. */
import 'reflect-metadata';
import { type KeyObject, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { fingerprint, verifySvid } from './node-crypto.ts';
import { writePem } from './pem.ts';
import { backdateMs, type Issuer, randomSerial } from './root-certificate.ts';
import { formatSpiffeId, type SpiffeId } from './spiffe-id.ts';

export interface SvidTemplate {
  readonly id: SpiffeId;
  readonly publicKey: KeyObject;
  /** DNS names beside the SPIFFE ID, for clients that check names (webhooks). */
  readonly dnsNames: readonly string[];
  readonly nowMs: number;
  /** Ends earlier where the issuer does. */
  readonly ttlMs: number;
}

export interface IssuedSvid {
  readonly certificatePem: string;
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly sha256: string;
}

const purposes = [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth];

async function extensionsOf(issuer: Issuer, template: SvidTemplate, spki: Buffer): Promise<x509.Extension[]> {
  const names: x509.JsonGeneralNames = [
    { type: 'url', value: formatSpiffeId(template.id) },
    ...template.dnsNames.map((value) => ({ type: 'dns', value }) as const),
  ];
  const publicKey = new x509.PublicKey(spki);
  const issuerKey = new x509.X509Certificate(issuer.certificatePem).publicKey;
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension(purposes, false),
    new x509.SubjectAlternativeNameExtension(names, true), // critical: the subject is empty (RFC 5280 4.2.1.6)
    await x509.AuthorityKeyIdentifierExtension.create(issuerKey, false, webcrypto),
    await x509.SubjectKeyIdentifierExtension.create(publicKey, false, webcrypto),
  ];
}

function validate(issuer: Issuer, template: SvidTemplate, der: Uint8Array): IssuedSvid {
  const { nowMs, id } = template;
  const verdict = verifySvid({ chain: [der], bundles: [issuer.bundle], nowMs, expected: [formatSpiffeId(id)] });
  if (!verdict.ok) throw new Error(`signed a certificate that is no SVID: ${verdict.reason}`);
  const { serial, notBeforeMs, notAfterMs } = verdict.leaf;
  return { certificatePem: writePem('CERTIFICATE', der), serial, notBeforeMs, notAfterMs, sha256: fingerprint(der) };
}

/** @throws Error when the result is not a valid SVID, e.g. because the issuer has expired. */
export async function issueSvid(issuer: Issuer, template: SvidTemplate): Promise<IssuedSvid> {
  const { nowMs, ttlMs } = template;
  const spki = template.publicKey.export({ type: 'spki', format: 'der' });
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: randomSerial(),
      subject: '',
      issuer: new x509.X509Certificate(issuer.certificatePem).subjectName,
      notBefore: new Date(Math.max(nowMs - backdateMs, issuer.fields.notBeforeMs)),
      notAfter: new Date(Math.min(nowMs + ttlMs, issuer.fields.notAfterMs)),
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      publicKey: new x509.PublicKey(spki),
      signingKey: issuer.signingKey,
      extensions: await extensionsOf(issuer, template, spki),
    },
    webcrypto,
  );
  return validate(issuer, template, new Uint8Array(certificate.rawData));
}
