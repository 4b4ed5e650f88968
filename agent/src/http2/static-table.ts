/**
 * The static table of HPACK (RFC 7541 appendix A) as header lines in one buffer, and what each name means to us.
 * Invariant: index 1 to 61; the line of entry i is `name: value CRLF` at lineAt[i].
 */
import { hashStep, tokenOf } from '../http1/known-headers.ts';
import { equalWords, padded, viewOf } from '../http1/words.ts';

const entries: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
];

export const staticCount = 61;

/** Tokens beyond those of http1/known-headers.ts: what only HTTP/2 has, and what cannot be in any message. */
export const pseudo = {
  authority: 64,
  method: 65,
  path: 66,
  scheme: 67,
  status: 68,
  protocol: 69,
  /** A name that begins with a colon and is none of these. */
  unknown: 70,
  /** A name or value that no message may have; its entry may still be in a table. */
  invalid: 71,
} as const;

export const firstPseudo: number = pseudo.authority;

const pseudoTokens: Readonly<Record<string, number>> = {
  ':authority': pseudo.authority,
  ':method': pseudo.method,
  ':path': pseudo.path,
  ':scheme': pseudo.scheme,
  ':status': pseudo.status,
  ':protocol': pseudo.protocol,
};

/** Token of a pseudo-header's name (the colon included) in [start, end). */
export function pseudoToken(b: Buffer, start: number, end: number): number {
  return end - start > 10 ? pseudo.unknown : (pseudoTokens[b.toString('latin1', start, end)] ?? pseudo.unknown);
}

const lines = entries.map(([name, value]) => `${name}: ${value}\r\n`);
/** With slack behind them, for copies by words. */
export const staticLines: Buffer = padded(lines.join(''));
export const staticView: DataView = viewOf(staticLines);

export const lineAt = new Int32Array(staticCount + 2);
export const nameLength = new Int32Array(staticCount + 1);
export const valueLength = new Int32Array(staticCount + 1);
export const staticToken = new Int32Array(staticCount + 1);

const slots = new Uint8Array(256);

function slotOf(hash: number): number {
  return (hash ^ (hash >>> 8) ^ (hash >>> 17)) & 255;
}

entries.forEach(([name, value], i) => {
  const index = i + 1;
  nameLength[index] = name.length;
  valueLength[index] = value.length;
  staticToken[index] = name.startsWith(':') ? (pseudoTokens[name] ?? 0) : tokenOf(name);
  lineAt[index + 1] = (lineAt[index] as number) + (lines[i] as string).length;
  if (entries[i - 1]?.[0] === name) return;
  let slot = slotOf(Buffer.from(name, 'latin1').reduce(hashStep, 0));
  while (slots[slot] !== 0) slot = (slot + 1) & 255;
  slots[slot] = index;
});

/** Index of the first entry with the name in [start, end), or 0. */
export function staticName(b: DataView, start: number, end: number): number {
  const length = end - start;
  let hash = 0;
  for (let i = start; i < end; i++) hash = hashStep(hash, b.getUint8(i));
  for (let slot = slotOf(hash); ; slot = (slot + 1) & 255) {
    const index = slots[slot] as number;
    if (index === 0) return 0;
    if (nameLength[index] !== length) continue;
    const at = lineAt[index] as number;
    if (equalWords(staticView, at, b, start, length)) return index;
  }
}

/** Entries that say something with no text worth keeping: method, scheme and status. */
export const isFixed = new Uint8Array(staticCount + 1);
for (const index of [2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14]) isFixed[index] = 1;

/** Status of the entries 8 to 14. */
export function fixedStatus(index: number): number {
  return fixedStatuses[index - 8] as number;
}

const fixedStatuses: readonly number[] = [200, 204, 206, 304, 400, 404, 500];
