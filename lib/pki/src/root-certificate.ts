/** Self-signed signing certificates of a trust domain, and opening one for signing. */
import 'reflect-metadata';
import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { type CertificateFields, readCertificate } from './certificate.ts';
import { createTrustBundle } from './node-crypto.ts';
import { readPem, readPemCertificates, writePem } from './pem.ts';
import type { TrustBundle } from './trust-bundle.ts';

const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** Clocks differ; a certificate is valid from this long before it was made. */
export const backdateMs = 2 * 60 * 1000;

export interface RootOptions {
  readonly trustDomain: string;
  readonly nowMs: number;
  readonly lifetimeMs: number;
}

export interface RootMaterial {
  readonly certificatePem: string;
  /** PKCS#8. The secret of the mesh. */
  readonly keyPem: string;
}

/** A signing certificate with its key, ready to sign. */
export interface Issuer {
  readonly trustDomain: string;
  readonly certificatePem: string;
  readonly fields: CertificateFields;
  readonly bundle: TrustBundle;
  readonly signingKey: webcrypto.CryptoKey;
}

/** 128 random bits, positive, never zero-led: above the 64 that RFC 5280 and the CA/B forum ask for. */
export function randomSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

/** A new P-256 root of the trust domain: cA, may sign leaves only (path length 0), its SPIFFE ID has no path. */
export async function createRoot(options: RootOptions): Promise<RootMaterial> {
  const { trustDomain, nowMs, lifetimeMs } = options;
  const keys = await webcrypto.subtle.generateKey(ecdsa, true, ['sign', 'verify']);
  const serialNumber = randomSerial();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber,
      // The serial keeps the names of two roots apart, so that a path to the wrong one is not even tried.
      name: [{ O: ['Chainmail'] }, { CN: [`${trustDomain} root ${serialNumber.slice(0, 8)}`] }],
      notBefore: new Date(nowMs - backdateMs),
      notAfter: new Date(nowMs + lifetimeMs),
      signingAlgorithm: ecdsa,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        new x509.SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${trustDomain}` }], false),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  const der = new Uint8Array(certificate.rawData);
  createTrustBundle(trustDomain, [der]); // refuses what could not be an anchor
  const key = new Uint8Array(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return { certificatePem: writePem('CERTIFICATE', der), keyPem: writePem('PRIVATE KEY', key) };
}

/** @throws Error when the material is no signing certificate of the trust domain or the key is another's. */
export async function openIssuer(trustDomain: string, material: RootMaterial): Promise<Issuer> {
  const [der, ...more] = readPemCertificates(material.certificatePem);
  const [key] = readPem(material.keyPem, 'PRIVATE KEY');
  if (der === undefined || more.length > 0 || key === undefined) throw new Error('not one certificate and one key');
  const bundle = createTrustBundle(trustDomain, [der]);
  if (!new X509Certificate(der).checkPrivateKey(createPrivateKey(material.keyPem))) {
    throw new Error('the private key does not belong to the certificate');
  }
  const signingKey = await webcrypto.subtle.importKey('pkcs8', new Uint8Array(key), ecdsa, false, ['sign']);
  return { trustDomain, certificatePem: material.certificatePem, fields: readCertificate(der), bundle, signingKey };
}
