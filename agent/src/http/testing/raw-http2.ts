/**
 * The other end of an HTTP/2 connection, frame by frame: what a test wants to send, right or wrong, and what came, with
 * its header blocks decoded. Knows no state beyond HPACK's.
 */
import { Head } from '../../http1/head.ts';
import { clientPreface, frameType } from '../../http2/frame.ts';
import { HeadAssembly } from '../../http2/head-assembly.ts';
import { HpackDecoder } from '../../http2/hpack-decoder.ts';
import type { FakeStream } from './fake-stream.ts';

export interface Frame {
  readonly type: string;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
  /** Of HEADERS: `name: value`, pseudo-headers as our head keeps them. */
  readonly fields: readonly string[];
  readonly status: number;
  readonly end: boolean;
}

type Fields = readonly (readonly [name: string, value: string])[];

const names = Object.fromEntries(Object.entries(frameType).map(([name, type]) => [type, name]));
const limits = { maxBytes: 1_000_000, maxHeaders: 1000 };

export function frame(
  type: keyof typeof frameType,
  flags: number,
  stream: number,
  payload: Buffer | string = '',
): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload;
  const head = Buffer.alloc(9);
  head.writeUIntBE(bytes.length, 0, 3);
  head[3] = frameType[type];
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, bytes]);
}

const text = (s: string): Buffer => {
  const bytes = Buffer.from(s, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const rest = bytes.length - 127;
  const length = rest < 128 ? [127, rest] : [127, 128 | (rest & 127), rest >> 7];
  return Buffer.concat([Buffer.from(length), bytes]);
};

/** A header block of literals that are not indexed. */
export const block = (fields: Fields): Buffer =>
  Buffer.concat(fields.map(([name, value]) => Buffer.concat([Buffer.from([0]), text(name), text(value)])));

/** HEADERS with END_HEADERS. */
export const headers = (stream: number, fields: Fields, end = true): Buffer =>
  frame('headers', end ? 5 : 4, stream, block(fields));

export const request = (path = '/', method = 'GET', more: Fields = []): Fields => [
  [':method', method],
  [':scheme', 'http'],
  [':path', path],
  [':authority', 'a'],
  ...more,
];

export const data = (stream: number, body: string, end = false): Buffer => frame('data', end ? 1 : 0, stream, body);

const numbers = (...values: readonly number[]): Buffer => {
  const b = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) b.writeUInt32BE(value, i * 4);
  return b;
};

export const reset = (stream: number, code: number): Buffer => frame('rstStream', 0, stream, numbers(code));
export const goaway = (last: number, code: number): Buffer => frame('goaway', 0, 0, numbers(last, code));
export const windowUpdate = (stream: number, bytes: number): Buffer => frame('windowUpdate', 0, stream, numbers(bytes));

export const settings = (values: readonly (readonly [id: number, value: number])[] = []): Buffer => {
  const b = Buffer.alloc(values.length * 6);
  for (const [i, [id, value]] of values.entries()) {
    b.writeUInt16BE(id, i * 6);
    b.writeUInt32BE(value, i * 6 + 2);
  }
  return frame('settings', 0, 0, b);
};

export class RawPeer {
  readonly stream: FakeStream;
  readonly #decoder = new HpackDecoder();
  readonly #assembly = new HeadAssembly(limits);
  readonly #answers: boolean;
  #rest = Buffer.alloc(0);
  #preface: number;

  /** answers: it plays the server, so that the preface comes first. */
  constructor(stream: FakeStream, answers: boolean) {
    this.stream = stream;
    this.#answers = answers;
    this.#preface = answers ? clientPreface.length : 0;
  }

  send(...frames: readonly Buffer[]): void {
    this.stream.feed(Buffer.concat(frames));
  }

  /** The client's first bytes. */
  hello(values: readonly (readonly [id: number, value: number])[] = []): void {
    this.send(...(this.#answers ? [] : [clientPreface]), settings(values));
  }

  /** What has come since the last call. */
  take(): readonly Frame[] {
    this.#rest = Buffer.concat([this.#rest, Buffer.from(this.stream.take(), 'latin1')]);
    const skip = Math.min(this.#preface, this.#rest.length);
    this.#preface -= skip;
    this.#rest = this.#rest.subarray(skip);
    const frames: Frame[] = [];
    while (this.#rest.length >= 9) {
      const length = this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < 9 + length) break;
      frames.push(this.#read(this.#rest.subarray(0, 9), this.#rest.subarray(9, 9 + length)));
      this.#rest = this.#rest.subarray(9 + length);
    }
    return frames;
  }

  /** Only those that mean something for requests. */
  messages(): readonly Frame[] {
    return this.take().filter((f) => ['headers', 'data', 'rstStream', 'goaway'].includes(f.type));
  }

  #read(head: Buffer, payload: Buffer): Frame {
    const type = names[head[3] ?? 0] ?? String(head[3]);
    const flags = head[4] ?? 0;
    const decoded = type === 'headers' ? this.#decode(payload) : { fields: [], status: 0 };
    const end = (type === 'headers' || type === 'data') && (flags & 1) === 1;
    return { type, flags, stream: head.readUInt32BE(5), payload: Buffer.from(payload), end, ...decoded };
  }

  #decode(payload: Buffer): Pick<Frame, 'fields' | 'status'> {
    const target = new Head();
    const kind = this.#answers ? 'request' : 'response';
    this.#assembly.begin(target, kind, limits, true);
    const padded = Buffer.concat([payload, Buffer.alloc(16)]);
    const view = new DataView(padded.buffer, padded.byteOffset, padded.length);
    if (!this.#decoder.decode(padded, view, 0, payload.length, this.#assembly)) throw new Error('undecodable block');
    const fields = Array.from({ length: target.count }, (_, i) => `${target.name(i)}: ${target.value(i)}`);
    const line = this.#answers ? [`${target.methodName()} ${target.text(target.targetStart, target.targetEnd)}`] : [];
    const protocol = target.text(target.protocolStart, target.protocolEnd);
    return {
      fields: [...line, ...(protocol === '' ? [] : [`:protocol ${protocol}`]), ...fields],
      status: target.status,
    };
  }
}
