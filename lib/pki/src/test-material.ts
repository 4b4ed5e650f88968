/** Certificates for tests: proper ones, and any that break one rule. Not part of the package's entries. */
import 'reflect-metadata';
import { type KeyObject, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { createRoot, type Issuer, issueSvid, openIssuer } from './authority.ts';
import { createKeyPair } from './key-pair.ts';
import { randomSerial } from './root-certificate.ts';
import { parseSpiffeId } from './workload-id.ts';

export const trustDomain = 'cluster.local';
export const webId = 'spiffe://cluster.local/ns/shop/sa/web';
/** 2030-01-01, so that nothing depends on the machine's clock. */
export const startMs = Date.UTC(2030, 0, 1);
const minute = 60_000;

/** A root of the trust domain, made at startMs for a day. */
export async function makeIssuer(domain = trustDomain, nowMs = startMs): Promise<Issuer> {
  return openIssuer(domain, await createRoot({ trustDomain: domain, nowMs, lifetimeMs: 24 * 60 * minute }));
}

/** A proper SVID of web for an hour, as PEM. */
export async function makeWeb() {
  const issuer = await makeIssuer();
  const { privateKey, publicKey, keyPem } = await createKeyPair();
  const template = { id: parseSpiffeId(webId), publicKey, dnsNames: [], nowMs: startMs, ttlMs: 60 * minute };
  const svid = await issueSvid(issuer, template);
  return { issuer, privateKey, keyPem, chainPem: svid.certificatePem, svid };
}

export interface AnyCertificate {
  readonly issuer: Issuer;
  readonly subject?: string;
  readonly uris?: readonly string[];
  readonly sanCritical?: boolean;
  /** Without it there is no basicConstraints. */
  readonly basicConstraints?: { readonly cA: boolean; readonly pathLength?: number };
  /** Null leaves keyUsage out. */
  readonly keyUsage?: { readonly flags: number; readonly critical: boolean } | null;
  /** Null leaves it out. */
  readonly purposes?: readonly string[] | null;
  readonly extra?: readonly x509.Extension[];
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
  readonly publicKey?: KeyObject;
}

function extensionsOf(wanted: AnyCertificate): x509.Extension[] {
  const { basicConstraints: bc, keyUsage, purposes, uris = [webId] } = wanted;
  const usage = keyUsage === undefined ? { flags: x509.KeyUsageFlags.digitalSignature, critical: true } : keyUsage;
  const all = purposes === undefined ? [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth] : purposes;
  const names = uris.map((value) => ({ type: 'url', value }) as const);
  return [
    ...(bc === undefined ? [] : [new x509.BasicConstraintsExtension(bc.cA, bc.pathLength, true)]),
    ...(usage === null ? [] : [new x509.KeyUsagesExtension(usage.flags, usage.critical)]),
    ...(all === null ? [] : [new x509.ExtendedKeyUsageExtension([...all], false)]),
    ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names, wanted.sanCritical ?? true)]),
    ...(wanted.extra ?? []),
  ];
}

/** A certificate signed by the issuer with exactly the properties asked for; the rest is as in a proper leaf. */
export async function makeAny(wanted: AnyCertificate): Promise<Uint8Array> {
  const publicKey = wanted.publicKey ?? (await createKeyPair()).publicKey;
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: randomSerial(),
      subject: wanted.subject ?? '',
      issuer: new x509.X509Certificate(wanted.issuer.certificatePem).subjectName,
      notBefore: new Date(wanted.notBeforeMs ?? startMs - minute),
      notAfter: new Date(wanted.notAfterMs ?? startMs + 60 * minute),
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      publicKey: new x509.PublicKey(spki),
      signingKey: wanted.issuer.signingKey,
      extensions: extensionsOf(wanted),
    },
    webcrypto,
  );
  return new Uint8Array(certificate.rawData);
}
