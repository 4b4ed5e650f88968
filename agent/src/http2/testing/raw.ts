/** A peer that speaks in frames, byte by byte if need be, against one connection of ours; and what it gets to see. */
import { Head } from '../../http1/head.ts';
import { method } from '../../http1/known-headers.ts';
import { Http2Connection, type Http2ConnectionEvents } from '../connection.ts';
import { type Http2Counters, type Http2Stat, privateCounters } from '../counters.ts';
import { clientPreface, frameType, readUint31, readUint32 } from '../frame.ts';
import { defaultHttp2Options, type Http2Options } from '../options.ts';
import type { Role } from '../settings.ts';
import type { Http2Stream, Http2StreamEvents, ResetCause } from '../stream.ts';
import { fieldsOf, literals } from './hpack.ts';
import { Side } from './wire.ts';

export function frame(type: number, flags: number, id: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const b = Buffer.alloc(9 + payload.length);
  b.writeUIntBE(payload.length, 0, 3);
  b[3] = type;
  b[4] = flags;
  b.writeUInt32BE(id, 5);
  b.set(payload, 9);
  return b;
}

export const uint32 = (...values: readonly number[]): Buffer => {
  const b = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) b.writeUInt32BE(value >>> 0, i * 4);
  return b;
};

export const settings = (...pairs: readonly (readonly [id: number, value: number])[]): Buffer =>
  frame(4, 0, 0, Buffer.concat(pairs.map(([id, value]) => Buffer.concat([Buffer.from([0, id]), uint32(value)]))));

export const requestFields: readonly (readonly [string, string])[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':authority', 'a'],
  [':path', '/p'],
];

/** HEADERS of a request; flags 4 END_HEADERS, 5 with END_STREAM. */
export const request = (id: number, flags = 4, more: readonly (readonly [string, string])[] = []): Buffer =>
  frame(1, flags, id, literals(...requestFields, ...more));

export const response = (id: number, flags = 4, more: readonly (readonly [string, string])[] = []): Buffer =>
  frame(1, flags, id, literals([':status', '200'], ...more));

export const data = (id: number, flags: number, payload: string | Buffer): Buffer =>
  frame(0, flags, id, Buffer.from(payload as string));

export const reset = (id: number, code: number): Buffer => frame(3, 0, id, uint32(code));
export const windowUpdate = (id: number, n: number): Buffer => frame(8, 0, id, uint32(n));
export const goaway = (lastId: number, code: number): Buffer => frame(7, 0, 0, uint32(lastId, code));
export const ping = (flags = 0): Buffer => frame(6, flags, 0, Buffer.from('12345678'));

const names = Object.fromEntries(Object.entries(frameType).map(([name, type]) => [type, name]));

/** One frame as text: what a test wants to see of it. */
function describe(type: number, flags: number, id: number, payload: Buffer): string {
  const name = names[type] ?? `type ${type}`;
  if (type === frameType.rstStream) return `rstStream ${id} ${readUint32(payload, 0)}`;
  if (type === frameType.goaway) return `goaway ${readUint31(payload, 0)} ${readUint32(payload, 4)}`;
  if (type === frameType.windowUpdate) return `windowUpdate ${id} ${readUint32(payload, 0)}`;
  if (type === frameType.settings) return flags === 1 ? 'settings ack' : 'settings';
  if (type === frameType.ping) return flags === 1 ? 'ping ack' : 'ping';
  return `${name} ${id} ${payload.length}${(flags & 1) === 1 ? ' end' : ''}`;
}

/** Our end under test, with everything that happens to it in `log`. */
export class Rig implements Http2ConnectionEvents, Http2StreamEvents {
  readonly side: Side;
  readonly counters: Http2Counters = privateCounters();
  readonly connection: Http2Connection;
  readonly log: string[] = [];
  readonly streams: Http2Stream[] = [];
  /** Called with each new request, to answer it. */
  onRequest: (stream: Http2Stream) => void = () => {};
  onBody: (stream: Http2Stream) => void = () => {};
  #seen = 0;

  /** Rigs that come one after the other may share a thread. */
  constructor(role: Role, options: Partial<Http2Options> = {}, thread: Side | null = null) {
    this.side = new Side(undefined, thread);
    this.side.record = true;
    this.connection = new Http2Connection(
      this.side.host,
      this.side,
      role,
      { ...defaultHttp2Options, overrideStreamErrorOnInvalidHttpMessage: true, ...options },
      this.counters,
      this,
    );
    this.connection.start();
    this.side.turn();
  }

  /** The peer's preface and SETTINGS, and its acknowledgement of ours. */
  begin(first: Buffer = settings()): this {
    const preface = this.connection.role === 'server' ? clientPreface : Buffer.alloc(0);
    this.feed(preface, first, frame(4, 1, 0));
    this.frames();
    return this;
  }

  feed(...frames: readonly Buffer[]): this {
    this.side.feed(Buffer.concat(frames));
    return this;
  }

  /** What we have sent since the last look. */
  frames(): string[] {
    const bytes = Buffer.concat(this.side.sent);
    const found: string[] = [];
    if (this.#seen === 0 && this.connection.role === 'client') this.#seen = clientPreface.length;
    while (this.#seen < bytes.length) {
      const length = bytes.readUIntBE(this.#seen, 3);
      const from = this.#seen + 9;
      const id = readUint31(bytes, this.#seen + 5);
      const payload = bytes.subarray(from, from + length);
      found.push(describe(bytes[this.#seen + 3] ?? 0, bytes[this.#seen + 4] ?? 0, id, payload));
      this.#seen = from + length;
    }
    return found;
  }

  count(stat: Http2Stat): number {
    return this.counters.slots[this.counters.at[stat]] ?? Number.NaN;
  }

  /** A request of ours. */
  open(last = true, path = '/'): Http2Stream | null {
    const head = new Head();
    head.method = last ? method.GET : method.POST;
    head.setTarget(path);
    head.add('host', 'a');
    const stream = this.connection.open(head, last, this);
    this.side.turn();
    if (stream !== null) this.streams.push(stream);
    return stream;
  }

  answer(stream: Http2Stream, last = true): void {
    const head = new Head();
    head.status = 200;
    stream.sendHead(head, last);
    this.side.turn();
  }

  onConnected(): void {}

  onStream(stream: Http2Stream, head: Head, last: boolean): void {
    stream.events = this;
    this.streams.push(stream);
    this.log.push(`request ${stream.id} ${head.methodName()} ${fieldsOf(head).join(', ')}${last ? ' end' : ''}`);
    this.onRequest(stream);
  }

  onCapacity(): void {
    this.log.push('capacity');
  }

  onGoaway(_connection: Http2Connection, lastId: number, code: number): void {
    this.log.push(`goaway ${lastId} ${code}`);
  }

  onClosed(_connection: Http2Connection, reason: string, code: number, detail: string): void {
    this.log.push(`closed ${reason} ${code} ${detail}`.trim());
  }

  onHead(stream: Http2Stream, head: Head, last: boolean): void {
    this.log.push(`head ${stream.id} ${head.status}${last ? ' end' : ''}`);
  }

  onData(stream: Http2Stream, start: number, end: number, last: boolean): void {
    const text = this.side.host.readBuffer.toString('latin1', start, end);
    this.log.push(`data ${stream.id} ${text.length > 40 ? text.length : text}${last ? ' end' : ''}`);
    this.onBody(stream);
  }

  onTrailers(stream: Http2Stream, head: Head): void {
    this.log.push(`trailers ${stream.id} ${fieldsOf(head).join(', ')}`);
  }

  onReset(stream: Http2Stream, code: number, cause: ResetCause): void {
    this.log.push(`reset ${stream.id} ${code} ${cause}`);
  }

  onDrained(stream: Http2Stream): void {
    this.log.push(`drained ${stream.id}`);
  }
}

export function server(options: Partial<Http2Options> = {}): Rig {
  return new Rig('server', options).begin();
}

export function client(options: Partial<Http2Options> = {}): Rig {
  return new Rig('client', options).begin();
}
