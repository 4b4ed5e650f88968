import { randomBytes } from 'node:crypto';
import test from 'ava';
import { addressOf, bindInt } from '../sys/ffi.ts';
import * as libc from '../sys/libc.ts';
import * as ssl from '../sys/openssl.ts';
import { pieceBytes } from './record-scratch.ts';
import { readCapacity, readHeadroom } from './stream.ts';
import { sessionPair } from './testing/openssl-pair.ts';
import { CraftedPeer, drain, place, readPieces, secretOf } from './testing/records.ts';
import { alert } from './tls-alerts.ts';
import { TlsRecords } from './tls-records.ts';

const keyUpdate = bindInt('SSL_key_update', 2);
const [notRequested, requested] = [0n, 1n];
const suites = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];
const sizes = [1, 100, 16_383, 16_384, 16_385, 60_000];

/** Ours at one end, OpenSSL's at the other. */
class Talk {
  readonly records: TlsRecords;
  readonly openssl: bigint;
  readonly #fd: bigint;
  readonly #otherFd: bigint;
  readonly #region = new libc.Region(256 * 1024);

  constructor(role: 'client' | 'server', suite: string, keyLimit?: number) {
    const p = sessionPair(suite);
    const isClient = role === 'client';
    const [own, peer] = isClient ? [p.clientSecret, p.serverSecret] : [p.serverSecret, p.clientSecret];
    [this.#fd, this.#otherFd] = isClient ? [p.clientFd, p.serverFd] : [p.serverFd, p.clientFd];
    this.openssl = isClient ? p.server : p.client;
    ssl.sslFree(isClient ? p.client : p.server, 0n);
    this.records = new TlsRecords(this.#fd, role, { suite, own, peer }, place, keyLimit);
  }

  #flush(length: number): void {
    let at = 0;
    while (at < length) {
      const n = libc.send(this.#fd, place.records.sealingAddress + BigInt(at), BigInt(length - at), 0x4000n);
      if (n <= 0) throw new Error('the socketpair is full');
      at += n;
    }
  }

  send(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const piece = bytes.subarray(at, at + pieceBytes);
      this.#flush(this.records.seal(addressOf(piece), piece.length, 0));
    }
  }

  say(code: Parameters<TlsRecords['sealAlert']>[0]): void {
    this.#flush(this.records.sealAlert(code, 0));
  }

  opensslSends(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const rest = bytes.subarray(at);
      const n = ssl.sslWrite(this.openssl, addressOf(rest), BigInt(rest.length));
      if (n <= 0) throw new Error(`SSL_write: ${ssl.takeError().reason}`);
      at += n;
    }
  }

  /** What OpenSSL reads until there is no more, and SSL_get_error's reason for that. */
  opensslReads(): { readonly data: Buffer; readonly error: number; readonly reason: string } {
    const pieces: Buffer[] = [];
    for (;;) {
      const n = ssl.sslRead(this.openssl, this.#region.span(0, 65_536), 65_536n);
      if (n <= 0) {
        const error = ssl.errorOf(this.openssl, n);
        return { data: Buffer.concat(pieces), error, reason: ssl.takeError().reason };
      }
      pieces.push(Buffer.from(this.#region.buffer.subarray(0, n)));
    }
  }

  end(): void {
    this.records.free();
    ssl.sslFree(this.openssl, 0n);
    libc.close(this.#fd, 0n);
    libc.close(this.#otherFd, 0n);
  }
}

for (const suite of suites) {
  for (const role of ['client', 'server'] as const) {
    test(`${suite}: a ${role} of ours and OpenSSL understand each other`, (t) => {
      const talk = new Talk(role, suite);
      for (const size of sizes) {
        const bytes = randomBytes(size);
        talk.send(bytes);
        t.true(talk.opensslReads().data.equals(bytes), `${size} bytes to OpenSSL`);
        talk.opensslSends(bytes);
        t.true(drain(talk.records).data.equals(bytes), `${size} bytes from OpenSSL`);
      }
      talk.end();
    });

    test(`${suite}: keys change on either side of a ${role}, asked or not`, (t) => {
      const talk = new Talk(role, suite, 5);
      for (let i = 0; i < 40; i++) {
        if (i % 3 === 0) t.is(keyUpdate(talk.openssl, i % 2 === 0 ? requested : notRequested), 1);
        const bytes = randomBytes(1 + i);
        talk.opensslSends(bytes);
        const got = drain(talk.records);
        t.true(got.data.equals(bytes), `${i} from OpenSSL: ${got.how}`);
        talk.send(bytes);
        const read = talk.opensslReads();
        t.true(read.data.equals(bytes), `${i} to OpenSSL: ${read.reason}`);
      }
      talk.end();
    });
  }
}

test('close_notify and alerts of either side are understood by the other', (t) => {
  const closing = new Talk('server', suites[0] as string);
  closing.send(Buffer.from('last'));
  closing.say(alert.closeNotify);
  const { data, error } = closing.opensslReads();
  t.is(data.toString(), 'last');
  t.is(error, ssl.sslErrors.zeroReturn);
  closing.opensslSends(Buffer.from('words'));
  ssl.sslShutdown(closing.openssl, 0n);
  const last = drain(closing.records);
  t.like(last, { how: 'end', alert: null });
  t.is(last.data.toString(), 'words');
  t.is(drain(closing.records).how, 'end');
  closing.end();

  const refusing = new Talk('client', suites[1] as string);
  refusing.say(alert.badRecordMac);
  t.regex(refusing.opensslReads().reason, /bad record mac/);
  t.is(drain(refusing.records).how, 'again');
  refusing.end();
});

const peer = (): CraftedPeer => new CraftedPeer(secretOf('peer'));
const { badRecordMac, unexpectedMessage, recordOverflow, decodeError } = alert;

/** Data of every form, a ticket in two records, a change of the key, and the end. */
function everything(from: CraftedPeer): { readonly bytes: Buffer; readonly data: string } {
  const ticket = Buffer.from([4, 0, 0, 30, ...new Array<number>(30).fill(9)]);
  const records = [
    from.data('one'),
    from.data('two', 19),
    from.data(''),
    from.record(22, ticket.subarray(0, 11)),
    from.record(22, ticket.subarray(11)),
    from.data('three'),
    from.update(1),
    from.data('four', 1),
    from.record(21, Uint8Array.of(1, alert.userCanceled)),
    from.record(21, Uint8Array.of(1, alert.closeNotify)),
    Buffer.from('nobody reads this'),
  ];
  return { bytes: Buffer.concat(records), data: 'onetwothreefour' };
}

test('what comes is the same wherever it is cut, and in single bytes', (t) => {
  const { bytes, data } = everything(peer());
  for (let at = 0; at <= bytes.length; at++) {
    const result = readPieces([bytes.subarray(0, at), bytes.subarray(at)], 'client');
    t.is(`${result.data} ${result.how}`, `${data} end`, `cut at ${at}`);
  }
  const single = readPieces(
    Array.from(bytes, (b) => Uint8Array.of(b)),
    'client',
  );
  t.is(`${single.data} ${single.how}`, `${data} end`);
});

test('a long body comes in reads of ten records, whatever lies before it', (t) => {
  const from = peer();
  const body = randomBytes(3 * pieceBytes);
  const records = [from.data('x')];
  for (let at = 0; at < body.length; at += 16_384) records.push(from.data(body.subarray(at, at + 16_384)));
  const wire = Buffer.concat(records);
  const pieces: Buffer[] = [];
  for (let at = 0; at < wire.length; at += 150_000) pieces.push(wire.subarray(at, at + 150_000));
  const { data, how } = readPieces(pieces, 'server');
  t.is(how, 'again');
  t.true(data.equals(Buffer.concat([Buffer.from('x'), body])));
});

function flipped(bytes: Buffer, at: number): Buffer {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}

type Refused = readonly [what: string, bytes: (from: CraftedPeer) => Buffer, code: number | null, why: RegExp];

const refusals: readonly Refused[] = [
  ['a changed bit of the content', (p) => flipped(p.data('hello'), 6), badRecordMac, /not authentic/],
  ['a changed bit of the tag', (p) => flipped(p.data('hello'), 20), badRecordMac, /not authentic/],
  ['a record under the key of before', (p) => Buffer.concat([p.update(), peer().data('x')]), badRecordMac, /authentic/],
  ['a record twice', (p) => Buffer.concat(new Array(2).fill(p.data(''))), badRecordMac, /not authentic/],
  ['HTTP in plaintext', () => Buffer.from('GET / HTTP/1.1\r\n\r\n'), unexpectedMessage, /no record/],
  ['an alert in plaintext', () => Buffer.from([21, 3, 3, 0, 2, 2, 40]), unexpectedMessage, /no record/],
  ['a change of the cipher', () => Buffer.from([20, 3, 3, 0, 1, 1]), unexpectedMessage, /no record/],
  ['another version', (p) => flipped(p.data('hello'), 2), unexpectedMessage, /no record/],
  ['a header that announces too much', () => Buffer.from([23, 3, 3, 0x41, 1]), recordOverflow, /16641 bytes/],
  ['a header that announces too little', () => Buffer.from([23, 3, 3, 0, 16]), badRecordMac, /16 bytes/],
  ['content that is too long', (p) => p.data(Buffer.alloc(16_385)), recordOverflow, /16385 bytes/],
  ['nothing but padding', (p) => p.record(-1, '', 20), unexpectedMessage, /no type|without a type/],
  ['a type that does not exist', (p) => p.record(99, 'x'), unexpectedMessage, /type 99/],
  ['a sealed change of the cipher', (p) => p.record(20, '\x01'), unexpectedMessage, /type 20/],
  ['a handshake record of nothing', (p) => p.record(22, ''), unexpectedMessage, /type 22/],
  ['data within a ticket', (p) => Buffer.concat([p.record(22, '\x04'), p.data('x')]), unexpectedMessage, /interrupted/],
  [
    '33 records of nothing',
    (p) => Buffer.concat(Array.from({ length: 33 }, () => p.data(''))),
    unexpectedMessage,
    /32/,
  ],
  ['33 KeyUpdates', (p) => Buffer.concat(Array.from({ length: 33 }, () => p.update())), unexpectedMessage, /32/],
  ['half an alert', (p) => p.record(21, '\x02'), decodeError, /broken alert/],
  ['a fatal alert', (p) => p.record(21, Uint8Array.of(2, 46)), null, /alert "certificate unknown"/],
  ['a fatal alert that says it is a warning', (p) => p.record(21, Uint8Array.of(1, 48)), null, /alert "unknown CA"/],
];

for (const [what, bytes, code, why] of refusals) {
  test(`refused, behind data that still arrives: ${what}`, (t) => {
    const from = peer();
    const before = from.data('before');
    const result = readPieces([Buffer.concat([before, bytes(from), peer().data('behind')])], 'client');
    t.is(result.data.toString(), 'before');
    t.regex(result.how, why);
    t.is(result.alert, code);
  });
}

test('an end without close_notify is a failure, also within a record', (t) => {
  const record = peer().data('hello');
  for (const sent of [record, record.subarray(0, 3), record.subarray(0, 12), Buffer.alloc(0)]) {
    const result = readPieces([sent], 'server', true);
    t.regex(result.how, /without a close_notify/);
    t.is(result.data.toString(), sent === record ? 'hello' : '');
  }
});

test('a reader who has no room for what may come is told so', (t) => {
  const talk = new Talk('client', suites[0] as string);
  t.throws(() => talk.records.read(readHeadroom, readCapacity - 1), { message: /163840 bytes at least, not 163839/ });
  talk.end();
});
