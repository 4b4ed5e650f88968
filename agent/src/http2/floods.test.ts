/** What a peer can do at no cost to itself: each is counted by Envoy's names, and memory stays where it was. */
import test from 'ava';
import { literals } from './testing/hpack.ts';
import {
  client,
  data,
  frame,
  ping,
  type Rig,
  request,
  reset,
  server,
  settings,
  uint32,
  windowUpdate,
} from './testing/raw.ts';

function isCalmed(rig: Rig): boolean {
  return /^closed local 11/.test(rig.log.at(-1) ?? '');
}

test('rapid reset (CVE-2023-44487): more than half cut young and unanswered', (t) => {
  const rig = server();
  for (let i = 0; i < 249; i++) rig.feed(request(1 + 2 * i, 5), reset(1 + 2 * i, 8));
  t.false(rig.connection.closed);
  rig.feed(request(499, 5), reset(499, 8));
  t.true(isCalmed(rig), rig.log.at(-1));
});

test('many good streams are not a rapid reset, nor are those that were answered or old', (t) => {
  const rig = server();
  let id = 1;
  for (let i = 0; i < 400; i++, id += 4) {
    rig.feed(request(id, 5), request(id + 2, 5));
    for (const stream of rig.streams.splice(0)) if (stream.id === id) rig.answer(stream);
    if (i % 2 === 0) rig.side.pass(1001);
    rig.feed(reset(id + 2, 8));
  }
  t.false(rig.connection.closed);
  for (let i = 0; i < 600; i++, id += 2) {
    rig.feed(request(id, 5));
    const stream = rig.streams.pop();
    if (stream !== undefined) rig.answer(stream, false);
    rig.feed(reset(id, 8));
  }
  t.false(rig.connection.closed);
});

test("made to reset (CVE-2025-8671): streams that we cut for the peer's fault count as well", (t) => {
  const rig = server();
  for (let i = 0; i < 250; i++) rig.feed(request(1 + 2 * i, 5), windowUpdate(1 + 2 * i, 0));
  t.true(isCalmed(rig), rig.log.at(-1));
});

test('CONTINUATION flood (CVE-2024-27316): frames and bytes of one block are bounded', (t) => {
  const frames = server();
  frames.feed(request(1, 0), ...Array.from({ length: 65 }, () => frame(9, 0, 1, literals(['x', 'y']))));
  t.true(isCalmed(frames));
  const bytes = server();
  bytes.feed(request(1, 0));
  for (let i = 0; i < 5 && !bytes.connection.closed; i++) bytes.feed(frame(9, 0, 1, Buffer.alloc(16_384)));
  t.true(isCalmed(bytes));
});

test('empty frames', (t) => {
  for (const frames of [
    [request(1), data(1, 0, ''), data(1, 0, '')],
    [request(1, 0), frame(9, 0, 1), frame(9, 0, 1)],
    [request(1), frame(0, 8, 1, Buffer.from([1, 0])), frame(0, 8, 1, Buffer.from([1, 0]))],
  ]) {
    const rig = server();
    rig.feed(...frames);
    t.true(isCalmed(rig), rig.log.at(-1));
    t.is(rig.count('inbound_empty_frames_flood'), 1);
  }
  const fine = server();
  fine.feed(request(1), data(1, 0, ''), data(1, 0, 'x'), data(1, 0, ''), data(1, 1, ''));
  t.false(fine.connection.closed, 'one at a time is none');
});

test('PRIORITY flood', (t) => {
  const rig = server();
  const one = frame(2, 0, 3, Buffer.concat([uint32(1), Buffer.from([1])]));
  rig.feed(...Array.from({ length: 100 }, () => one));
  t.false(rig.connection.closed);
  rig.feed(one);
  t.true(isCalmed(rig));
  t.is(rig.count('inbound_priority_frames_flood'), 1);
});

test('WINDOW_UPDATE flood', (t) => {
  const rig = server();
  rig.feed(request(1), ...Array.from({ length: 7 }, () => windowUpdate(1, 1)));
  t.false(rig.connection.closed);
  rig.feed(windowUpdate(0, 1));
  t.true(isCalmed(rig));
  t.is(rig.count('inbound_window_update_frames_flood'), 1);
});

for (const [what, one] of [
  ['PING', ping()],
  ['SETTINGS', settings()],
] as const) {
  test(`${what} flood of a peer that does not read: bounded, then closed`, (t) => {
    const rig = server();
    rig.side.socketBytes = 1000;
    for (let i = 0; i < 50 && !rig.connection.closed; i++) rig.feed(...Array.from({ length: 100 }, () => one));
    t.true(isCalmed(rig), rig.log.at(-1));
    t.is(rig.count('outbound_control_flood'), 1);
    t.is(rig.count('outbound_control_frames_active'), 0);
    t.true(rig.side.maxQueued < 30_000, String(rig.side.maxQueued));
    t.is(rig.side.closed, 'close', 'nothing more is queued for it');
  });

  test(`many ${what} of a peer that reads are answered`, (t) => {
    const rig = server();
    rig.feed(...Array.from({ length: 3000 }, () => one));
    t.false(rig.connection.closed);
    t.is(rig.frames().length, 3000);
  });
}

test('resets that a peer provokes without reading', (t) => {
  const rig = server({ maxConcurrentStreams: 1, prematureResetTotalStreamCount: 1_000_000 });
  rig.side.socketBytes = 1000;
  for (let i = 0; i < 20 && !rig.connection.closed; i++) {
    rig.feed(...Array.from({ length: 100 }, (_, k) => request(1 + 2 * (i * 100 + k), 5)));
  }
  t.true(isCalmed(rig));
  t.is(rig.count('outbound_control_flood'), 1);
});

test('answers that a peer does not read: max_outbound_frames', (t) => {
  const rig = server({ maxOutboundFrames: 50 });
  rig.side.socketBytes = 10;
  rig.onRequest = (stream) => rig.answer(stream);
  for (let i = 0; i < 60 && !rig.connection.closed; i++) rig.feed(request(1 + 2 * i, 5));
  t.true(isCalmed(rig));
  t.is(rig.count('outbound_flood'), 1);
});

test('HPACK bomb: references to a large field cost no memory, and the limit answers', (t) => {
  const rig = server();
  const big = Buffer.concat([Buffer.from([0x40]), literals(['x', 'v'.repeat(4000)]).subarray(1)]);
  const first = Buffer.concat([
    literals([':method', 'GET'], [':scheme', 'http'], [':authority', 'a'], [':path', '/']),
    big,
  ]);
  rig.feed(frame(1, 5, 1, first));
  const before = rig.side.host.head.bytes.length;
  rig.feed(
    frame(
      1,
      5,
      3,
      Buffer.concat([
        literals([':method', 'GET'], [':scheme', 'http'], [':authority', 'a'], [':path', '/']),
        Buffer.alloc(16_000, 0xbe),
      ]),
    ),
  );
  t.deepEqual(rig.frames(), ['rstStream 3 2']);
  t.is(rig.count('header_overflow'), 1);
  t.true(rig.side.host.head.bytes.length <= Math.max(before, 131_072));
  rig.feed(request(5, 5));
  t.is(rig.log.at(-1), 'request 5 POST host: a end');
});

test('a cookie bomb (CVE-2026-47774): crumbs count one by one', (t) => {
  const rig = server();
  rig.feed(
    request(
      1,
      5,
      Array.from({ length: 101 }, (): [string, string] => ['cookie', 'a=b']),
    ),
  );
  t.deepEqual(rig.frames(), ['rstStream 1 2']);
  t.is(rig.count('header_overflow'), 1);
});

test('a server cannot flood a client either', (t) => {
  const rig = client();
  rig.open(false);
  rig.feed(frame(1, 4, 1, literals([':status', '200'])), data(1, 0, ''), data(1, 0, ''));
  t.true(isCalmed(rig));
});

test('a window that is changed a hundred thousand times costs nothing for each stream', (t) => {
  const rig = server();
  for (let i = 0; i < 1000; i++) rig.feed(request(1 + 2 * i, 5));
  const started = process.cpuUsage();
  const many = settings(...Array.from({ length: 2700 }, (_, i): [number, number] => [4, 1000 + i]));
  for (let i = 0; i < 40; i++) rig.feed(many);
  const { user } = process.cpuUsage(started);
  t.false(rig.connection.closed);
  t.true(user < 500_000, `${user} us`);
});
