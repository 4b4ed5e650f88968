import test from 'ava';
import { encodeResponse, parseQuestion, recordTypes } from './dns-message.ts';

function query(name: string, type: number, options: { edns?: number; flags?: number } = {}): Buffer {
  const labels = name.split('.').flatMap((l) => [Buffer.from([l.length]), Buffer.from(l)]);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xbeef, 0);
  head.writeUInt16BE(options.flags ?? 0x0100, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(options.edns === undefined ? 0 : 1, 10);
  const tail = Buffer.alloc(4);
  tail.writeUInt16BE(type, 0);
  tail.writeUInt16BE(1, 2);
  const opt = Buffer.from([0, 0, 41, (options.edns ?? 0) >> 8, (options.edns ?? 0) & 255, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([head, ...labels, Buffer.from([0]), tail, ...(options.edns === undefined ? [] : [opt])]);
}

function parsed(message: Buffer): NonNullable<ReturnType<typeof parseQuestion>> {
  const question = parseQuestion(message);
  if (question === undefined) throw new Error('not a question');
  return question;
}

test('a question is read with its name in lower case', (t) => {
  const q = parsed(query('Web.Shop.SVC.cluster.local', recordTypes.AAAA, { edns: 1232 }));
  t.is(q.name, 'web.shop.svc.cluster.local');
  t.is(q.id, 0xbeef);
  t.is(q.type, 28);
  t.is(q.maxBytes, 1232);
});

test('an answer carries the addresses of the asked family', (t) => {
  const addresses = ['10.78.0.16', 'fd00:78::10'];
  const v4 = encodeResponse(parsed(query('a.b', recordTypes.A)), { code: 'noError', addresses }, true);
  t.is(v4.readUInt16BE(2) & 15, 0);
  t.is(v4.readUInt16BE(6), 1);
  t.deepEqual([...v4.subarray(-4)], [10, 78, 0, 16]);
  const v6 = encodeResponse(parsed(query('a.b', recordTypes.AAAA)), { code: 'noError', addresses }, true);
  t.is(v6.subarray(-16).toString('hex'), 'fd000078000000000000000000000010');
});

test('an unknown name is NXDOMAIN, a known one without the type an empty answer, both with a SOA', (t) => {
  const missing = encodeResponse(parsed(query('a.b', 1)), { code: 'nameError' }, true);
  t.is(missing.readUInt16BE(2) & 15, 3);
  t.is(missing.readUInt16BE(8), 1);
  const empty = encodeResponse(parsed(query('a.b', 28)), { code: 'noError', addresses: ['1.2.3.4'] }, true);
  t.is(empty.readUInt16BE(2) & 15, 0);
  t.is(empty.readUInt16BE(6), 0);
  t.is(empty.readUInt16BE(8), 1);
});

test('what does not fit into a datagram is truncated, over TCP it is whole', (t) => {
  const addresses = Array.from({ length: 100 }, (_, i) => `10.77.0.${i}`);
  const q = parsed(query('pods.shop', 1));
  const udp = encodeResponse(q, { code: 'noError', addresses }, true);
  t.true(udp.length <= 512);
  t.not(udp.readUInt16BE(2) & 0x0200, 0);
  const tcp = encodeResponse(q, { code: 'noError', addresses }, false);
  t.is(tcp.readUInt16BE(6), 100);
});

test('responses, pointers and cut messages get no answer', (t) => {
  t.is(parseQuestion(query('a.b', 1, { flags: 0x8100 })), undefined);
  const whole = query('web.shop.svc.cluster.local', 1);
  for (let n = 0; n < whole.length; n++) t.is(parseQuestion(whole.subarray(0, n)), undefined);
  const pointer = Buffer.concat([whole.subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])]);
  t.is(parseQuestion(pointer), undefined);
});

/** A small generator with a seed, so that a failure can be repeated. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

test('no bytes make the parser or the encoder throw', (t) => {
  const random = randomFrom(42);
  const good = query('web.shop.svc.cluster.local', 1, { edns: 4096 });
  for (let i = 0; i < 20_000; i++) {
    const message = Buffer.from(good.subarray(0, 1 + Math.floor(random() * good.length)));
    const flips = Math.floor(random() * 6);
    for (let f = 0; f < flips; f++) message[Math.floor(random() * message.length)] = Math.floor(random() * 256);
    const question = parseQuestion(message);
    if (question === undefined) continue;
    const response = encodeResponse(question, { code: 'noError', addresses: ['10.0.0.1', 'fd00::1'] }, true);
    if (response.length > 4096) t.fail(`${message.toString('hex')} gave ${response.length} bytes`);
  }
  t.pass();
});
