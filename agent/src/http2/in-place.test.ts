/** Bodies that came without frames, on their way out over TLS; and users that wait for room before they read more. */
import test from 'ava';
import { plainInfo } from '../http/testing/fake-stream.ts';
import { Head } from '../http1/head.ts';
import { readHeadroom } from '../net/stream.ts';
import { seededRandom } from '../worker/random.ts';
import { readUint31 } from './frame.ts';
import type { Http2Host } from './host.ts';
import type { Http2Options } from './options.ts';
import type { Http2Stream } from './stream.ts';
import { frame, Rig, request, reset, settings, uint32, windowUpdate } from './testing/raw.ts';
import { Side } from './testing/wire.ts';

const record = 16_384;

/** A server over TLS with requests 1, 3, ... under way, whose answers have begun, and wide windows. */
function overTls(streams = 1, window = 10_000_000, options: Partial<Http2Options> = {}): Rig {
  const rig = new Rig('server', options);
  rig.side.info = { ...plainInfo, tlsVersion: 'TLSv1.3' };
  rig.begin(Buffer.concat([settings([4, window]), windowUpdate(0, 100_000_000)]));
  for (let i = 0; i < streams; i++) {
    rig.feed(request(2 * i + 1, 5));
    rig.answer(rig.streams[i] as Http2Stream, false);
  }
  rig.frames();
  return rig;
}

/** Bytes of a body at the place where reads put them. */
function fill(rig: Rig, length: number, salt: number): string {
  const b = rig.side.host.readBuffer;
  for (let i = 0; i < length; i++) b[readHeadroom + i] = 97 + ((i * 7 + salt) % 26);
  return b.toString('latin1', readHeadroom, readHeadroom + length);
}

/** Gives what was filled in to the stream, in the middle of a turn. */
function give(rig: Rig, stream: Http2Stream, length: number, last: boolean): void {
  stream.sendData(rig.side.host.readBuffer, readHeadroom, readHeadroom + length, last);
}

/** What DATA in the writes from `skip` on carries for each stream; a point stands for the end. */
function bodies(sent: readonly Buffer[], skip: number): Map<number, string> {
  const bytes = Buffer.concat(sent.slice(skip));
  const found = new Map<number, string>();
  for (let p = 0; p < bytes.length; p += 9 + bytes.readUIntBE(p, 3)) {
    if (bytes[p + 3] !== 0) continue;
    const id = readUint31(bytes, p + 5);
    const text = bytes.toString('latin1', p + 9, p + 9 + bytes.readUIntBE(p, 3));
    found.set(id, (found.get(id) ?? '') + text + (bytes[p + 4] === 1 ? '.' : ''));
  }
  return found;
}

test('each frame is a record, the head in front of the first, the end in the last, and the buffer as it was', (t) => {
  const rig = overTls(0);
  const before = rig.side.sent.length;
  rig.feed(request(1, 5));
  const [stream] = rig.streams as [Http2Stream];
  const body = fill(rig, 5 * record, 3);
  const head = new Head();
  head.status = 200;
  stream.sendHead(head, false);
  give(rig, stream, 5 * record - 200, true);
  t.is(fill(rig, 5 * record, 3), body);
  const sizes = rig.side.sent.slice(before).map((b) => b.length);
  t.deepEqual(sizes.slice(0, 4), [record, record, record, record], 'written before sendData returns');
  t.is(sizes.length, 5);
  t.true((sizes[4] ?? 0) < record);
  t.is(rig.side.sent[before]?.[3], 1, 'HEADERS first');
  t.is(bodies(rig.side.sent, before).get(1), `${body.slice(0, 5 * record - 200)}.`);
  t.true(rig.side.corked, 'until the turn ends');
  rig.side.turn();
  t.false(rig.side.corked);
  t.is(rig.connection.activeStreams, 0);
});

test('a rest that is cheaper copied goes out with what follows, the end in it', (t) => {
  const rig = overTls(2);
  const before = rig.side.sent.length;
  const [first, second] = rig.streams as [Http2Stream, Http2Stream];
  const a = fill(rig, record - 9 + 100, 1);
  give(rig, first, record - 9 + 100, true);
  const b = fill(rig, 20_000, 2);
  give(rig, second, 20_000, true);
  rig.side.turn();
  t.deepEqual(
    rig.side.sent.slice(before).map((w) => w.length),
    [record, record, 20_000 + 2 * 9 + 100 + 9 - record],
  );
  t.deepEqual(
    [...bodies(rig.side.sent, before)],
    [
      [1, `${a}.`],
      [3, `${b}.`],
    ],
  );
});

test('windows and sockets that end anywhere: nothing is lost, doubled or out of order', (t) => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seededRandom(seed);
    const below = (n: number): number => Math.floor(random() * n);
    const rig = overTls(3, [10_000_000, 30_000][below(2)]);
    rig.side.peer = new Side();
    rig.side.socketBytes = [Number.POSITIVE_INFINITY, 50_000][below(2)] ?? 0;
    const before = rig.side.sent.length;
    const expected = new Map<number, string>();
    const open = rig.streams.slice();
    while (open.length > 0) {
      const stream = open[below(open.length)] as Http2Stream;
      const { id } = stream;
      const length = [below(150_000), below(9000), 0][below(3)] ?? 0;
      const last = random() < 0.1;
      expected.set(id, (expected.get(id) ?? '') + fill(rig, length, below(26)) + (last ? '.' : ''));
      give(rig, stream, length, last);
      if (last) open.splice(open.indexOf(stream), 1);
      if (random() < 0.5) rig.side.turn();
      if (random() < 0.5) rig.side.deliver(below(60_000));
      if (random() < 0.5)
        rig.feed(windowUpdate([1, 3, 5][below(3)] ?? 1, 1 + below(90_000)), frame(6, 0, 0, uint32(1, 2)));
    }
    for (const id of [1, 3, 5]) rig.feed(windowUpdate(id, 100_000_000));
    while (rig.side.deliver(100_000));
    t.deepEqual(
      [...bodies(rig.side.sent, before)].sort(),
      [...expected].filter(([, b]) => b !== '').sort(),
      `seed ${seed}`,
    );
    t.is(rig.connection.activeStreams, 0, `seed ${seed}`);
    t.false(rig.side.corked);
  }
});

test('who asks for room has it, or a place in the row', (t) => {
  const rig = overTls(3);
  rig.side.peer = new Side();
  const [first, second, third] = rig.streams as [Http2Stream, Http2Stream, Http2Stream];
  t.false(first.waitForRoom());
  rig.side.socketBytes = 1000;
  fill(rig, 10_000, 1);
  give(rig, first, 10_000, false);
  t.true(third.waitForRoom());
  t.true(second.waitForRoom());
  t.true(third.waitForRoom(), 'asked twice, told once');
  rig.side.turn();
  rig.log.length = 0;
  while (rig.side.queued > 0) rig.side.deliver(1000);
  t.deepEqual(rig.log, ['drained 5', 'drained 3']);
  t.false(second.waitForRoom());
});

test('a closed window is nothing to wait for: the end needs none', (t) => {
  const rig = overTls(1, 20_000);
  const [stream] = rig.streams as [Http2Stream];
  fill(rig, 20_000, 1);
  give(rig, stream, 20_000, false);
  t.false(stream.waitForRoom());
  stream.sendData(rig.side.host.readBuffer, readHeadroom, readHeadroom, true);
  rig.side.turn();
  t.is(rig.frames().at(-1), 'data 1 0 end');
});

test('what is sent, ended or cut while it waits for room', (t) => {
  const rig = overTls(4);
  rig.side.peer = new Side();
  rig.side.socketBytes = 1000;
  const before = rig.side.sent.length;
  const [first, second, third, fourth] = rig.streams as [Http2Stream, Http2Stream, Http2Stream, Http2Stream];
  const body = fill(rig, 10_000, 1);
  give(rig, fourth, 10_000, false);
  for (const stream of [first, second, third]) t.true(stream.waitForRoom());
  give(rig, first, 5000, true);
  const trailers = new Head();
  trailers.add('a', 'b');
  second.sendTrailers(trailers);
  rig.feed(reset(5, 8));
  rig.log.length = 0;
  while (rig.side.deliver(1000));
  t.is(bodies(rig.side.sent, before).get(1), `${body.slice(0, 5000)}.`);
  t.deepEqual(rig.frames().slice(-2), ['data 1 5000 end', 'headers 3 5 end']);
  t.is(third.id, 0);
  t.is(rig.connection.activeStreams, 1);
  t.deepEqual(rig.log, [], 'nobody is left that waits');
});

test('blocks that a bulk has filled are used again: no more are made for the next', (t) => {
  const host: Http2Host = new Side().host;
  const blocks = new Set(Array.from({ length: 400 }, () => host.takeBlock()));
  for (const block of blocks) host.giveBlock(block);
  for (let i = 0; i < 400; i++) t.true(blocks.has(host.takeBlock()));
});
