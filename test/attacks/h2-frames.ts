/** HTTP/2 as bytes, for clients that keep to no rule: frames of any form, HPACK as it is told to, and a reader of what comes back. */

export const types = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;
export const flags = { endStream: 1, ack: 1, endHeaders: 4, padded: 8 } as const;
export const preface: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export function frame(type: number, flag: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flag;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function number(value: number): Buffer {
  const b = Buffer.alloc(4);
  b.writeUInt32BE(value >>> 0);
  return b;
}

export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(6 * pairs.length);
  for (const [i, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, 6 * i);
    payload.writeUInt32BE(value >>> 0, 6 * i + 2);
  }
  return frame(types.settings, 0, 0, payload);
}

function hpackNumber(first: number, bits: number, value: number): Buffer {
  const max = (1 << bits) - 1;
  if (value < max) return Buffer.from([first | value]);
  const bytes = [first | max];
  let rest = value - max;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([hpackNumber(0, 7, bytes.length), bytes]);
};

/** A literal field; `indexed` puts it into the table. */
export const literal = (name: string, value: string, indexed = false): Buffer =>
  Buffer.concat([Buffer.from([indexed ? 0x40 : 0]), text(name), text(value)]);

/** A field of the tables; 62 is the newest of the dynamic one. */
export const indexed = (index: number): Buffer => hpackNumber(0x80, 7, index);

/** The block of a request. */
export const request = (method: string, path: string, ...more: readonly Buffer[]): Buffer =>
  Buffer.concat([
    method === 'GET' ? indexed(2) : literal(':method', method),
    literal(':path', path),
    indexed(6),
    literal(':authority', 'a.example'),
    ...more,
  ]);

export const headers = (stream: number, block: Uint8Array, flag: number = flags.endHeaders | flags.endStream): Buffer =>
  frame(types.headers, flag, stream, block);

/** The status that a block begins with which was made without a dynamic table. @throws Error when it begins otherwise */
export function statusOf(block: Buffer): number {
  const at = (block[0] ?? 0) >> 5 === 1 ? 1 : 0; // behind the update to no table
  const ofStatic = [200, 204, 206, 304, 400, 404, 500][(block[at] ?? 0) - 0x88];
  if (ofStatic !== undefined) return ofStatic;
  const isLiteral = block[at] === 8 && block[at + 1] === 3;
  if (!isLiteral) throw new Error(`no :status in front: ${block.toString('hex')}`);
  return Number(block.toString('latin1', at + 2, at + 5));
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** Takes the whole frames off the front. */
export function takeFrames(bytes: Buffer): { readonly frames: readonly Frame[]; readonly rest: Buffer } {
  const frames: Frame[] = [];
  let at = 0;
  while (bytes.length - at >= 9) {
    const length = bytes.readUIntBE(at, 3);
    if (bytes.length - at < 9 + length) break;
    frames.push({
      type: bytes[at + 3] ?? 0,
      flags: bytes[at + 4] ?? 0,
      stream: bytes.readUInt32BE(at + 5) & 0x7fffffff,
      payload: bytes.subarray(at + 9, at + 9 + length),
    });
    at += 9 + length;
  }
  return { frames, rest: bytes.subarray(at) };
}
