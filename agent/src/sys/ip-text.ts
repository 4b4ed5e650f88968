/**
 * IP addresses in text, by the C library (inet_pton): one opinion for configuration, policy and wire. Says what node:net
 * says, which would cost a worker 0.2 MB.
 */
import { pin } from './ffi.ts';
import { inetPton } from './libc.ts';

const families = { 4: 2n, 6: 10n } as const;
/** A text of an IPv6 address has at most 45 characters. */
const text = Buffer.alloc(48);
const textAddress = pin(text);
const answer = new Uint8Array(16);
const answerAddress = pin(answer);
const zone = /^[0-9a-zA-Z.:-]+$/;

function parses(address: string, family: 4 | 6): boolean {
  if (address.length >= text.length || /[^0-9a-fA-F.:]/.test(address)) return false;
  text[text.write(address, 'latin1')] = 0;
  return inetPton(families[family], textAddress, answerAddress) === 1;
}

/** A dotted quad without leading zeros. */
export function isIPv4(address: string): boolean {
  return parses(address, 4);
}

/** With an embedded dotted quad, and with a zone (`fe80::1%eth0`). */
export function isIPv6(address: string): boolean {
  const percent = address.indexOf('%');
  if (percent < 0) return parses(address, 6);
  return zone.test(address.slice(percent + 1)) && parses(address.slice(0, percent), 6);
}

export function isIP(address: string): boolean {
  return isIPv4(address) || isIPv6(address);
}

/** The 4 or 16 bytes of an address in network order, a zone left off; null where the text is no address. */
export function ipBytes(address: string): Uint8Array | null {
  if (isIPv4(address)) return answer.slice(0, 4);
  return isIPv6(address) ? answer.slice() : null;
}
