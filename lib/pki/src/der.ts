/**
 * The little DER (X.690) that certificates and requests need: a strict reader and a writer.
 * Invariant of the reader: every value lies inside its parent; lengths are definite and minimal. Imports nothing.
 */

export class DerError extends Error {}

export interface DerValue {
  readonly tag: number;
  /** The value alone. */
  readonly content: Uint8Array;
  /** Tag, length and value. */
  readonly whole: Uint8Array;
}

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

function readLength(bytes: Uint8Array, at: number): { readonly length: number; readonly next: number } {
  const first = bytes[at];
  if (first === undefined) throw new DerError('cut off in a length');
  if (first < 0x80) return { length: first, next: at + 1 };
  const count = first & 0x7f;
  if (count === 0 || count > 3) throw new DerError('a length is indefinite or larger than 16 MiB');
  let length = 0;
  for (let i = 1; i <= count; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) throw new DerError('cut off in a length');
    length = length * 256 + byte;
  }
  if (length < 0x80 || length < 256 ** (count - 1)) throw new DerError('a length is not in its shortest form');
  return { length, next: at + 1 + count };
}

function readAt(bytes: Uint8Array, at: number): { readonly value: DerValue; readonly next: number } {
  const tag = bytes[at];
  if (tag === undefined) throw new DerError('a value is missing');
  if ((tag & 0x1f) === 0x1f) throw new DerError('a tag has more than one byte');
  const { length, next } = readLength(bytes, at + 1);
  const end = next + length;
  if (end > bytes.length) throw new DerError('a value reaches beyond its parent');
  return { value: { tag, content: bytes.subarray(next, end), whole: bytes.subarray(at, end) }, next: end };
}

/** The one value that fills all the bytes. @throws DerError */
export function readDer(bytes: Uint8Array, tag?: number): DerValue {
  const { value, next } = readAt(bytes, 0);
  if (next !== bytes.length) throw new DerError('bytes follow the value');
  if (tag !== undefined && value.tag !== tag) throw new DerError(`expected tag ${tag}, found ${value.tag}`);
  return value;
}

/** The values inside a SEQUENCE, SET or constructed context tag. @throws DerError */
export function readChildren(content: Uint8Array): DerValue[] {
  const children: DerValue[] = [];
  for (let at = 0; at < content.length; ) {
    const { value, next } = readAt(content, at);
    children.push(value);
    at = next;
  }
  return children;
}

/** @throws DerError when it is absent or of another tag. */
export function expectTag(value: DerValue | undefined, tag: number, what: string): DerValue {
  if (value === undefined) throw new DerError(`${what} is missing`);
  if (value.tag !== tag) throw new DerError(`${what}: expected tag ${tag}, found ${value.tag}`);
  return value;
}

/** Dotted form of an object identifier. @throws DerError */
export function readOid(value: DerValue | undefined, what: string): string {
  const { content } = expectTag(value, tags.oid, what);
  const arcs: number[] = [];
  let arc = 0;
  for (const byte of content) {
    if (arc > 2 ** 40) throw new DerError(`${what}: an arc is too large`);
    arc = arc * 128 + (byte & 0x7f);
    if (byte & 0x80) continue;
    arcs.push(arc);
    arc = 0;
  }
  const [first, ...rest] = arcs;
  if (first === undefined || ((content[content.length - 1] ?? 0) & 0x80) !== 0) throw new DerError(`${what}: cut off`);
  const root = Math.min(Math.floor(first / 40), 2);
  return [root, first - root * 40, ...rest].join('.');
}

/** DER allows 00 and FF only (X.690 11.1). @throws DerError */
export function readBoolean(value: DerValue, what: string): boolean {
  const { content } = expectTag(value, tags.boolean, what);
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) throw new DerError(`${what}: not a boolean`);
  return content[0] === 0xff;
}

/** Milliseconds since the epoch, from the two forms RFC 5280 4.1.2.5 allows. @throws DerError */
export function readTime(value: DerValue | undefined, what: string): number {
  const text = value === undefined ? '' : String.fromCharCode(...value.content.subarray(0, 16));
  const form = value?.tag === tags.utcTime ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : undefined;
  const match = (form ?? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/).exec(text);
  if (match === null || (form === undefined && value?.tag !== tags.generalizedTime)) {
    throw new DerError(`${what}: not a time`);
  }
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const fullYear = form === undefined ? year : year + (year < 50 ? 2000 : 1900);
  const ms = Date.UTC(fullYear, month - 1, day, hour, minute, second);
  const back = new Date(ms);
  if (back.getUTCMonth() !== month - 1 || back.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59) {
    throw new DerError(`${what}: no such time`);
  }
  return ms;
}

/** One value: tag, shortest length, the parts in order. */
export function writeDer(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const size = parts.reduce((n, p) => n + p.length, 0);
  const lengthBytes: number[] = [];
  for (let n = size; n > 0; n = Math.floor(n / 256)) lengthBytes.unshift(n % 256);
  const header = size < 0x80 ? [tag, size] : [tag, 0x80 | lengthBytes.length, ...lengthBytes];
  return Buffer.concat([Uint8Array.from(header), ...parts]);
}

/** Object identifier from its dotted form. */
export function writeOid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc % 128];
    for (let n = Math.floor(arc / 128); n > 0; n = Math.floor(n / 128)) groups.unshift((n % 128) | 0x80);
    return groups;
  });
  return writeDer(tags.oid, Uint8Array.from(bytes));
}
