/**
 * IP addresses and networks as whole numbers. An IPv4-mapped IPv6 address is the IPv4 address: a rule about 10.0.0.0/8
 * must see ::ffff:10.1.2.3.
 */
import { UserError } from '@chainmail/runtime/errors';
import { ipBytes } from '../sys/ip-text.ts';

/** words: one for IPv4, four for IPv6, each an unsigned 32-bit number. */
export interface IpNumber {
  readonly family: 4 | 6;
  readonly words: readonly number[];
}

export type CidrMatch = (ip: string) => boolean;

function numberOf(bytes: Uint8Array): IpNumber {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length === 4) return { family: 4, words: [view.getUint32(0)] };
  const words = [0, 4, 8, 12].map((at) => view.getUint32(at));
  const mapped = words[0] === 0 && words[1] === 0 && words[2] === 0xffff;
  return mapped ? { family: 4, words: words.slice(3) } : { family: 6, words };
}

/** Parses an address in text, a zone (`%eth0`) left off; null if it is none. */
export function parseIp(text: string): IpNumber | null {
  if (text === lastText) return lastIp;
  const bytes = ipBytes(text);
  const ip = bytes === null ? null : numberOf(bytes);
  lastText = text;
  lastIp = ip;
  return ip;
}

/** The rules of one request ask about the same address again and again. */
let lastText = '';
let lastIp: IpNumber | null = null;

/** A mask of the first `bits` bits (0..32) of a word. */
function maskOf(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? 0xffffffff : (0xffffffff << (32 - bits)) >>> 0;
}

function invalid(cidr: string): UserError {
  return new UserError('CIDR_INVALID', `'${cidr}' is no network`, { hint: 'write ADDRESS/LENGTH, e.g. 10.0.0.0/8' });
}

/** A network's length in bits of its family; a mapped network counts from its 96 leading bits. */
function lengthOf(cidr: string, address: string, length: string | undefined, ip: IpNumber): number {
  const written = address.includes(':') ? 128 : 32;
  if (length !== undefined && !/^\d{1,3}$/.test(length)) throw invalid(cidr);
  const bits = length === undefined ? written : Number(length);
  if (bits > written) throw invalid(cidr);
  return written === 128 && ip.family === 4 ? Math.max(0, bits - 96) : bits;
}

/**
 * Compiles `address/length` (or an address alone); host bits are ignored as Envoy does.
 * @throws UserError CIDR_INVALID
 */
export function compileCidr(cidr: string): CidrMatch {
  const [address = '', length, ...rest] = cidr.split('/');
  const network = parseIp(address);
  if (network === null || rest.length > 0) throw invalid(cidr);
  const bits = lengthOf(cidr, address, length, network);
  const masks = network.words.map((_, i) => maskOf(bits - 32 * i));
  const wanted = network.words.map((word, i) => (word & (masks[i] ?? 0)) >>> 0);
  const inside = (ip: IpNumber): boolean =>
    ip.family === network.family && wanted.every((word, i) => ((ip.words[i] ?? 0) & (masks[i] ?? 0)) >>> 0 === word);
  return (text) => {
    const ip = parseIp(text);
    return ip !== null && inside(ip);
  };
}
