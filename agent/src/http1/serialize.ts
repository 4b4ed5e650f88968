/**
 * HTTP/1.1 messages to bytes, always from the parsed form. Lines that were parsed in canonical form are copied in runs,
 * which is the same text that writing name and value one by one would give.
 */

import { hexDigits } from './character-classes.ts';
import { fieldStride, type Head, removedToken } from './head.ts';
import { methodText } from './known-headers.ts';

const encoder = new TextEncoder();
const methodBytes: readonly Uint8Array[] = methodText.map((m) => encoder.encode(`${m} `));
const http11LineEnd = encoder.encode(' HTTP/1.1\r\n');

/** An upper bound of what the writers below need for this head. */
export function headCapacity(head: Head): number {
  return head.used + head.count * 4 + 256;
}

/** Copies without the fixed cost of a native call where the range is short. */
function copyBytes(from: Buffer, start: number, end: number, to: Buffer, at: number): number {
  const length = end - start;
  if (length > 48) from.copy(to, at, start, end);
  else for (let i = 0; i < length; i++) to[at + i] = from[start + i] as number;
  return at + length;
}

/** Writes bytes that never change; the position after them. */
export function writeBytes(bytes: Uint8Array, to: Buffer, at: number): number {
  for (let i = 0; i < bytes.length; i++) to[at + i] = bytes[i] as number;
  return at + bytes.length;
}

/** Request line and fields without the blank line; the position after them. `to` must have headCapacity. */
export function writeRequest(head: Head, to: Buffer, at: number): number {
  if (head.lineCanonical) return writeFields(head, to, at, 0, firstLine(head));
  let p = head.method === 0 ? writeMethod(head, to, at) : writeBytes(methodBytes[head.method] as Uint8Array, to, at);
  p = copyBytes(head.bytes, head.targetStart, head.targetEnd, to, p);
  p = writeBytes(http11LineEnd, to, p);
  return writeFields(head, to, p, 0, 0);
}

/** A method without a number, which only HTTP/2 lets through. */
function writeMethod(head: Head, to: Buffer, at: number): number {
  const p = copyBytes(head.bytes, head.methodStart, head.methodEnd, to, at);
  to[p] = 32;
  return p + 1;
}

/** End of a canonical request line: ` HTTP/1.1 CRLF` behind the target. */
function firstLine(head: Head): number {
  return head.targetEnd + http11LineEnd.length;
}

/** Fields from a head whose [runStart, runEnd) is to be copied first (both 0 for none). */
function writeFields(head: Head, to: Buffer, at: number, runStart: number, runEnd: number): number {
  const { bytes, fields } = head;
  const end = head.count * fieldStride;
  let start = runStart;
  let stop = runEnd;
  let p = at;
  for (let f = 0; f < end; f += fieldStride) {
    if (fields[f] === removedToken) continue;
    const line = fields[f + 5] as number;
    const name = fields[f + 1] as number;
    if (line !== 0) {
      if (name !== stop) {
        p = copyBytes(bytes, start, stop, to, p);
        start = name;
      }
      stop = line;
      continue;
    }
    p = copyBytes(bytes, start, stop, to, p);
    start = stop = 0;
    p = copyBytes(bytes, name, fields[f + 2] as number, to, p);
    to[p] = 58;
    to[p + 1] = 32;
    p = copyBytes(bytes, fields[f + 3] as number, fields[f + 4] as number, to, p + 2);
    to[p] = 13;
    to[p + 1] = 10;
    p += 2;
  }
  return copyBytes(bytes, start, stop, to, p);
}

/** All fields of a head, e.g. of trailers, without the blank line. */
export function writeAllFields(head: Head, to: Buffer, at: number): number {
  return writeFields(head, to, at, 0, 0);
}

const statusLines: (Uint8Array | undefined)[] = new Array(1000).fill(undefined);

/** Status line with the registry's phrase, asked for once for each status. */
export function writeStatusLine(status: number, phraseOf: (status: number) => string, to: Buffer, at: number): number {
  let line = statusLines[status];
  if (line === undefined) {
    line = encoder.encode(`HTTP/1.1 ${status} ${phraseOf(status)}\r\n`);
    if (status < 1000) statusLines[status] = line;
  }
  return writeBytes(line, to, at);
}

/** Size of the largest chunk header that frameChunk writes in front of the data. */
export const chunkHeaderRoom = 10;

/** Writes `size CRLF` in front of start and CRLF at end; where the chunk now starts. It ends at end + 2. */
export function frameChunk(b: Buffer, start: number, end: number): number {
  let p = start - 2;
  b[p] = 13;
  b[p + 1] = 10;
  let size = end - start;
  do {
    b[--p] = hexDigits[size & 15] as number;
    size >>>= 4;
  } while (size > 0);
  b[end] = 13;
  b[end + 1] = 10;
  return p;
}

/** `0 CRLF CRLF`. */
export const lastChunk: Uint8Array = encoder.encode('0\r\n\r\n');
