/**
 * Lists of ports and CIDRs that interception leaves alone, as they stand in an annotation or on a command line.
 * The injector refuses a pod, and mesh-init its start, by the same rules.
 */
import net from 'node:net';
import { UserError } from './errors.ts';

export interface CidrRange {
  readonly family: 'v4' | 'v6';
  /** address/prefix, with a prefix also where a bare address was given. */
  readonly text: string;
}

/** Above this a list is a mistake, and the rules would slow down every new connection. */
const maxEntries = 256;

/**
 * Ports of a comma-separated list, sorted, each once.
 * @param what the flag or annotation, for the message
 * @throws UserError EXCLUSION_INVALID, naming the entry
 */
export function parsePortList(text: string, what: string): readonly number[] {
  const ports = entries(text, what).map((entry) => {
    const port = /^[0-9]{1,5}$/.test(entry) ? Number(entry) : 0;
    if (port < 1 || port > 65535) throw invalid(what, entry, 'is not a port from 1 to 65535');
    return port;
  });
  return [...new Set(ports)].sort((a, b) => a - b);
}

/**
 * IPv4 and IPv6 ranges of a comma-separated list, each once, in the order given.
 * @throws UserError EXCLUSION_INVALID, naming the entry; also where bits are set behind the prefix
 */
export function parseCidrList(text: string, what: string): readonly CidrRange[] {
  const ranges = entries(text, what).map((entry) => cidr(entry, what));
  return ranges.filter((r, i) => ranges.findIndex((o) => o.text === r.text) === i);
}

function entries(text: string, what: string): readonly string[] {
  const list = text.trim() === '' ? [] : text.split(',').map((e) => e.trim());
  if (list.length > maxEntries) {
    throw new UserError('EXCLUSION_INVALID', `${what}: ${list.length} entries, at most ${maxEntries} are allowed`);
  }
  return list;
}

function cidr(entry: string, what: string): CidrRange {
  const [address = '', prefixText, ...rest] = entry.split('/');
  const family = net.isIPv4(address) ? 'v4' : net.isIPv6(address) && !address.includes('%') ? 'v6' : undefined;
  if (family === undefined || rest.length > 0) throw invalid(what, entry, 'is not an IP address or CIDR');
  const width = family === 'v4' ? 32 : 128;
  if (prefixText !== undefined && !/^[0-9]{1,3}$/.test(prefixText)) throw invalid(what, entry, 'has no valid prefix');
  const prefix = prefixText === undefined ? width : Number(prefixText);
  if (prefix > width) throw invalid(what, entry, `has a prefix above ${width}`);
  const hostBits = BigInt(width - prefix);
  if ((bits(address, family) & ((1n << hostBits) - 1n)) !== 0n) {
    throw invalid(what, entry, 'has bits set behind its prefix; write the first address of the range');
  }
  return { family, text: `${address}/${prefix}` };
}

/** The address as a number of 32 or 128 bits. */
function bits(address: string, family: 'v4' | 'v6'): bigint {
  if (family === 'v4') return address.split('.').reduce((n, part) => (n << 8n) | BigInt(part), 0n);
  const [head = '', tail] = withHexTail(address).split('::');
  const groups = (part: string | undefined): string[] => (part ? part.split(':') : []);
  const [left, right] = [groups(head), groups(tail)];
  const zeros = Array<string>(tail === undefined ? 0 : 8 - left.length - right.length).fill('0');
  return [...left, ...zeros, ...right].reduce((n, g) => (n << 16n) | BigInt(`0x${g}`), 0n);
}

/** `::ffff:10.0.0.1` with its IPv4 tail as two groups (RFC 4291, 2.2). */
function withHexTail(address: string): string {
  return address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((n) => n.toString(16)).join(':'),
  );
}

function invalid(what: string, entry: string, why: string): UserError {
  return new UserError('EXCLUSION_INVALID', `${what}: '${entry}' ${why}`);
}
