/**
 * The trust anchors of one trust domain. Invariant: each is a signing certificate by the rules of X509-SVID.md; the
 * sequence only grows, by one with every change, so that two bundles can be ordered.
 */
import { type CertificateFields, readCertificate } from './certificate.ts';
import type { CertificateCrypto } from './certificate-crypto.ts';
import { readPemCertificates, writePem } from './pem.ts';
import { readSpiffeId } from './spiffe-id.ts';

const maxAnchors = 16;

export class TrustBundleError extends Error {}

export interface TrustAnchor {
  readonly fields: CertificateFields;
  readonly sha256: string;
}

export interface TrustBundle {
  readonly trustDomain: string;
  /** 0 where the source tells none. */
  readonly sequence: number;
  readonly anchors: readonly TrustAnchor[];
  /** The anchors' PEM, one after the other. */
  readonly pem: string;
  /** SHA-256 over the anchors, whatever their order. */
  readonly sha256: string;
}

function anchorProblem(fields: CertificateFields, trustDomain: string): string | undefined {
  if (!fields.isCa) return 'is no CA certificate (cA is false)';
  if (fields.keyUsage?.keyCertSign !== true) return 'may not sign certificates (keyUsage lacks keyCertSign)';
  if (fields.uris.length > 1) return 'has more than one URI';
  const [uri] = fields.uris;
  if (uri === undefined) return undefined;
  const id = readSpiffeId(uri);
  if (!id.ok) return `has an invalid SPIFFE ID: ${id.reason}`;
  if (id.id.path !== '') return 'has a SPIFFE ID with a path';
  return id.id.trustDomain === trustDomain ? undefined : `belongs to trust domain ${id.id.trustDomain}`;
}

function readAnchor(crypto: CertificateCrypto, der: Uint8Array, trustDomain: string, at: number): TrustAnchor {
  try {
    const fields = readCertificate(der);
    const problem = anchorProblem(fields, trustDomain);
    if (problem !== undefined) throw new TrustBundleError(problem);
    crypto.keyOf(der); // throws for what the library could not check a signature with later
    return { fields, sha256: crypto.sha256(der) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unreadable';
    throw new TrustBundleError(`certificate ${at} of the trust bundle: ${reason}`);
  }
}

/** A bundle from DER certificates, duplicates dropped. @throws TrustBundleError */
export function createTrustBundleWith(
  crypto: CertificateCrypto,
  trustDomain: string,
  ders: readonly Uint8Array[],
  sequence: number,
): TrustBundle {
  if (ders.length > maxAnchors) throw new TrustBundleError(`the trust bundle has more than ${maxAnchors} certificates`);
  const all = ders.map((der, i) => readAnchor(crypto, der, trustDomain, i + 1));
  const anchors = [...new Map(all.map((a) => [a.sha256, a])).values()];
  if (anchors.length === 0) throw new TrustBundleError('the trust bundle has no certificate');
  const names = anchors.map((a) => a.sha256).sort();
  return {
    trustDomain,
    sequence,
    anchors,
    pem: anchors.map((a) => writePem('CERTIFICATE', a.fields.der)).join(''),
    sha256: crypto.sha256(Buffer.from(names.join('\n'))),
  };
}

const header = /^# trust bundle of (\S+), sequence (\d{1,15})$/m;

/** The text of a bundle file: a line with trust domain and sequence, which PEM readers skip, and the anchors. */
export function formatTrustBundle(bundle: TrustBundle): string {
  return `# trust bundle of ${bundle.trustDomain}, sequence ${bundle.sequence}\n${bundle.pem}`;
}

/** Reads a bundle file; the sequence comes from its first line, or is 0. @throws TrustBundleError, PemError */
export function parseTrustBundleWith(crypto: CertificateCrypto, text: string, trustDomain: string): TrustBundle {
  const found = header.exec(text);
  if (found !== null && found[1] !== trustDomain) {
    throw new TrustBundleError(`the trust bundle is of trust domain ${found[1]}, not ${trustDomain}`);
  }
  return createTrustBundleWith(crypto, trustDomain, readPemCertificates(text), Number(found?.[2] ?? 0));
}
