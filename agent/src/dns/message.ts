/**
 * DNS messages (RFC 1035, EDNS0 of RFC 6891) as far as a proxy needs them: the one question of a query, an answer with
 * addresses, and whether a resolver's answer belongs to what was asked.
 * Invariant: no input, however broken, throws or reads outside itself; what is no query gives a code or nothing.
 */

export const recordType = { A: 1, SOA: 6, AAAA: 28, OPT: 41 } as const;
export const responseCode = { noError: 0, formatError: 1, serverFailure: 2, nameError: 3, notImplemented: 4 } as const;
export type ResponseCode = (typeof responseCode)[keyof typeof responseCode];

export const headerBytes = 12;
const classInternet = 1;
const maxNameBytes = 255;
const maxLabelBytes = 63;
/** What we say we take over UDP, and the most we send: no larger, or it is fragmented (DNS flag day 2020). */
const ownUdpBytes = 1232;
const smallestUdpBytes = 512;

export interface Query {
  readonly id: number;
  readonly opcode: number;
  readonly recursionDesired: boolean;
  /** Lower case, without the last dot; '' is the root. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** End of the question section. */
  readonly questionEnd: number;
  readonly edns: boolean;
  /** Most bytes the client takes over UDP. */
  readonly maxBytes: number;
}

/** no-query: nothing to answer to. format-error: a query that is malformed. */
export type Parsed =
  | { readonly kind: 'query'; readonly query: Query }
  | { readonly kind: 'format-error'; readonly id: number }
  | { readonly kind: 'no-query' };

const noQuery: Parsed = { kind: 'no-query' };

export function parseQuery(message: Buffer): Parsed {
  if (message.length < headerBytes) return noQuery;
  const flags = message.readUInt16BE(2);
  if ((flags & 0x8000) !== 0) return noQuery;
  const id = message.readUInt16BE(0);
  const malformed: Parsed = { kind: 'format-error', id };
  if (message.readUInt16BE(4) !== 1) return malformed;
  const name = readName(message, headerBytes);
  if (name === null || name.end + 4 > message.length) return malformed;
  const payload = ednsPayload(message, name.end + 4);
  return {
    kind: 'query',
    query: {
      id,
      opcode: (flags >> 11) & 15,
      recursionDesired: (flags & 0x0100) !== 0,
      name: name.text,
      type: message.readUInt16BE(name.end),
      class: message.readUInt16BE(name.end + 2),
      questionEnd: name.end + 4,
      edns: payload !== null,
      maxBytes: Math.min(ownUdpBytes, Math.max(smallestUdpBytes, payload ?? 0)),
    },
  };
}

/** A name without compression, which has no place in a question. */
function readName(message: Buffer, start: number): { readonly text: string; readonly end: number } | null {
  let text = '';
  let at = start;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > maxLabelBytes) return null;
    at++;
    if (length === 0) return { text: text.toLowerCase(), end: at };
    if (at + length > message.length || at + length - start >= maxNameBytes) return null;
    // A dot inside a label must not look like one between labels.
    const label = message.toString('latin1', at, at + length).replaceAll('.', '\\.');
    text = text === '' ? label : `${text}.${label}`;
    at += length;
  }
}

/** Payload size of an OPT record right behind the question; null without one. */
function ednsPayload(message: Buffer, at: number): number | null {
  const additional = message.readUInt16BE(10);
  if (additional === 0 || at + 11 > message.length || message[at] !== 0) return null;
  return message.readUInt16BE(at + 1) === recordType.OPT ? message.readUInt16BE(at + 3) : null;
}

export interface Answer {
  readonly code: ResponseCode;
  /** In network byte order, 4 or 16 bytes each. */
  readonly addresses: readonly Buffer[];
  readonly ttlS: number;
  /** From a table of our own. */
  readonly authoritative: boolean;
}

/** overUdp: what the client cannot take is cut off and marked, so that it asks again over TCP. */
export function buildAnswer(message: Buffer, query: Query, answer: Answer, overUdp: boolean): Buffer {
  const whole = assemble(message, query, answer, answer.addresses, false);
  if (!overUdp || whole.length <= query.maxBytes) return whole;
  return assemble(message, query, answer, [], true);
}

function assemble(
  message: Buffer,
  query: Query,
  answer: Answer,
  addresses: readonly Buffer[],
  truncated: boolean,
): Buffer {
  const head = Buffer.alloc(headerBytes);
  head.writeUInt16BE(query.id, 0);
  let flags = 0x8080 | (query.opcode << 11) | answer.code;
  if (query.recursionDesired) flags |= 0x0100;
  if (answer.authoritative) flags |= 0x0400;
  if (truncated) flags |= 0x0200;
  head.writeUInt16BE(flags, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(addresses.length, 6);
  head.writeUInt16BE(query.edns ? 1 : 0, 10);
  const question = message.subarray(headerBytes, query.questionEnd);
  const records = addresses.map((address) => addressRecord(address, answer.ttlS));
  return Buffer.concat([head, question, ...records, ...(query.edns ? [optRecord] : [])]);
}

function addressRecord(address: Buffer, ttlS: number): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0); // the name of the question
  head.writeUInt16BE(address.length === 4 ? recordType.A : recordType.AAAA, 2);
  head.writeUInt16BE(classInternet, 4);
  head.writeUInt32BE(ttlS, 6);
  head.writeUInt16BE(address.length, 10);
  return Buffer.concat([head, address]);
}

const optRecord = Buffer.from([0, 0, recordType.OPT, ownUdpBytes >> 8, ownUdpBytes & 255, 0, 0, 0, 0, 0, 0]);

/** The answer to what could not even be read. */
export function buildFormatError(id: number): Buffer {
  const head = Buffer.alloc(headerBytes);
  head.writeUInt16BE(id, 0);
  head.writeUInt16BE(0x8080 | responseCode.formatError, 2);
  return head;
}

export interface AnswerFacts {
  readonly code: number;
  readonly truncated: boolean;
  readonly answers: number;
}

/** What a resolver's message says, or null unless it answers this question under this id. */
export function readAnswer(message: Buffer, asked: Buffer, questionEnd: number, id: number): AnswerFacts | null {
  if (message.length < headerBytes || message.readUInt16BE(0) !== id) return null;
  const flags = message.readUInt16BE(2);
  if ((flags & 0x8000) === 0) return null;
  const code = flags & 15;
  const questions = message.readUInt16BE(4);
  // Some servers leave out a question they could not read.
  if (questions === 0 && code === responseCode.noError) return null;
  if (questions > 1 || (questions === 1 && !sameQuestion(message, asked, questionEnd))) return null;
  return { code, truncated: (flags & 0x0200) !== 0, answers: message.readUInt16BE(6) };
}

/** Letters compare in any case: a resolver may play with it. */
function sameQuestion(message: Buffer, asked: Buffer, end: number): boolean {
  if (message.length < end) return false;
  for (let i = headerBytes; i < end; i++) if (lower(message[i] ?? 0) !== lower(asked[i] ?? 0)) return false;
  return true;
}

function lower(byte: number): number {
  return byte >= 65 && byte <= 90 ? byte + 32 : byte;
}
