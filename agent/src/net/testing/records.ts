/** The other end of a TLS 1.3 connection, made with node:crypto: seals whatever a test wants, also what nobody may send. */
import { type CipherGCMTypes, createCipheriv, createHmac } from 'node:crypto';
import { addressOf } from '../../sys/ffi.ts';
import * as libc from '../../sys/libc.ts';
import { ChunkPool } from '../output-queue.ts';
import { RecordScratch, scratchBytes } from '../record-scratch.ts';
import { readCapacity, readEof, readHeadroom, readTailroom } from '../stream.ts';
import { type RecordPlace, TlsRecords } from '../tls-records.ts';

export const suite = 'TLS_AES_128_GCM_SHA256';
export const secretOf = (who: string): Buffer => createHmac('sha256', 'test').update(who).digest();

export function expand(secret: Buffer, label: string, length: number): Buffer {
  const name = `tls13 ${label}`;
  const info = Buffer.concat([Buffer.from([0, length, name.length]), Buffer.from(name), Buffer.from([0, 1])]);
  return createHmac('sha256', secret).update(info).digest().subarray(0, length);
}

export class CraftedPeer {
  #secret: Buffer;
  #sequence = 0;

  constructor(secret: Buffer) {
    this.#secret = Buffer.from(secret);
  }

  /** A record of that inner type: any content, so much padding, and a type of -1 for none at all. */
  record(type: number, content: Uint8Array | string, padding = 0): Buffer {
    const inner = Buffer.concat([
      Buffer.from(content),
      Buffer.from(type < 0 ? [] : [type]),
      Buffer.alloc(Math.max(0, padding)),
    ]);
    const header = Buffer.from([23, 3, 3, (inner.length + 16) >>> 8, (inner.length + 16) & 0xff]);
    const nonce = expand(this.#secret, 'iv', 12);
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ this.#sequence++) >>> 0, 8);
    const kind: CipherGCMTypes = 'aes-128-gcm';
    const cipher = createCipheriv(kind, expand(this.#secret, 'key', 16), nonce).setAAD(header);
    return Buffer.concat([header, cipher.update(inner), cipher.final(), cipher.getAuthTag()]);
  }

  data(content: Uint8Array | string, padding = 0): Buffer {
    return this.record(23, content, padding);
  }

  /** From here on under the next key. */
  update(request = 0): Buffer {
    const message = this.record(22, [24, 0, 0, 1, request] as unknown as Uint8Array);
    this.#secret = expand(this.#secret, 'traffic upd', 32);
    this.#sequence = 0;
    return message;
  }
}

/** One for all that is read in a thread, as a loop has it. */
const readBytes = readHeadroom + readCapacity + readTailroom;
const region = new libc.Region(readBytes + scratchBytes, readHeadroom);
export const place: RecordPlace = { region, chunks: new ChunkPool(), records: new RecordScratch(region, readBytes) };

/** What reading came to: the data, and `end`, `again` or the reason of the failure with the alert for the peer. */
export interface ReadResult {
  readonly data: Buffer;
  readonly how: string;
  readonly alert: number | null;
}

/** Reads until there is no more for now; `from`: what the records were made with. */
export function drain(records: TlsRecords, from: RecordPlace = place): ReadResult {
  const pieces: Buffer[] = [];
  for (;;) {
    const n = records.read(readHeadroom, readCapacity);
    if (n > 0) pieces.push(Buffer.from(from.region.buffer.subarray(readHeadroom, readHeadroom + n)));
    if (n > 0) continue;
    const how = n === readEof ? 'end' : n === -1 ? 'again' : records.failure;
    return { data: Buffer.concat(pieces), how, alert: records.alert };
  }
}

/** An end that reads what is written to `peer`, both of them descriptors of a socketpair, non-blocking. */
export function pair(): readonly [ours: bigint, peer: bigint] {
  const fds = new Int32Array(2);
  if (libc.socketpair(1n, 0x801n, 0n, addressOf(fds)) !== 0) throw new Error('socketpair');
  return [BigInt(fds[0] ?? -1), BigInt(fds[1] ?? -1)];
}

export function put(fd: bigint, bytes: Uint8Array): void {
  if (bytes.length === 0) return;
  const n = libc.write(fd, addressOf(bytes), BigInt(bytes.length));
  if (n !== bytes.length) throw new Error(`the socketpair took ${n} of ${bytes.length} bytes`);
}

/** Reads the pieces one after another as they come, and what is left at the end; `ends`: FIN comes behind them. */
export function readPieces(pieces: readonly Uint8Array[], role: 'client' | 'server', ends = false): ReadResult {
  const [ours, peer] = pair();
  const own = secretOf(role);
  const records = new TlsRecords(ours, role, { suite, own, peer: secretOf('peer') }, place);
  const data: Buffer[] = [];
  let last: ReadResult = { data: Buffer.alloc(0), how: 'again', alert: null };
  for (const piece of pieces) {
    put(peer, piece);
    last = drain(records);
    data.push(last.data);
    if (last.how !== 'again') break;
  }
  if (ends && last.how === 'again') {
    libc.shutdown(peer, 1n);
    last = drain(records);
    data.push(last.data);
  }
  records.free();
  libc.close(ours, 0n);
  libc.close(peer, 0n);
  return { ...last, data: Buffer.concat(data) };
}
