/**
 * HTTP/1.1 heads from bytes in one pass, without a string: a request line or status line, then fields (RFC 9112).
 * Stateless: a head that is not complete gives 0 and is parsed again when a line has ended since, which the limits on
 * size and number of fields bound. Names are made lower case in place; offsets in the Head count from `start`.
 * One idea and therefore one file: what is a well-formed head. Everything ambiguous is refused, for a peer may read it
 * differently.
 */

import { hostByte, targetByte, targetMark, tokenLower, valueByte } from './character-classes.ts';
import { type Head, pathMark } from './head.ts';
import { findHeader, findMethod, hashStep, lastFramingToken, method, token } from './known-headers.ts';
import { rejected } from './rejection.ts';

const tab = 9;
const lf = 10;
const cr = 13;
const space = 32;
const colon = 58;
const malformed = rejected.malformed;

export interface HeadLimits {
  readonly maxBytes: number;
  readonly maxHeaders: number;
}

/** Envoy's for answers over HTTP/1.1, whose heads may be larger than those of requests. */
export const defaultResponseLimits: HeadLimits = { maxBytes: 80 * 1024, maxHeaders: 100 };

/**
 * Parses a request head in [start, end). Result: its length with the blank line, 0 when more is needed, or a negative
 * code of rejection.ts.
 */
export function parseRequestHead(b: Uint8Array, start: number, end: number, head: Head, limits: HeadLimits): number {
  head.reset();
  const fields = requestLine(b, start, end, head);
  const result = fields > 0 ? parseFields(b, start, fields, end, head, limits.maxHeaders, false) : fields;
  if (result === 0) return end - start > limits.maxBytes ? rejected.tooLarge : 0;
  if (result < 0) return result;
  if (result > limits.maxBytes) return rejected.tooLarge;
  return checkRequest(b, start, head) || result;
}

/** Parses a response head; as parseRequestHead, and lenient where an upstream's line ends are sloppy (bare LF, folding). */
export function parseResponseHead(b: Uint8Array, start: number, end: number, head: Head, limits: HeadLimits): number {
  head.reset();
  const fields = statusLine(b, start, end, head);
  const result = fields > 0 ? parseFields(b, start, fields, end, head, limits.maxHeaders, true) : fields;
  if (result === 0) return end - start > limits.maxBytes ? rejected.tooLarge : 0;
  if (result < 0) return result;
  if (result > limits.maxBytes) return rejected.tooLarge;
  return checkResponse(head) || result;
}

/** Parses a trailer section in [start, end), with its blank line. */
export function parseTrailers(b: Uint8Array, start: number, end: number, head: Head, limits: HeadLimits): number {
  head.reset();
  return parseFields(b, start, start, end, head, limits.maxHeaders, false);
}

/** Absolute position after the request line, 0 when more is needed, or a code. */
function requestLine(b: Uint8Array, start: number, end: number, head: Head): number {
  let p = start;
  let c = 0;
  let hash = 0;
  while (p < end && (c = b[p] as number) >= 65 && c <= 90) {
    hash = hashStep(hash, c);
    p++;
  }
  if (p >= end) return 0;
  if (c !== space && c !== tab) return malformed;
  head.method = findMethod(hash, b, start, p);
  if (head.method === 0) return malformed;
  const methodEnd = p;
  while (p < end && ((c = b[p] as number) === space || c === tab)) p++;
  head.targetStart = p - start;
  const marks = targetMarks(b, p, end, head, start);
  p = start + head.targetEnd;
  if (p >= end) return 0;
  c = b[p] as number;
  if (head.targetEnd === head.targetStart) return malformed;
  if (c === lf || c === cr) return rejected.lowVersion;
  if (c !== space && c !== tab) return malformed;
  head.pathMarks = marks;
  while (p < end && ((c = b[p] as number) === space || c === tab)) p++;
  const after = versionAndLineEnd(b, p, end, head);
  if (after <= 0) return after;
  if (head.version !== 11 && head.version !== 10) return rejected.lowVersion;
  const single = methodEnd + 1 === start + head.targetStart && start + head.targetEnd + 1 === p;
  const spaced = b[methodEnd] === space && b[p - 1] === space;
  head.lineCanonical = single && spaced && head.version === 11;
  return after;
}

/**
 * Scans the target, sets targetEnd (where the first byte that cannot be in one stands) and queryStart, and gives the
 * marks of its path; a `#` is marked as fragment.
 */
export function targetMarks(b: Uint8Array, from: number, end: number, head: Head, start: number): number {
  let p = from;
  let marks = 0;
  let query = -1;
  let kind = 0;
  while (p < end && (kind = targetByte[b[p] as number] as number) !== 0) {
    if (kind !== targetMark.plain) {
      if (kind === targetMark.fragment) marks |= fragmentMark;
      else if (query >= 0) {
        // Marks of the query are of no interest.
      } else if (kind === targetMark.query) query = p;
      else if (kind === targetMark.percent) marks |= pathMark.percent;
      else if (kind === targetMark.backslash) marks |= pathMark.backslash;
      else if (p + 1 < end && b[p + 1] === 46) marks |= pathMark.dotAfterSlash;
      else if (p + 1 < end && b[p + 1] === 47) marks |= pathMark.doubleSlash;
    }
    p++;
  }
  head.targetEnd = p - start;
  head.queryStart = query < 0 ? head.targetEnd : query - start;
  return marks;
}

const fragmentMark = pathMark.fragment;
const versionPrefix = new TextEncoder().encode('HTTP/');

function isDigit(c: number): boolean {
  return c >= 48 && c <= 57;
}

/** `HTTP/d.d` at p sets head.version; 8 when it is there, 0 when more is needed, or malformed. */
function versionText(b: Uint8Array, p: number, end: number, head: Head): number {
  for (let i = 0; i < 5; i++) {
    if (p + i >= end) return 0;
    if (b[p + i] !== versionPrefix[i]) return malformed;
  }
  if (p + 5 < end && !isDigit(b[p + 5] as number)) return malformed;
  if (p + 6 < end && b[p + 6] !== 46) return malformed;
  if (p + 7 >= end) return 0;
  if (!isDigit(b[p + 7] as number)) return malformed;
  head.version = ((b[p + 5] as number) - 48) * 10 + (b[p + 7] as number) - 48;
  return 8;
}

function versionAndLineEnd(b: Uint8Array, p: number, end: number, head: Head): number {
  const text = versionText(b, p, end, head);
  if (text <= 0) return text;
  if (p + 8 >= end) return 0;
  if (b[p + 8] !== cr) return malformed;
  if (p + 9 >= end) return 0;
  return b[p + 9] === lf ? p + 10 : malformed;
}

function statusLine(b: Uint8Array, start: number, end: number, head: Head): number {
  const text = versionText(b, start, end, head);
  if (text <= 0) return text;
  let p = start + 8;
  if (p >= end) return 0;
  if (b[p] !== space) return malformed;
  p++;
  for (let i = 0; i < 3; i++, p++) {
    if (p >= end) return 0;
    if (!isDigit(b[p] as number)) return malformed;
    head.status = head.status * 10 + (b[p] as number) - 48;
  }
  if (head.status < 100) return malformed;
  if (p >= end) return 0;
  if (b[p] === space) p++;
  else if (b[p] !== cr && b[p] !== lf) return malformed;
  head.reasonStart = p - start;
  while (p < end && valueByte[b[p] as number] === 1) p++;
  if (p >= end) return 0;
  head.reasonEnd = p - start;
  if (b[p] === lf) return p + 1;
  if (b[p] !== cr) return malformed;
  if (p + 1 >= end) return 0;
  return b[p + 1] === lf ? p + 2 : malformed;
}

/** Fields and the blank line from `from` on; the length from `start`, 0, or a code. */
function parseFields(
  b: Uint8Array,
  start: number,
  from: number,
  end: number,
  head: Head,
  maxHeaders: number,
  lenient: boolean,
): number {
  let p = from;
  let c = 0;
  for (;;) {
    if (p >= end) return 0;
    c = b[p] as number;
    if (c === cr) {
      if (p + 1 >= end) return 0;
      if (b[p + 1] !== lf) return malformed;
      head.fieldsEnd = p - start;
      return p + 2 - start;
    }
    if (lenient && c === lf) {
      head.fieldsEnd = p - start;
      return p + 1 - start;
    }
    const nameStart = p;
    let hash = 0;
    while (p < end && (c = tokenLower[b[p] as number] as number) !== 0) {
      b[p] = c;
      hash = hashStep(hash, c);
      p++;
    }
    if (p >= end) return 0;
    if (b[p] !== colon || p === nameStart) return malformed;
    const nameEnd = p++;
    while (p < end && ((c = b[p] as number) === space || c === tab)) p++;
    const valueStart = p;
    while (p < end && valueByte[b[p] as number] === 1) p++;
    if (p >= end) return 0;
    let valueEnd = p;
    let canonical = valueStart === nameEnd + 2 && b[nameEnd + 1] === space;
    if (b[p] === cr) {
      if (p + 1 >= end) return 0;
      if (b[p + 1] !== lf) return malformed;
      p += 2;
    } else if (lenient && b[p] === lf) {
      p++;
      canonical = false;
    } else return malformed;
    if (lenient) {
      const folded = unfold(b, p, end);
      if (folded <= 0) return folded;
      if (folded !== p) {
        canonical = false;
        p = folded;
        valueEnd = folded - 1;
      }
    }
    while (valueEnd > valueStart && ((c = b[valueEnd - 1] as number) === space || c === tab || c === cr || c === lf)) {
      valueEnd--;
      canonical = false;
    }
    if (head.count >= maxHeaders) return rejected.tooManyHeaders;
    const known = findHeader(hash, b, nameStart, nameEnd);
    const line = canonical ? p - start : 0;
    head.push(known, nameStart - start, nameEnd - start, valueStart - start, valueEnd - start, line);
    if (known !== 0 && known <= lastFramingToken && !noteFraming(b, known, valueStart, valueEnd, head)) {
      return malformed;
    }
  }
}

/** Joins continuation lines to the line that ended before p; the position after them, 0, or malformed. */
function unfold(b: Uint8Array, p: number, end: number): number {
  let at = p;
  for (;;) {
    if (at >= end) return 0;
    if (b[at] !== space && b[at] !== tab) return at;
    for (let i = at - 1; b[i] === cr || b[i] === lf; i--) b[i] = space;
    while (at < end && valueByte[b[at] as number] === 1) at++;
    if (at >= end) return 0;
    if (b[at] === cr) {
      if (at + 1 >= end) return 0;
      if (b[at + 1] !== lf) return malformed;
      at += 2;
    } else if (b[at] === lf) at++;
    else return malformed;
  }
}

/** Takes note of a field that decides about framing or the connection; false when its value is not acceptable. */
function noteFraming(b: Uint8Array, known: number, start: number, end: number, head: Head): boolean {
  switch (known) {
    case token.host:
      return isHost(b, start, end);
    case token['content-length']:
      return noteContentLength(b, start, end, head);
    case token['transfer-encoding']:
      head.transferEncodings++;
      head.chunked = head.transferEncodings === 1 && isWord(b, start, end, chunkedWord);
      return true;
    case token.connection:
      noteConnection(b, start, end, head);
      return true;
    case token.expect:
      head.expectContinue = isWord(b, start, end, continueWord);
      return true;
    default:
      return true;
  }
}

const encoder = new TextEncoder();
const chunkedWord = encoder.encode('chunked');
const continueWord = encoder.encode('100-continue');
const closeWord = encoder.encode('close');
const keepAliveWord = encoder.encode('keep-alive');
const upgradeWord = encoder.encode('upgrade');

/** Whether [start, end) is the lower-case word in any case. */
export function isWord(b: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) if (tokenLower[b[start + i] as number] !== word[i]) return false;
  return true;
}

/** Whether [start, end) may be the value of Host or :authority. */
export function isHost(b: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (hostByte[b[i] as number] === 0) return false;
  return true;
}

/** At most 15 digits, so that the number is exact. A repeated equal one is judged by the caller through `repeats`. */
export function noteContentLength(b: Uint8Array, start: number, end: number, head: Head): boolean {
  if (end === start || end - start > 15) return false;
  let n = 0;
  for (let i = start; i < end; i++) {
    const digit = (b[i] as number) - 48;
    if (digit < 0 || digit > 9) return false;
    n = n * 10 + digit;
  }
  if (head.contentLength >= 0 && head.contentLength !== n) return false;
  head.contentLength = n;
  return true;
}

function noteConnection(b: Uint8Array, start: number, end: number, head: Head): void {
  let p = start;
  while (p < end) {
    let wordEnd = p;
    while (wordEnd < end && b[wordEnd] !== 44) wordEnd++;
    const next = wordEnd + 1;
    while (p < wordEnd && (b[p] === space || b[p] === tab)) p++;
    while (wordEnd > p && (b[wordEnd - 1] === space || b[wordEnd - 1] === tab)) wordEnd--;
    if (isWord(b, p, wordEnd, closeWord)) head.connectionClose = true;
    else if (isWord(b, p, wordEnd, keepAliveWord)) head.connectionKeepAlive = true;
    else if (isWord(b, p, wordEnd, upgradeWord)) head.connectionUpgrade = true;
    else if (wordEnd > p) head.connectionNames = true;
    p = next;
  }
}

function repeats(head: Head, known: number): boolean {
  const first = head.find(known);
  return first >= 0 && head.find(known, first + 1) >= 0;
}

/** What can only be judged with all fields in hand: 0, or a code. */
function checkRequest(b: Uint8Array, start: number, head: Head): number {
  if (repeats(head, token.host) || repeats(head, token['content-length'])) return malformed;
  if (head.transferEncodings > 0) {
    if (head.contentLength >= 0 || head.version === 10) return malformed;
    if (!head.chunked) return rejected.transferEncoding;
  }
  const target = checkTarget(b, start, head);
  if (target !== 0) return target;
  if ((head.pathMarks & fragmentMark) !== 0) return rejected.fragment;
  if (head.version === 11 && !head.has(token.host) && head.authorityEnd === head.authorityStart) {
    return rejected.missingHost;
  }
  return 0;
}

function checkResponse(head: Head): number {
  const framed = head.transferEncodings > 0;
  if (framed && (head.contentLength >= 0 || !head.chunked || head.version === 10)) return malformed;
  if (head.status === 204 && (framed || head.contentLength >= 0)) return malformed;
  return 0;
}

/** Origin form, `*` for OPTIONS, authority form for CONNECT, or absolute form, which is split. */
function checkTarget(b: Uint8Array, start: number, head: Head): number {
  const from = start + head.targetStart;
  const first = b[from];
  if (head.method === method.CONNECT) return first === 47 || first === 42 ? malformed : 0;
  if (first === 47) return 0;
  if (first === 42) {
    return head.method === method.OPTIONS && head.targetEnd === head.targetStart + 1 ? 0 : malformed;
  }
  return splitAbsolute(b, start, head);
}

const schemes = [encoder.encode('http://'), encoder.encode('https://')] as const;

function schemeLength(b: Uint8Array, from: number, end: number): number {
  for (const scheme of schemes) {
    let i = 0;
    while (i < scheme.length && from + i < end && ((b[from + i] as number) | 0x20) === ((scheme[i] as number) | 0x20))
      i++;
    if (i === scheme.length) return i;
  }
  return 0;
}

/** http://authority/path: the authority must be that of the Host field, or two readers could disagree about it. */
function splitAbsolute(b: Uint8Array, start: number, head: Head): number {
  const end = start + head.targetEnd;
  const skip = schemeLength(b, start + head.targetStart, end);
  if (skip === 0) return malformed;
  let authority = start + head.targetStart + skip;
  let p = authority;
  while (p < end && b[p] !== 47 && b[p] !== 63 && b[p] !== 35) {
    if (b[p] === 64) authority = p + 1;
    p++;
  }
  if (p === authority || !isHost(b, authority, p)) return malformed;
  head.authorityStart = authority - start;
  head.authorityEnd = p - start;
  head.targetStart = p - start;
  head.lineCanonical = false;
  if (p < end && b[p] === 47 && p + 1 < end && b[p + 1] === 46) head.pathMarks |= pathMark.dotAfterSlash;
  head.pathMarks &= ~pathMark.doubleSlash | (hasDoubleSlash(b, p, start + head.queryStart) ? pathMark.doubleSlash : 0);
  return sameHost(b, start, head) ? 0 : malformed;
}

function hasDoubleSlash(b: Uint8Array, from: number, end: number): boolean {
  for (let i = from; i + 1 < end; i++) if (b[i] === 47 && b[i + 1] === 47) return true;
  return false;
}

function sameHost(b: Uint8Array, start: number, head: Head): boolean {
  const index = head.find(token.host);
  if (index < 0) return true;
  const from = start + (head.fields[index * 6 + 3] as number);
  const length = start + (head.fields[index * 6 + 4] as number) - from;
  if (length !== head.authorityEnd - head.authorityStart) return false;
  const authority = start + head.authorityStart;
  for (let i = 0; i < length; i++) {
    const x = b[from + i] as number;
    const y = b[authority + i] as number;
    if (x !== y && (tokenLower[x] === 0 || tokenLower[x] !== tokenLower[y])) return false;
  }
  return true;
}
