/** What an HTTP/2 client sends must never become two requests, or another one, on an HTTP/1.1 connection. */
import http from 'node:http';
import { Duplex } from 'node:stream';
import test from 'ava';
import fc from 'fast-check';
import type { Http2Stat } from '../http2/counters.ts';
import { errorCode } from '../http2/frame.ts';
import { http2Stat } from '../stats/layout.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { block, data, frame, headers, RawPeer, request } from './testing/raw-http2.ts';
import { testStats } from './testing/specs.ts';

type Fields = readonly (readonly [string, string])[];

interface Passed {
  /** What the HTTP/1.1 upstream got. */
  readonly up: string;
  /** Method and path of requests that were authorised and sent. */
  readonly sent: readonly string[];
  readonly status: number;
}

function pass(fields: Fields, body: readonly Buffer[], end: boolean): Passed {
  const w = new FakeWorker({ manager: { normalizePath: true } });
  const client = new RawPeer(w.client(), false);
  client.hello();
  client.send(headers(1, fields, end), ...body);
  const up = w.dialled[0]?.stream;
  up?.feed('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
  const status = client.messages().find((f) => f.type === 'headers')?.status ?? 0;
  const sent = w.logged.filter((l) => l.status === 200).map((l) => `${l.method} ${l.path}`);
  return { up: up?.output ?? '', sent, status };
}

const get = (path: string, more: Fields = []): Fields => request(path, 'GET', more);

const refused: readonly (readonly [what: string, fields: Fields])[] = [
  ['a line end in a value', get('/', [['x-a', 'b\r\nx-b: c']])],
  ['a bare CR in a value', get('/', [['x-a', 'b\rc']])],
  ['a bare LF in a value', get('/', [['x-a', 'b\nGET /admin HTTP/1.1']])],
  ['a NUL in a value', get('/', [['x-a', 'b\0c']])],
  ['space around a value', get('/', [['x-a', ' b']])],
  ['a line end in a name', get('/', [['x-a: b\r\nx-b', 'c']])],
  ['a colon in a name', get('/', [['x-a:', 'c']])],
  ['a space in a name', get('/', [['x a', 'c']])],
  ['capitals in a name', get('/', [['X-A', 'c']])],
  ['an empty name', get('/', [['', 'c']])],
  ['transfer-encoding', get('/', [['transfer-encoding', 'chunked']])],
  ['connection', get('/', [['connection', 'x-forwarded-for']])],
  ['upgrade', get('/', [['upgrade', 'websocket']])],
  ['keep-alive', get('/', [['keep-alive', '1']])],
  ['te other than trailers', get('/', [['te', 'gzip']])],
  [
    'two content-length',
    get('/', [
      ['content-length', '0'],
      ['content-length', '0'],
    ]),
  ],
  ['a content-length that is no number', get('/', [['content-length', '+5']])],
  ['a content-length without a body', get('/', [['content-length', '5']])],
  ['a space in the path', get('/ HTTP/1.1\r\nx: y')],
  ['a path with a version behind it', get('/a HTTP/1.1')],
  ['a path that is none', get('admin')],
  ['an absolute path', get('http://other/')],
  ['an empty path', get('')],
  ['a fragment', get('/admin#x')],
  ['a space in the method', request('/', 'GET /admin')],
  ['a line end in the method', request('/', 'GET / HTTP/1.1\r\nx: y\r\n\r\nGET')],
  [
    'no method',
    [
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'a'],
    ],
  ],
  ['two paths', [...get('/'), [':path', '/admin']]],
  [
    'a pseudo-header behind others',
    [
      [':method', 'GET'],
      [':scheme', 'http'],
      ['x-a', 'b'],
      [':path', '/'],
      [':authority', 'a'],
    ],
  ],
  ['an unknown pseudo-header', [[':x', 'y'], ...get('/')]],
  [
    'an authority with userinfo',
    [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'b@a'],
    ],
  ],
  [
    'an authority with a line end',
    [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'a\r\nx: y'],
    ],
  ],
  [
    'an authority with a path',
    [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'a/admin'],
    ],
  ],
  [
    'no authority',
    [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
    ],
  ],
  ['an answer as a request', [[':status', '200']]],
];

for (const [what, fields] of refused) {
  test(`refused, nothing reaches the upstream: ${what}`, (t) => {
    const { up, sent } = pass(fields, [], true);
    t.is(up, '');
    t.deepEqual(sent, []);
  });
}

test('Host beside :authority gives way to it', (t) => {
  const { up } = pass(get('/', [['host', 'other']]), [], true);
  t.regex(up, /\r\nhost: a\r\n/);
  t.notRegex(up, /other/);
});

test('DATA that is longer or shorter than content-length never completes a request', (t) => {
  const post = (length: string): Fields => request('/', 'POST', [['content-length', length]]);
  const long = pass(post('3'), [data(1, 'abcGET /admin HTTP/1.1\r\n\r\n', true)], false);
  t.notRegex(long.up, /admin/);
  const short = pass(post('30'), [data(1, 'abc', true)], false);
  t.true(short.up === '' || !short.up.endsWith('abc') || short.sent.length === 0);
  t.deepEqual([...long.sent, ...short.sent], []);
});

test('a body that looks like chunks is one', (t) => {
  const { up } = pass(request('/', 'POST'), [data(1, '0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n', true)], false);
  t.regex(up, /\r\ntransfer-encoding: chunked\r\n\r\n1c\r\n0\r\n\r\nGET \/admin HTTP\/1\.1\r\n\r\n\r\n0\r\n\r\n$/);
});

test('trailers cannot bring what belongs into a head', (t) => {
  const trailers = frame(
    'headers',
    5,
    1,
    block([
      ['x-sum', 's'],
      ['content-type', 'a/b'],
      ['authorization', 'x'],
    ]),
  );
  const { up } = pass(request('/', 'POST'), [data(1, 'abc'), trailers], false);
  t.true(up.endsWith('\r\n0\r\nx-sum: s\r\n\r\n'));
});

test('regression: trailers behind a body of a known length are dropped, for there they would be another request', (t) => {
  const trailers = headers(1, [['get', '/admin HTTP/1.1']]);
  const post = (length: string): Fields => request('/', 'POST', [['content-length', length]]);
  t.true(pass(post('3'), [data(1, 'abc'), trailers], false).up.endsWith('\r\n\r\nabc'));
  t.true(pass(post('0'), [trailers], false).up.endsWith('\r\n\r\n'));
  const w = new FakeWorker();
  w.autoConnect = false;
  const client = new RawPeer(w.client(), false);
  client.hello();
  client.send(headers(1, post('3'), false), data(1, 'abc'), trailers);
  w.upstream().connect();
  t.true(w.upstream().output.endsWith('\r\n\r\nabc'), 'of one that had to wait, too');
});

function readByNode(text: string): Promise<readonly string[]> {
  return new Promise((resolve) => {
    const seen: string[] = [];
    const serve: http.RequestListener = (req, res) => {
      seen.push(`${req.method} ${req.url}`);
      req.resume();
      res.end();
    };
    const server = http.createServer(serve);
    server.on('checkContinue', serve);
    server.on('checkExpectation', serve);
    server.on('upgrade', (req) => seen.push(`${req.method} ${req.url}`));
    server.on('clientError', (error: NodeJS.ErrnoException) => {
      seen.push(`error ${error.code}`);
    });
    const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    server.emit('connection', socket);
    socket.push(Buffer.from(text, 'latin1'));
    setImmediate(() => setImmediate(() => resolve(seen)));
  });
}

const nasty = fc.constantFrom(
  'a',
  'b',
  ' ',
  '\t',
  '\r',
  '\n',
  '\0',
  ':',
  '/',
  '?',
  '#',
  '%',
  '\x7f',
  '\xff',
  '"',
  ',',
  ';',
  '=',
  '@',
);
const textOf = (max: number): fc.Arbitrary<string> => fc.array(nasty, { maxLength: max }).map((a) => a.join(''));
const known = [
  'content-length',
  'transfer-encoding',
  'connection',
  'host',
  'te',
  'expect',
  'upgrade',
  'cookie',
  'trailer',
];
const name = fc.oneof(fc.constantFrom(...known), textOf(6), fc.stringMatching(/^[a-z-]{1,8}$/));
const value = fc.oneof(
  textOf(8),
  fc.constantFrom('chunked', '0', '3', '5', 'trailers', 'close', '100-continue'),
  fc.stringMatching(/^[!-~]{1,12}$/),
);
const path = fc.oneof(
  textOf(8).map((s) => `/${s}`),
  textOf(5),
  fc.stringMatching(/^\/[a-z/?=%.-]{0,12}$/),
);
const methods = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS');

test('crafted requests: what reaches the upstream is what was authorised, read by Node', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      methods,
      path,
      fc.array(fc.tuple(name, value), { maxLength: 4 }),
      fc.array(fc.string({ maxLength: 30, unit: 'binary-ascii' }), { maxLength: 3 }),
      async (method, target, more, body) => {
        const parts = body.map((b, i) => data(1, b, i === body.length - 1));
        const { up, sent } = pass(request(target, method, more), parts, body.length === 0);
        if (up === '') return;
        const seen = await readByNode(up);
        t.true(seen.length <= 1, `${JSON.stringify(up)} reads as ${seen.join()}`);
        if (sent.length > 0) t.deepEqual(seen, sent, JSON.stringify(up));
      },
    ),
    { numRuns: 1500 },
  );
});

test('underscores in names: the stream is reset as by Envoy, or the header dropped', (t) => {
  const counted = testStats.slots - http2Stat.layout.slots.length;
  const asked = (action: 'reject' | 'drop') => {
    const w = new FakeWorker({ manager: { rejectUnderscoreHeaders: action, http2Stats: counted } });
    const client = new RawPeer(w.client(), false);
    client.hello();
    client.send(
      headers(
        1,
        get('/', [
          ['x_a', '1'],
          ['x-b', '2'],
        ]),
        false,
      ),
      data(1, 'body', true),
      headers(3, get('/')),
    );
    return { w, frames: client.take(), stat: (name: Http2Stat) => w.slots[counted + http2Stat.at[name]] };
  };
  const refused = asked('reject');
  const resets = refused.frames.filter((f) => f.type === 'rstStream');
  t.deepEqual(
    resets.map((f) => [f.stream, f.payload.readUInt32BE(0)]),
    [[1, errorCode.internalError]],
  );
  t.like(refused.w.logged[0], { status: 0, flags: 'DPE', details: 'http2.unexpected_underscore' });
  t.is(refused.w.dialled.length, 1, 'the other stream goes on');
  t.is(refused.stat('requests_rejected_with_underscores_in_headers'), 1);
  const dropped = asked('drop');
  t.regex(dropped.w.dialled[0]?.stream.output ?? '', /host: a\r\nx-b: 2\r\n/);
  t.is(dropped.stat('dropped_headers_with_underscores'), 1);
});
