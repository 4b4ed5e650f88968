/** DNS messages made by hand, and their answers read with nothing but offsets, for tests. */
import dgram from 'node:dgram';
import net from 'node:net';
import { withLength } from '../forwarder.ts';

export interface QueryOptions {
  readonly id?: number;
  readonly type?: number;
  readonly class?: number;
  readonly flags?: number;
  /** UDP payload size of an OPT record; absent is none. */
  readonly edns?: number;
}

export function nameBytes(name: string): Buffer {
  const labels = name === '' ? [] : name.split('.');
  return Buffer.concat([...labels.map((l) => Buffer.from([l.length, ...Buffer.from(l)])), Buffer.from([0])]);
}

export function query(name: string, options: QueryOptions = {}): Buffer {
  const { id = 0x1234, type = 1, class: of = 1, flags = 0x0100, edns } = options;
  const head = Buffer.alloc(12);
  head.writeUInt16BE(id, 0);
  head.writeUInt16BE(flags, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(edns === undefined ? 0 : 1, 10);
  const tail = Buffer.alloc(4);
  tail.writeUInt16BE(type, 0);
  tail.writeUInt16BE(of, 2);
  const opt = edns === undefined ? [] : [Buffer.from([0, 0, 41, edns >> 8, edns & 255, 0, 0, 0, 0, 0, 0])];
  return Buffer.concat([head, nameBytes(name), tail, ...opt]);
}

export interface Seen {
  readonly id: number;
  readonly flags: number;
  readonly code: number;
  readonly truncated: boolean;
  readonly authoritative: boolean;
  readonly addresses: readonly string[];
  readonly ttls: readonly number[];
  readonly additional: number;
}

/** The position behind a name, which may end in a pointer. */
function afterName(message: Buffer, start: number): number {
  let at = start;
  while (message[at] !== 0 && (message[at] ?? 0) < 0xc0) at += (message[at] ?? 0) + 1;
  return message[at] === 0 ? at + 1 : at + 2;
}

export function readSeen(message: Buffer): Seen {
  const flags = message.readUInt16BE(2);
  let at = message.readUInt16BE(4) > 0 ? afterName(message, 12) + 4 : 12;
  const addresses: string[] = [];
  const ttls: number[] = [];
  for (let i = 0; i < message.readUInt16BE(6); i++) {
    at = afterName(message, at);
    ttls.push(message.readUInt32BE(at + 4));
    const length = message.readUInt16BE(at + 8);
    const data = message.subarray(at + 10, at + 10 + length);
    addresses.push(length === 4 ? data.join('.') : (data.toString('hex').match(/.{4}/g) ?? []).join(':'));
    at += 10 + length;
  }
  return {
    id: message.readUInt16BE(0),
    flags,
    code: flags & 15,
    truncated: (flags & 0x0200) !== 0,
    authoritative: (flags & 0x0400) !== 0,
    addresses,
    ttls,
    additional: message.readUInt16BE(10),
  };
}

/** An answer to a query with these addresses, as a resolver gives it. */
export function resolverAnswer(asked: Buffer, addresses: readonly string[], code = 0): Buffer {
  let end = 12;
  while (asked[end] !== 0) end += (asked[end] ?? 0) + 1;
  end += 5;
  const head = Buffer.from(asked.subarray(0, 12));
  head.writeUInt16BE(0x8180 | code, 2);
  head.writeUInt16BE(addresses.length, 6);
  head.writeUInt16BE(0, 10);
  const records = addresses.map((a) =>
    Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 7, 0, 4, ...a.split('.').map(Number)]),
  );
  return Buffer.concat([head, asked.subarray(12, end), ...records]);
}

/** One question over UDP; rejects after a second. */
export function askUdp(port: number, message: Buffer, ip = '127.0.0.1'): Promise<Buffer> {
  const socket = dgram.createSocket(ip.includes(':') ? 'udp6' : 'udp4');
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.close();
      reject(new Error('no answer'));
    }, 2_000);
    socket.on('message', (answer) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    });
    socket.send(message, port, ip);
  });
}

/** Questions over one TCP connection, written in the pieces given; as many answers as wanted. */
export function askTcp(port: number, pieces: readonly Buffer[], wanted: number): Promise<readonly Buffer[]> {
  const socket = net.connect(port, '127.0.0.1');
  return new Promise((resolve, reject) => {
    const answers: Buffer[] = [];
    let held: Buffer = Buffer.alloc(0);
    socket.setTimeout(2_000, () => socket.destroy(new Error('no answer')));
    socket.on('error', reject);
    socket.on('end', () => reject(new Error(`closed after ${answers.length} answers`)));
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const end = 2 + held.readUInt16BE(0);
        answers.push(held.subarray(2, end));
        held = held.subarray(end);
      }
      if (answers.length < wanted) return;
      socket.destroy();
      resolve(answers);
    });
    for (const piece of pieces) socket.write(piece);
  });
}

export const framed = withLength;
