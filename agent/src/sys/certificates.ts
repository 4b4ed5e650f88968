/**
 * Questions about certificates in DER, asked of OpenSSL. Invariant: whatever is made of a certificate is freed before the
 * answer is given, and OpenSSL's list of errors is left empty, which the next TLS call would take for its own.
 */
import { addressOf } from './ffi.ts';
import * as ssl from './openssl.ts';

/** XN_FLAG_RFC2253 */
const rfc2253 = 0x1110317n;
const maxTextBytes = 4096;
/** EVP_PKEY_*: NIDs of key types. */
const keyTypes: ReadonlyMap<number, string> = new Map([
  [6, 'rsa'],
  [912, 'rsa-pss'],
  [408, 'ec'],
  [1087, 'ed25519'],
]);
const maxCurveBytes = 64;

/** What `ask` says of the certificate; `unreadable` for DER that is none. */
function withCertificate<R>(der: Uint8Array, unreadable: R, ask: (x509: bigint) => R): R {
  const at = Buffer.alloc(8);
  at.writeBigUInt64LE(addressOf(der), 0);
  const x509 = ssl.x509FromDer(0n, addressOf(at), BigInt(der.length));
  try {
    return x509 === 0n ? unreadable : ask(x509);
  } finally {
    ssl.x509Free(x509, 0n);
    ssl.errorClear(0n, 0n);
  }
}

/** The subject as RFC 2253 text, the form Envoy logs and forwards; '' when the DER is no certificate. Never for checks. */
export function subjectText(der: Uint8Array): string {
  return withCertificate(der, '', (x509) => {
    const bio = ssl.bioNew(ssl.bioMemory(0n, 0n), 0n);
    const out = Buffer.alloc(maxTextBytes);
    ssl.namePrint(bio, ssl.x509Subject(x509, 0n), 0n, rfc2253);
    const length = ssl.bioRead(bio, addressOf(out), BigInt(maxTextBytes));
    ssl.bioFree(bio, 0n);
    return length > 0 ? out.toString('utf8', 0, length) : '';
  });
}

/** Type of the key in a certificate, its curve or its bits; null when there is no certificate or no key. */
export function keyOf(der: Uint8Array): { type: string; curve?: string; bits?: number } | null {
  return withCertificate(der, null, (x509) => {
    const key = ssl.x509Key(x509, 0n);
    if (key === 0n) return null;
    const id = ssl.keyId(key, 0n);
    const type = keyTypes.get(id) ?? `NID ${id}`;
    if (type === 'ec') return { type, curve: curveOf(key) };
    return type === 'rsa' || type === 'rsa-pss' ? { type, bits: ssl.keyBits(key, 0n) } : { type };
  });
}

/** '' for a curve without a name. */
function curveOf(key: bigint): string {
  const name = Buffer.alloc(maxCurveBytes);
  const length = Buffer.alloc(8);
  if (ssl.keyGroupName(key, addressOf(name), BigInt(maxCurveBytes), addressOf(length)) !== 1) return '';
  return name.toString('latin1', 0, Number(length.readBigUInt64LE(0)));
}

/** Whether the key in the issuer made the certificate's signature; names are not looked at. */
export function isSignedBy(der: Uint8Array, issuer: Uint8Array): boolean {
  return withPair(der, issuer, isSignature);
}

/** The same, and the issuer's name, key identifier and use allow it (X509_check_issued). */
export function isIssuedBy(der: Uint8Array, issuer: Uint8Array): boolean {
  return withPair(der, issuer, (x509, above) => ssl.x509CheckIssued(above, x509) === 0 && isSignature(x509, above));
}

function isSignature(x509: bigint, above: bigint): boolean {
  const key = ssl.x509Key(above, 0n);
  return key !== 0n && ssl.x509Verify(x509, key) === 1;
}

/** False where one of them is no certificate. */
function withPair(der: Uint8Array, issuer: Uint8Array, ask: (x509: bigint, above: bigint) => boolean): boolean {
  return withCertificate(issuer, false, (above) => withCertificate(der, false, (x509) => ask(x509, above)));
}
