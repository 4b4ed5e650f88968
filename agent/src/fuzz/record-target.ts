/**
 * What must hold for every byte that comes on an established TLS 1.3 connection. An input is a list of records: kind,
 * padding, length and content of each, sealed as a peer with the right key seals them, or sent as they are.
 */
import { CraftedPeer, type ReadResult, readPieces, secretOf } from '../net/testing/records.ts';
import { cuts, must, type Target } from './target.ts';

/** Kinds below that are inner types that a peer may send; this one is sent unsealed, and this one changes the key. */
const [raw, update] = [6, 7];
const types = [23, 23, 23, 22, 22, 21] as const;

interface Wire {
  readonly bytes: Buffer;
  /** Of all records of data, also those behind one that is refused. */
  readonly data: string;
}

function wireOf(input: Buffer): Wire {
  const peer = new CraftedPeer(secretOf('peer'));
  const records: Buffer[] = [];
  let data = '';
  for (let p = 0; p < input.length; ) {
    const [kind = 0, padding = 0, length = 0] = input.subarray(p, p + 3);
    const content = input.subarray(p + 3, p + 3 + length);
    p += 3 + length;
    const type = types[kind % 8] ?? kind >>> 3;
    if (kind % 8 === update && kind < 16) records.push(peer.update(kind >>> 3));
    else if (kind % 8 === raw) records.push(content);
    else records.push(peer.record(type, content, padding));
    if (type === 23) data += content.toString('latin1');
  }
  return { bytes: Buffer.concat(records), data };
}

const textOf = (r: ReadResult): string => `${r.data.toString('latin1')} ${r.how} ${r.alert}`;

function readRecords(input: Buffer): void {
  const { bytes, data } = wireOf(input);
  for (const role of ['client', 'server'] as const) {
    const whole = readPieces([bytes], role, true);
    must(data.startsWith(whole.data.toString('latin1')), 'what is read is what was sent, from its beginning');
    must(whole.how !== 'again', 'an end is an end or a failure');
    for (const at of cuts(bytes.length, 12)) {
      const split = readPieces([bytes.subarray(0, at), bytes.subarray(at)], role, true);
      must(textOf(split) === textOf(whole), `${textOf(split)} when split at ${at}, ${textOf(whole)} whole`);
    }
  }
}

export const recordTarget: Target = {
  name: 'tls-records',
  sources: ['/net/tls-records.ts', '/net/post-handshake.ts'],
  words: [
    '\x03\0\x09\x04\0\0\x05',
    '\x03\0\x05\x18\0\0\x01',
    '\x05\0\x02\x01\0',
    '\x07',
    '\x06\0\x05\x17\x03\x03',
    '\0\x10\0',
  ],
  maxBytes: 256,
  run: readRecords,
};
