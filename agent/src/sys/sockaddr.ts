/** Addresses between text and struct sockaddr_in / sockaddr_in6. One scratch area per thread for the kernel's answers. */
import { addressOf } from './ffi.ts';
import { ipBytes } from './ip-text.ts';

export interface Sockaddr {
  readonly family: 4 | 6;
  /** Referenced as long as the address is used. */
  readonly bytes: Buffer;
  readonly address: bigint;
  readonly length: bigint;
}

export interface SocketAddress {
  readonly ip: string;
  readonly port: number;
}

/** RFC 5952 text of the 16 bytes at `at`. */
export function ipv6Text(bytes: Uint8Array, at: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[at + 2 * i] ?? 0) << 8) | (bytes[at + 2 * i + 1] ?? 0));
  if (groups.slice(0, 5).every((g) => g === 0) && groups[5] === 0xffff) {
    return `::ffff:${bytes[at + 12]}.${bytes[at + 13]}.${bytes[at + 14]}.${bytes[at + 15]}`;
  }
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let j = i;
    while (j < 8 && groups[j] === 0) j++;
    if (j - i > bestLength) {
      best = i;
      bestLength = j - i;
    }
    if (j > i) i = j - 1;
  }
  const hex = groups.map((g) => g.toString(16));
  if (best < 0) return hex.join(':');
  return `${hex.slice(0, best).join(':')}::${hex.slice(best + bestLength).join(':')}`;
}

/** Text of an address of 4 or 16 bytes; '' for any other length. */
export function ipText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  return bytes.length === 16 ? ipv6Text(bytes, 0) : '';
}

/** @throws RangeError when ip is not an IP address: the compiler of the configuration has checked it. */
export function sockaddrOf(ip: string, port: number): Sockaddr {
  const numbers = ipBytes(ip);
  if (numbers === null) throw new RangeError(`not an IP address: ${ip}`);
  const family = numbers.length === 4 ? 4 : 6;
  const bytes = Buffer.alloc(family === 4 ? 16 : 28);
  bytes.writeUInt16LE(family === 4 ? 2 : 10, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(numbers, family === 4 ? 4 : 8);
  return { family, bytes, address: addressOf(bytes), length: BigInt(bytes.length) };
}

/** Room for one sockaddr and its length, filled by the kernel. */
export const answer = Buffer.alloc(128);
export const answerAddress = addressOf(answer);
const answerLength = new Uint32Array(1);
export const answerLengthAddress = addressOf(answerLength);

/** To be called before each system call that fills `answer`. */
export function prepareAnswer(): void {
  answerLength[0] = 128;
}

/** Texts of IPv4 addresses seen lately: most connections come from few addresses, and a text is made of seven pieces. */
const textSlots = 256;
const textKeys = new Int32Array(textSlots);
const texts: string[] = new Array(textSlots).fill('0.0.0.0');

function ipv4Text(bytes: Uint8Array, at: number): string {
  const a = bytes[at] ?? 0;
  const b = bytes[at + 1] ?? 0;
  const c = bytes[at + 2] ?? 0;
  const d = bytes[at + 3] ?? 0;
  const key = (a << 24) | (b << 16) | (c << 8) | d;
  const slot = (d ^ (c << 4) ^ b) & (textSlots - 1);
  if (textKeys[slot] !== key) {
    textKeys[slot] = key;
    texts[slot] = `${a}.${b}.${c}.${d}`;
  }
  return texts[slot] ?? '';
}

/** What the kernel has put in `answer`. */
export function readAnswer(): SocketAddress {
  const port = ((answer[2] ?? 0) << 8) | (answer[3] ?? 0);
  if (answer[0] === 2) return { ip: ipv4Text(answer, 4), port };
  if (answer[0] === 10) return { ip: ipv6Text(answer, 8), port };
  return { ip: '', port: 0 };
}
