/**
 * DNS messages (RFC 1035) as far as a cluster's resolver needs them: one question in, addresses or a negative answer
 * out. Invariant: no input, however broken, throws; what cannot be parsed is undefined and gets no answer.
 */

export const recordTypes = { A: 1, NS: 2, CNAME: 5, SOA: 6, SRV: 33, AAAA: 28, ANY: 255 } as const;
const responseCodes = { noError: 0, formatError: 1, nameError: 3, notImplemented: 4, refused: 5 } as const;

export interface Question {
  readonly id: number;
  readonly recursionDesired: boolean;
  readonly opcode: number;
  /** Lower case, without the last dot. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** The question section as it came, echoed back so that 0x20 case games survive. */
  readonly raw: Buffer;
  /** UDP payload the client takes (EDNS0, RFC 6891), 512 without. */
  readonly maxBytes: number;
  readonly edns: boolean;
}

export type Answer =
  | { readonly code: 'noError'; readonly addresses: readonly string[] }
  | { readonly code: 'nameError' }
  | { readonly code: 'notImplemented' };

/** Short: pods come and go, and nothing here is far away. */
const ttlSeconds = 5;
const headerBytes = 12;

function readName(message: Buffer, start: number): { readonly name: string; readonly end: number } | undefined {
  const labels: string[] = [];
  let at = start;
  let total = 0;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63) return undefined; // a pointer has no business in a question
    at++;
    if (length === 0) return { name: labels.join('.').toLowerCase(), end: at };
    total += length + 1;
    if (total > 254 || at + length > message.length) return undefined;
    labels.push(message.toString('latin1', at, at + length));
    at += length;
  }
}

/** EDNS0 right behind the only question; anything else in the additional section is passed over. */
function ednsSize(message: Buffer, at: number): number | undefined {
  const hasOpt = message.readUInt16BE(10) > 0 && message[at] === 0 && at + 11 <= message.length;
  return hasOpt && message.readUInt16BE(at + 1) === 41 ? message.readUInt16BE(at + 3) : undefined;
}

export function parseQuestion(message: Buffer): Question | undefined {
  if (message.length < headerBytes) return undefined;
  const flags = message.readUInt16BE(2);
  if ((flags & 0x8000) !== 0 || message.readUInt16BE(4) !== 1) return undefined;
  const name = readName(message, headerBytes);
  if (name === undefined || name.end + 4 > message.length) return undefined;
  const edns = ednsSize(message, name.end + 4);
  return {
    id: message.readUInt16BE(0),
    recursionDesired: (flags & 0x0100) !== 0,
    opcode: (flags >> 11) & 15,
    name: name.name,
    type: message.readUInt16BE(name.end),
    class: message.readUInt16BE(name.end + 2),
    raw: message.subarray(headerBytes, name.end + 4),
    maxBytes: Math.min(4096, Math.max(512, edns ?? 512)),
    edns: edns !== undefined,
  };
}

function addressBytes(address: string): Buffer {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right];
  return Buffer.concat(groups.map((g) => Buffer.from(g.padStart(4, '0'), 'hex')));
}

function record(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0); // the name of the question
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(ttlSeconds, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

/** A negative answer needs a SOA for its time to live (RFC 2308); serial and intervals mean nothing here. */
function soa(): Buffer {
  const numbers = Buffer.alloc(20);
  for (const [i, n] of [1, 3600, 600, 86400, ttlSeconds].entries()) numbers.writeUInt32BE(n, i * 4);
  return record(recordTypes.SOA, Buffer.concat([Buffer.from([0xc0, 0x0c, 0xc0, 0x0c]), numbers]));
}

const optRecord = Buffer.from([0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);

function answerRecords(question: Question, answer: Answer): Buffer[] {
  if (answer.code !== 'noError') return [];
  const wanted = answer.addresses.filter((a) => (a.includes(':') ? recordTypes.AAAA : recordTypes.A) === question.type);
  return wanted.map((a) => record(question.type, addressBytes(a)));
}

/** The response; `overUdp` truncates (TC) what the client could not take, so that it asks again over TCP. */
export function encodeResponse(question: Question, answer: Answer, overUdp: boolean): Buffer {
  const records = answerRecords(question, answer);
  const build = (answers: readonly Buffer[], truncated: boolean): Buffer => {
    const negative = answers.length === 0 && !truncated && answer.code !== 'notImplemented' ? [soa()] : [];
    const head = Buffer.alloc(headerBytes);
    head.writeUInt16BE(question.id, 0);
    const flags =
      0x8400 | (question.opcode << 11) | (truncated ? 0x0200 : 0) | (question.recursionDesired ? 0x0100 : 0);
    head.writeUInt16BE(flags | 0x0080 | responseCodes[answer.code], 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(answers.length, 6);
    head.writeUInt16BE(negative.length, 8);
    head.writeUInt16BE(question.edns ? 1 : 0, 10);
    return Buffer.concat([head, question.raw, ...answers, ...negative, ...(question.edns ? [optRecord] : [])]);
  };
  const whole = build(records, false);
  return overUdp && whole.length > question.maxBytes ? build([], true) : whole;
}
