/** What a connection does with what a peer says, right or wrong: RFC 9113, by section. */
import test from 'ava';
import { Head } from '../http1/head.ts';
import { clientPreface } from './frame.ts';
import { literals } from './testing/hpack.ts';
import {
  client,
  data,
  frame,
  goaway,
  ping,
  Rig,
  request,
  reset,
  response,
  server,
  settings,
  uint32,
  windowUpdate,
} from './testing/raw.ts';

test('a request with a body and trailers, and its answer', (t) => {
  const rig = server();
  rig.onRequest = (stream) => rig.answer(stream, false);
  rig.feed(request(1), data(1, 0, 'abc'), data(1, 0, 'def'), frame(1, 5, 1, literals(['x-end', 'yes'])));
  t.deepEqual(rig.log, ['request 1 POST host: a', 'data 1 abc', 'data 1 def', 'trailers 1 x-end: yes']);
  const [stream] = rig.streams;
  t.is(stream?.remoteClosed, true);
  stream?.sendData(Buffer.from('hello '), 0, 6, false);
  stream?.sendData(Buffer.from('world'), 0, 5, true);
  rig.side.turn();
  t.deepEqual(rig.frames(), ['headers 1 1', 'data 1 11 end'], 'two pieces are one frame, with its end');
  t.is(rig.connection.activeStreams, 0);
  t.is(stream?.id, 0, 'a stream that is over has no id');
});

test('every split of a conversation says the same', (t) => {
  const bytes = Buffer.concat([
    clientPreface,
    settings([4, 1000]),
    frame(4, 1, 0),
    frame(1, 0, 1, literals([':method', 'POST'], [':scheme', 'http'])),
    frame(9, 0, 1, literals([':authority', 'a'])),
    frame(9, 4, 1, literals([':path', '/p'])),
    frame(0, 8, 1, Buffer.from('\x03abc\0\0\0', 'latin1')),
    frame(0, 9, 1, Buffer.from('\x00de', 'latin1')),
    ping(),
    frame(
      1,
      4 | 8 | 32,
      3,
      Buffer.concat([
        Buffer.from([2, 0, 0, 0, 0, 9]),
        literals([':method', 'GET'], [':scheme', 'http'], [':authority', 'a'], [':path', '/']),
        Buffer.alloc(2),
      ]),
    ),
    windowUpdate(3, 5),
    frame(0, 1, 3),
    frame(200, 7, 9, Buffer.from('unknown')),
    reset(5, 8).fill(0, 5, 9).fill(3, 8, 9),
  ]);
  const joined = (log: readonly string[]): string =>
    log
      .join('\n')
      .replaceAll(/data 1 (\w*)\n(?=data 1 )/g, 'data 1 $1')
      .replaceAll(/data 1 (\w*)data 1 /g, 'data 1 $1');
  const run = (pieces: readonly Buffer[]): string => {
    const rig = new Rig('server');
    for (const piece of pieces) rig.side.feed(piece);
    const body = rig.log
      .filter((l) => l.startsWith('data 1'))
      .map((l) => l.replace(/^data 1 | end$/g, '').replace('end', ''))
      .join('');
    return JSON.stringify([body, joined(rig.log.filter((l) => !l.startsWith('data 1'))), rig.frames()]);
  };
  const whole = run([bytes]);
  t.regex(whole, /abcde/);
  t.regex(whole, /reset 3|request 3/);
  for (let at = 1; at < bytes.length; at++) t.is(run([bytes.subarray(0, at), bytes.subarray(at)]), whole, `at ${at}`);
  t.is(run(Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))), whole, 'byte by byte');
});

/** What must end the connection of a server with a code. */
const connectionErrors: readonly (readonly [what: string, code: number, frames: () => readonly Buffer[]])[] = [
  ['4.2 a frame of more than 16 KiB', 6, () => [request(1), frame(0, 0, 1, Buffer.alloc(16_385))]],
  ['4.3 a block that cannot be decompressed', 9, () => [frame(1, 5, 1, Buffer.from([0x80]))]],
  ['5.1 DATA of an idle stream', 1, () => [data(1, 0, 'x')]],
  ['5.1 RST_STREAM of an idle stream', 1, () => [reset(1, 8)]],
  ['5.1 WINDOW_UPDATE of an idle stream', 1, () => [windowUpdate(1, 8)]],
  ['5.1 HEADERS of a closed stream', 5, () => [request(1, 5), reset(1, 8), request(1, 5)]],
  ['5.1.1 an even stream', 1, () => [request(2)]],
  ['5.1.1 a lower stream', 5, () => [request(5), request(3)]],
  ['6.1 DATA on stream 0', 1, () => [data(0, 0, 'x')]],
  ['6.1 padding as long as the frame', 1, () => [request(1), frame(0, 8, 1, Buffer.from([2, 0]))]],
  ['6.1 no length of the padding', 6, () => [request(1), frame(0, 8, 1)]],
  ['6.2 HEADERS on stream 0', 1, () => [request(0)]],
  ['6.2 HEADERS with too much padding', 1, () => [frame(1, 4 | 8, 1, Buffer.from([9, 0x82]))]],
  ['6.2 HEADERS with half a priority', 6, () => [frame(1, 4 | 32, 1, Buffer.from([0, 0, 0]))]],
  ['6.2 another frame in between', 1, () => [request(1, 0), ping()]],
  ['6.2 another stream in between', 1, () => [request(1, 0), frame(9, 4, 3)]],
  ['6.3 PRIORITY on stream 0', 1, () => [frame(2, 0, 0, Buffer.alloc(5))]],
  ['6.4 RST_STREAM on stream 0', 1, () => [reset(0, 8)]],
  ['6.4 RST_STREAM of 3 bytes', 6, () => [request(1), frame(3, 0, 1, Buffer.alloc(3))]],
  ['6.5 SETTINGS on a stream', 1, () => [frame(4, 0, 1)]],
  ['6.5 SETTINGS of 5 bytes', 6, () => [frame(4, 0, 0, Buffer.alloc(5))]],
  ['6.5 an acknowledgement that says something', 6, () => [frame(4, 1, 0, Buffer.alloc(6))]],
  ['6.5.2 ENABLE_PUSH 2', 1, () => [settings([2, 2])]],
  ['6.5.2 a window above 2^31 - 1', 3, () => [settings([4, 0x80000000])]],
  ['6.5.2 MAX_FRAME_SIZE below 16 KiB', 1, () => [settings([5, 16_383])]],
  ['6.5.2 MAX_FRAME_SIZE above 2^24 - 1', 1, () => [settings([5, 0x1000000])]],
  ['RFC 8441 ENABLE_CONNECT_PROTOCOL 2', 1, () => [settings([8, 2])]],
  ['6.6 PUSH_PROMISE of a client', 1, () => [request(1), frame(5, 4, 1, uint32(2))]],
  ['6.7 PING of 7 bytes', 6, () => [frame(6, 0, 0, Buffer.alloc(7))]],
  ['6.7 PING on a stream', 1, () => [frame(6, 0, 1, Buffer.alloc(8))]],
  ['6.8 GOAWAY on a stream', 1, () => [frame(7, 0, 1, Buffer.alloc(8))]],
  ['6.8 GOAWAY of 7 bytes', 6, () => [frame(7, 0, 0, Buffer.alloc(7))]],
  ['6.9 WINDOW_UPDATE of 3 bytes', 6, () => [frame(8, 0, 0, Buffer.alloc(3))]],
  ['6.9 WINDOW_UPDATE of 0', 1, () => [windowUpdate(0, 0)]],
  ['6.9.1 a window of the connection above 2^31 - 1', 3, () => [windowUpdate(0, 0x7fffffff)]],
  [
    '6.9.2 a window of a stream above 2^31 - 1 by SETTINGS',
    3,
    () => [request(1), windowUpdate(1, 0x7fff0000), settings([4, 0x7fffffff])],
  ],
  ['6.10 CONTINUATION of nothing', 1, () => [frame(9, 4, 1)]],
  ['6.10 CONTINUATION behind END_HEADERS', 1, () => [request(1), frame(9, 4, 1)]],
];

for (const [what, code, frames] of connectionErrors) {
  test(`the connection ends with ${code}: ${what}; the answer that was due is told of it`, (t) => {
    const rig = server();
    rig.feed(...frames());
    t.regex(rig.frames().at(-1) ?? '', new RegExp(`^goaway \\d+ ${code}$`));
    t.regex(rig.log.at(-1) ?? '', new RegExp(`^closed local ${code}`));
    t.is(rig.side.closed, 'after-flush');
    t.is(rig.connection.activeStreams, 0);
    t.is(rig.count('streams_active'), 0);
    t.is(rig.side.timers, 0, 'no timer is left');
  });
}

/** What must end one stream of a server with a code, while the others go on. */
const streamErrors: readonly (readonly [what: string, code: number, frames: () => readonly Buffer[]])[] = [
  ['5.1 DATA behind the end', 5, () => [request(1, 5), data(1, 0, 'x')]],
  ['5.1 HEADERS behind the end', 5, () => [request(1, 5), request(1, 5)]],
  ['5.1 DATA of a stream that the client has cut', 5, () => [request(1), reset(1, 8), data(1, 0, 'x')]],
  [
    '5.3.1 HEADERS that depend on themselves',
    1,
    () => [
      frame(
        1,
        5 | 32,
        1,
        Buffer.concat([
          uint32(1),
          Buffer.from([9]),
          literals([':method', 'GET'], [':scheme', 'http'], [':authority', 'a'], [':path', '/']),
        ]),
      ),
    ],
  ],
  [
    '5.3.1 PRIORITY that depends on itself',
    1,
    () => [request(1), frame(2, 0, 1, Buffer.concat([uint32(1), Buffer.from([9])]))],
  ],
  ['6.3 PRIORITY of 4 bytes', 6, () => [request(1), frame(2, 0, 1, Buffer.alloc(4))]],
  ['6.9 WINDOW_UPDATE of 0', 1, () => [request(1), windowUpdate(1, 0)]],
  ['6.9.1 a window above 2^31 - 1', 3, () => [request(1), windowUpdate(1, 0x7fffffff)]],
  ['8.1 trailers that do not end the stream', 1, () => [request(1), frame(1, 4, 1, literals(['x', 'y']))]],
  ['8.1.1 less than content-length', 1, () => [request(1, 4, [['content-length', '3']]), data(1, 1, 'ab')]],
  ['8.1.1 more than content-length', 1, () => [request(1, 4, [['content-length', '3']]), data(1, 0, 'abcd')]],
  ['8.1.1 content-length without a body', 1, () => [request(1, 5, [['content-length', '3']])]],
  [
    '8.1.1 less than content-length, then trailers',
    1,
    () => [request(1, 4, [['content-length', '3']]), data(1, 0, 'ab'), frame(1, 5, 1, literals(['x', 'y']))],
  ],
  ['8.2.1 a malformed field', 1, () => [request(1, 5, [['X-Upper', 'y']])]],
  ['8.3 pseudo-headers in trailers', 1, () => [request(1), frame(1, 5, 1, literals([':path', '/']))]],
  [
    'too many fields',
    2,
    () => [
      request(
        1,
        5,
        Array.from({ length: 101 }, (): [string, string] => ['x', 'y']),
      ),
    ],
  ],
];

for (const [what, code, frames] of streamErrors) {
  test(`the stream ends with ${code}: ${what}; the connection goes on`, (t) => {
    const rig = server();
    rig.feed(...frames(), request(11, 5), ping());
    t.true(rig.frames().includes(`rstStream 1 ${code}`), rig.frames().join());
    t.true(rig.log.includes('request 11 POST host: a end'), rig.log.join());
    t.false(rig.connection.closed);
    t.is(rig.connection.activeStreams, 1);
  });
}

test('a malformed message ends the connection unless it is said otherwise, as in Envoy', (t) => {
  const rig = server({ overrideStreamErrorOnInvalidHttpMessage: false });
  rig.feed(request(1, 5, [['X-Upper', 'y']]));
  t.deepEqual(rig.frames(), ['goaway 1 1']);
  t.is(rig.count('rx_messaging_error'), 1);
});

test('what is not the preface is refused', (t) => {
  const rig = new Rig('server');
  rig.feed(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  t.regex(rig.log.join(), /^closed local 1 not the preface/);
  const silent = new Rig('server');
  silent.feed(clientPreface, ping());
  t.regex(silent.log.join(), /^closed local 1/, 'the first frame is SETTINGS');
});

test('more streams than were announced are refused, which is safe', (t) => {
  const rig = server({ maxConcurrentStreams: 2 });
  rig.feed(request(1), request(3), request(5));
  t.deepEqual(rig.frames(), ['rstStream 5 7']);
  t.is(rig.connection.activeStreams, 2);
  rig.feed(reset(1, 8), request(7));
  t.is(rig.connection.activeStreams, 2);
  t.deepEqual(rig.log.slice(-2), ['reset 1 8 remote', 'request 7 POST host: a']);
});

test('frames that were on their way when we cut a stream are no error', (t) => {
  const rig = server();
  rig.feed(request(1));
  rig.streams[0]?.reset(8);
  rig.side.turn();
  rig.feed(data(1, 0, 'late'), windowUpdate(1, 5), frame(1, 5, 1, literals(['x', 'y'])), request(3, 5));
  t.deepEqual(rig.frames(), ['rstStream 1 8']);
  t.is(rig.log.at(-1), 'request 3 POST host: a end');
  t.is(rig.count('headers_cb_no_stream'), 1);
});

test('windows: what is received is given back when it was used, not while the reader waits', (t) => {
  const rig = server({ initialStreamWindowSize: 65_535 });
  rig.feed(request(1));
  const part = Buffer.alloc(16_000, 97);
  rig.feed(data(1, 0, part), data(1, 0, part), data(1, 0, part));
  t.deepEqual(rig.frames(), ['windowUpdate 1 48000']);
  rig.streams[0]?.pauseRead();
  rig.feed(data(1, 0, part), data(1, 0, part), data(1, 0, part));
  t.deepEqual(rig.frames(), []);
  rig.streams[0]?.resumeRead();
  rig.side.turn();
  t.deepEqual(rig.frames(), ['windowUpdate 1 48000']);
  rig.streams[0]?.pauseRead();
  rig.feed(...[1, 2, 3, 4, 5].map(() => data(1, 0, part)));
  t.deepEqual(rig.frames(), ['rstStream 1 3'], 'more than the window is an error of the stream');
  t.is(rig.log.at(-1), 'reset 1 3 local');
});

test('the window of the connection is given back whoever it was for', (t) => {
  const rig = server({ initialConnectionWindowSize: 65_535, initialStreamWindowSize: 65_535 });
  rig.feed(request(1));
  rig.streams[0]?.reset(8);
  rig.side.turn();
  rig.frames();
  const part = Buffer.alloc(16_000, 97);
  rig.feed(data(1, 0, part), data(1, 0, part), data(1, 0, part));
  t.deepEqual(rig.frames(), ['windowUpdate 0 48000']);
});

test('a window that becomes negative holds the stream until it is positive', (t) => {
  const rig = server();
  rig.feed(request(1, 5));
  const [stream] = rig.streams;
  if (stream !== undefined) rig.answer(stream, false);
  const body = Buffer.alloc(65_000, 98);
  stream?.sendData(body, 0, 65_000, false);
  rig.side.turn();
  rig.frames();
  rig.feed(settings([4, 100]));
  t.is(stream?.spent, 65_000);
  stream?.sendData(Buffer.from('more'), 0, 4, true);
  rig.side.turn();
  t.is(stream?.queued, 4);
  rig.feed(windowUpdate(1, 64_900), windowUpdate(0, 1000));
  t.is(stream?.queued, 4);
  rig.feed(windowUpdate(1, 2));
  t.is(stream?.queued, 2);
  rig.feed(windowUpdate(1, 100));
  t.deepEqual(rig.frames(), ['settings ack', 'data 1 2', 'data 1 2 end']);
  t.is(rig.connection.activeStreams, 0);
});

test('a stream without a window holds nobody up, and what is queued is bounded by its user', (t) => {
  const rig = server();
  rig.feed(settings([4, 10]), request(1, 5), request(3, 5), windowUpdate(3, 1_000_000), windowUpdate(0, 1_000_000));
  for (const stream of rig.streams) rig.answer(stream, false);
  const body = Buffer.alloc(50_000, 98);
  for (const stream of rig.streams) stream.sendData(body, 0, body.length, true);
  rig.side.turn();
  t.is(rig.streams[0]?.queued, 49_990);
  t.is(rig.streams[1]?.id, 0, 'the other is done');
  t.is(rig.count('pending_send_bytes'), 49_990);
  rig.feed(reset(1, 8));
  t.is(rig.count('pending_send_bytes'), 0);
});

test('trailers and the end wait behind the data', (t) => {
  const rig = server();
  rig.feed(settings([4, 3]), request(1, 5));
  const [stream] = rig.streams;
  if (stream !== undefined) rig.answer(stream, false);
  stream?.sendData(Buffer.from('abcdef'), 0, 6, false);
  const trailers = new Head();
  trailers.add('x', 'y');
  stream?.sendTrailers(trailers);
  trailers.reset();
  rig.side.turn();
  t.deepEqual(rig.frames(), ['settings ack', 'headers 1 1', 'data 1 3']);
  rig.feed(windowUpdate(1, 3));
  t.deepEqual(rig.frames(), ['data 1 3', 'headers 1 5 end']);
});

test('an early answer, then NO_ERROR: the client need not send the rest', (t) => {
  const rig = server();
  rig.feed(settings([4, 3]), request(1));
  const [stream] = rig.streams;
  if (stream !== undefined) rig.answer(stream, false);
  stream?.sendData(Buffer.from('abcdef'), 0, 6, true);
  stream?.reset(0);
  rig.side.turn();
  t.deepEqual(rig.frames(), ['settings ack', 'headers 1 1', 'data 1 3']);
  rig.feed(windowUpdate(1, 3));
  t.deepEqual(rig.frames(), ['data 1 3 end', 'rstStream 1 0']);
  t.is(rig.connection.activeStreams, 0);
});

test('drain: twice GOAWAY, nothing on its way is lost, and the connection closes with the last', (t) => {
  const rig = server();
  rig.feed(request(1));
  rig.connection.drain();
  rig.side.turn();
  rig.feed(request(3));
  rig.connection.finishDrain();
  rig.side.turn();
  t.deepEqual(rig.frames(), ['goaway 2147483647 0', 'goaway 3 0']);
  rig.feed(request(5), data(5, 1, 'ignored'));
  t.deepEqual(rig.log, ['request 1 POST host: a', 'request 3 POST host: a']);
  t.deepEqual(rig.frames(), []);
  for (const stream of [...rig.streams]) {
    rig.feed(data(stream.id, 1, 'x'));
    rig.answer(stream);
  }
  t.is(rig.log.at(-1), 'closed local 0');
  t.is(rig.side.closed, 'after-flush');
});

test('a client keeps to what the server takes, and hears when there is room again', (t) => {
  const rig = new Rig('client');
  t.is(rig.connection.capacity, 100, 'before SETTINGS');
  rig.begin(settings([3, 2]));
  t.truthy(rig.open());
  t.truthy(rig.open());
  t.is(rig.open(), null);
  t.is(rig.connection.capacity, 0);
  rig.feed(response(1, 5));
  t.deepEqual(rig.log, ['head 1 200 end', 'capacity']);
  t.truthy(rig.open());
});

test('a client: refused is told apart, and what GOAWAY leaves out is refused', (t) => {
  const rig = client();
  rig.open();
  rig.open();
  rig.open();
  rig.feed(reset(1, 7), reset(3, 8), goaway(0, 0));
  t.deepEqual(rig.log, ['reset 1 7 refused', 'reset 3 8 remote', 'reset 5 7 refused', 'goaway 0 0', 'closed local 0']);
  t.is(rig.open(), null);
  t.true(rig.connection.exhausted);
});

test('a client: GOAWAY lets the others end', (t) => {
  const rig = client();
  rig.open();
  rig.open();
  rig.feed(goaway(1, 0));
  t.deepEqual(rig.log, ['reset 3 7 refused', 'goaway 1 0']);
  rig.feed(response(1, 5));
  t.deepEqual(rig.log.slice(2), ['head 1 200 end', 'closed local 0']);
});

const badAnswers: readonly (readonly [what: string, code: number, frames: () => readonly Buffer[]])[] = [
  ['DATA before the head', 1, () => [data(1, 0, 'x')]],
  ['no :status', 1, () => [frame(1, 5, 1, literals(['x', 'y']))]],
  ['101', 1, () => [frame(1, 4, 1, literals([':status', '101']))]],
  ['an informational head that ends the stream', 1, () => [frame(1, 5, 1, literals([':status', '103']))]],
  ['less than content-length', 1, () => [response(1, 4, [['content-length', '2']]), data(1, 1, 'x')]],
  ['a body of 204', 1, () => [frame(1, 4, 1, literals([':status', '204'])), data(1, 1, 'x')]],
];
for (const [what, code, frames] of badAnswers) {
  test(`a client cuts the stream: ${what}`, (t) => {
    const rig = client();
    rig.open();
    rig.frames();
    rig.feed(...frames());
    t.deepEqual(rig.frames(), [`rstStream 1 ${code}`]);
    t.is(rig.log.at(-1), `reset 1 ${code} local`);
    t.false(rig.connection.closed);
  });
}

for (const [what, frames] of [
  ['PUSH_PROMISE', [frame(5, 4, 1, uint32(2))]],
  ['a stream of the server', [response(2)]],
  ['an answer to nothing', [response(9)]],
  ['ENABLE_PUSH of a server', [settings([2, 1])]],
] as const) {
  test(`a client ends the connection: ${what}`, (t) => {
    const rig = client();
    rig.open();
    rig.feed(...frames);
    t.regex(rig.log.at(-1) ?? '', /^closed local 1/);
  });
}

// Regression: a request was answered 502 before the error of its connection was counted, and who looked then missed it.
for (const [what, end, reason, code] of [
  ['by an error', (rig: Rig) => rig.feed(response(9)), 'local', 1],
  ['with its socket', (rig: Rig) => rig.side.fail('remote-reset'), 'remote-reset', 0],
] as const) {
  test(`a connection that ends ${what} is counted once, before its peer and its streams are told`, (t) => {
    const rig = client();
    rig.open();
    rig.frames();
    const ends: string[] = [];
    rig.connection.events = Object.assign(Object.create(rig), {
      onEnding: (_connection: unknown, ...what: readonly unknown[]) =>
        ends.push([...what, ...rig.log, ...rig.frames()].join(' ')),
    });
    end(rig);
    t.deepEqual(ends, [`${reason} ${code}`]);
    t.regex(rig.log.join(), /^reset 1 .*closed/);
  });
}

test('the end of the socket is told to every stream', (t) => {
  const rig = client();
  rig.open();
  rig.open();
  rig.side.fail('remote-reset');
  t.deepEqual(rig.log, ['reset 1 0 connection', 'reset 3 0 connection', 'closed remote-reset 0']);
  const other = client();
  other.open();
  other.side.end();
  t.deepEqual(other.log, ['reset 1 0 connection', 'closed remote-close 0']);
  t.is(other.side.closed, 'close');
});

test('keepalive: PING at an interval, and the end without an answer', (t) => {
  const keepalive = { intervalMs: 1000, timeoutMs: 200, intervalJitterPercent: 0, connectionIdleIntervalMs: 0 };
  const rig = client({ connectionKeepalive: keepalive });
  rig.side.pass(1000);
  t.deepEqual(rig.frames(), ['ping']);
  const payload = Buffer.concat(rig.side.sent).subarray(-8);
  rig.feed(frame(6, 1, 0, payload));
  rig.side.pass(500);
  t.deepEqual(rig.frames(), []);
  rig.side.pass(500);
  t.deepEqual(rig.frames(), ['ping']);
  rig.side.pass(200);
  t.is(rig.count('keepalive_timeout'), 1);
  t.is(rig.log.at(-1), 'closed local 0 keepalive timeout');
  t.is(rig.side.closed, 'close');
  t.is(rig.side.timers, 0);
});

test('SETTINGS that are not acknowledged end the connection', (t) => {
  const rig = new Rig('client');
  rig.feed(settings());
  rig.side.pass(10_000);
  t.regex(rig.log.join(), /^closed local 4/);
});

test('extended CONNECT where it is allowed', (t) => {
  const fields = literals(
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    [':scheme', 'http'],
    [':authority', 'a'],
    [':path', '/chat'],
  );
  const rig = server({ allowConnect: true });
  rig.feed(frame(1, 4, 1, fields));
  t.deepEqual(rig.log, ['request 1 CONNECT host: a']);
  t.true(Buffer.concat(rig.side.sent).includes(Buffer.from([0, 8, 0, 0, 0, 1])), 'and it is announced');
  const other = server();
  other.feed(frame(1, 4, 1, fields));
  t.deepEqual(other.frames(), ['rstStream 1 1']);
  const caller = new Rig('client').begin(settings([8, 1]));
  t.true(caller.connection.peerAllowsConnect);
});

test('a head larger than a frame goes out in several and comes in again', (t) => {
  const rig = client();
  const head = new Head();
  head.method = 1;
  head.setTarget('/');
  head.add('host', 'a');
  for (let i = 0; i < 4; i++) head.add(`x-${i}`, String(i).repeat(9_000));
  rig.connection.open(head, true, rig);
  rig.side.turn();
  const other = server();
  other.side.feed(
    Buffer.concat(rig.side.sent).subarray(Buffer.concat(rig.side.sent).indexOf(Buffer.from([1, 1, 0, 0, 0, 1])) - 3),
  );
  t.deepEqual(
    rig
      .frames()
      .slice(-3)
      .map((f) => f.split(' ')[0]),
    ['headers', 'continuation', 'continuation'],
  );
  t.is(other.log.length, 1);
  t.true((other.log[0]?.length ?? 0) > 36_000);
});

test('a user that throws costs its connection, and nobody else', (t) => {
  const rig = server();
  rig.feed(settings([4, 3]), request(1, 5), request(3, 5));
  const [first] = rig.streams;
  if (first !== undefined) rig.answer(first, false);
  first?.sendData(Buffer.from('abcdef'), 0, 6, false);
  rig.side.turn();
  rig.onDrained = () => {
    throw new Error('a bug');
  };
  t.throws(() => rig.feed(windowUpdate(1, 100)), { message: 'a bug' });
  rig.side.turn();
  t.deepEqual(rig.log.slice(-3), ['reset 1 0 connection', 'reset 3 0 connection', 'closed local 0 aborted by a bug']);
  t.is(rig.side.closed, 'close');
  t.is(rig.count('streams_active'), 0);
});

test('a body need not be a Buffer, sent or queued', (t) => {
  const rig = server();
  rig.feed(settings([4, 100]), request(1, 5));
  const [stream] = rig.streams;
  if (stream !== undefined) rig.answer(stream, false);
  const body = Uint8Array.from({ length: 2000 }, (_, i) => i);
  stream?.sendData(body, 1, 2000, true);
  rig.side.turn();
  rig.feed(windowUpdate(1, 5000));
  t.deepEqual(rig.frames(), ['settings ack', 'headers 1 1', 'data 1 100', 'data 1 1899 end']);
  const bytes = Buffer.concat(rig.side.sent);
  t.true(bytes.subarray(bytes.length - 1899).equals(body.subarray(101)));
});
