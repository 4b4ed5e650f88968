/** A certificate's subject as RFC 2253 text, the form Envoy logs and forwards. For people and headers, never for checks. */
import { addressOf } from './ffi.ts';
import * as ssl from './openssl.ts';

/** XN_FLAG_RFC2253 */
const rfc2253 = 0x1110317n;
const maxBytes = 4096;

/** The subject, or '' when the DER is no certificate. */
export function subjectText(der: Uint8Array): string {
  const at = Buffer.alloc(8);
  at.writeBigUInt64LE(addressOf(der), 0);
  const certificate = ssl.x509FromDer(0n, addressOf(at), BigInt(der.length));
  if (certificate === 0n) {
    ssl.errorClear(0n, 0n);
    return '';
  }
  const bio = ssl.bioNew(ssl.bioMemory(0n, 0n), 0n);
  const out = Buffer.alloc(maxBytes);
  ssl.namePrint(bio, ssl.x509Subject(certificate, 0n), 0n, rfc2253);
  const length = ssl.bioRead(bio, addressOf(out), BigInt(maxBytes));
  ssl.bioFree(bio, 0n);
  ssl.x509Free(certificate, 0n);
  return length > 0 ? out.toString('utf8', 0, length) : '';
}
