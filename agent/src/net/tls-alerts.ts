/** Alerts of TLS 1.3 by number (RFC 8446 section 6): those that we send, and what any of them is called. */
import { textAt } from '../sys/ffi.ts';
import { alertText } from '../sys/openssl.ts';

export const alert = {
  closeNotify: 0,
  unexpectedMessage: 10,
  badRecordMac: 20,
  recordOverflow: 22,
  illegalParameter: 47,
  decodeError: 50,
  userCanceled: 90,
} as const;

export type Alert = Exclude<(typeof alert)[keyof typeof alert], 0 | 90>;

/** In OpenSSL's words. */
export const alertName = (code: number): string => textAt(alertText(BigInt(code), 0n));
