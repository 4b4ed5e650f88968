/** HTTP/2 at both ends of an exchange, on fake streams: limits, drains, refusals, cuts and back-pressure. */
import test, { type ExecutionContext } from 'ava';
import { defaultHttp2Options } from '../http2/options.ts';
import type { FakeStream } from './testing/fake-stream.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { data, goaway, headers, RawPeer, request, reset, windowUpdate } from './testing/raw-http2.ts';
import { prefixRoute, retrySpec, routeAction, routeConfig } from './testing/specs.ts';

const ok = [[':status', '200']] as const;
const errors = { noError: 0, internalError: 2, refusedStream: 7, cancel: 8 } as const;

/** A worker with a client that has said hello. */
function client(w: FakeWorker, values: readonly (readonly [number, number])[] = []): RawPeer {
  const peer = new RawPeer(w.client(), false);
  peer.hello(values);
  return peer;
}

function upstream(w: FakeWorker, index = 0, values: readonly (readonly [number, number])[] = []): RawPeer {
  const peer = new RawPeer(w.upstream(index), true);
  peer.hello(values);
  return peer;
}

const codeOf = (payload: Buffer, at = 0): number => payload.readUInt32BE(at);

test('the preface decides, however it is split, and is no request', (t) => {
  for (let i = 1; i < 24; i++) {
    const w = new FakeWorker();
    const stream = w.client();
    const bytes = Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      Buffer.from('000000040000000000', 'hex'),
    ]);
    stream.feed(bytes.subarray(0, i));
    stream.feed(bytes.subarray(i));
    const peer = new RawPeer(stream, false);
    t.is(peer.take()[0]?.type, 'settings', `split at ${i}`);
    t.is(w.http('downstream_cx_http2_total'), 1);
    t.is(w.http('downstream_cx_http1_total'), 0);
    t.is(w.http('downstream_cx_total'), 1);
    t.is(w.http('downstream_rq_total'), 0);
    stream.fail('remote-close');
    t.is(w.http('downstream_cx_active'), 0);
    t.is(w.http('downstream_cx_http2_active'), 0);
  }
});

test('PRI that is no preface, and codecs that are fixed', (t) => {
  const auto = new FakeWorker();
  const other = auto.client();
  other.feed('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n');
  t.regex(other.take(), /^HTTP\/1\.1 400 /);
  t.is(auto.http('downstream_cx_http1_total'), 1);
  const fixed = new FakeWorker({ manager: { codec: 'http2' } });
  const plain = fixed.client();
  plain.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  t.is(plain.closed, 'after-flush');
  t.is(fixed.http('downstream_cx_protocol_error'), 1);
  t.is(fixed.dialled.length, 0);
  const agreed = new FakeWorker();
  new RawPeer(agreed.client({ alpn: 'h2' }), false).hello();
  t.is(agreed.http('downstream_cx_http2_total'), 1);
});

test('one upstream connection for many requests; those beyond what the peer takes wait', (t) => {
  const circuit = { maxConnections: 1, maxPendingRequests: 10, maxRequests: 100, maxRetries: 3 };
  const w = new FakeWorker({ cluster: { protocol: 'http2', circuit } });
  const down = client(w);
  down.send(headers(1, request('/1')));
  const up = upstream(w, 0, [[3, 2]]);
  down.send(headers(3, request('/3')), headers(5, request('/5')), headers(7, request('/7')));
  const sent = up.messages();
  t.deepEqual(
    sent.map((f) => f.fields[0]),
    ['GET /1', 'GET /3'],
  );
  t.is(w.clusterStat('upstream_rq_pending_active'), 2);
  up.send(headers(1, ok));
  t.deepEqual(
    up.messages().map((f) => f.fields[0]),
    ['GET /5'],
  );
  up.send(headers(3, ok), headers(5, ok));
  up.send(headers(7, ok));
  t.deepEqual(
    down.messages().map((f) => [f.stream, f.status, f.end]),
    [1, 3, 5, 7].map((id) => [id, 200, true]),
  );
  t.is(w.dialled.length, 1);
  t.is(w.clusterStat('upstream_cx_http2_total'), 1);
  t.is(w.clusterStat('upstream_rq_pending_active'), 0);
  t.is(w.clusterStat('upstream_rq_active'), 0);
});

test('another connection where the limits allow it', (t) => {
  const w = new FakeWorker({ cluster: { protocol: 'http2' } });
  const down = client(w);
  down.send(headers(1, request('/1')));
  upstream(w, 0, [[3, 1]]);
  down.send(headers(3, request('/3')));
  t.is(w.dialled.length, 2);
  t.is(upstream(w, 1).messages()[0]?.fields[0], 'GET /3');
});

test('max_requests of the cluster counts streams', (t) => {
  const circuit = { maxConnections: 10, maxPendingRequests: 10, maxRequests: 1, maxRetries: 3 };
  const w = new FakeWorker({ cluster: { protocol: 'http2', circuit } });
  const down = client(w);
  down.send(headers(1, request('/1')));
  upstream(w);
  down.send(headers(3, request('/3')));
  const [answer] = down.messages();
  t.like(answer, { stream: 3, status: 503 });
  t.true(answer?.fields.includes('x-envoy-overloaded: true'));
});

test('what a GOAWAY leaves out and what is refused is sent again, whatever the method', (t) => {
  const w = new FakeWorker({ cluster: { protocol: 'http2' } });
  const down = client(w);
  down.send(headers(1, request('/1', 'POST')));
  const first = upstream(w);
  down.send(headers(3, request('/3', 'POST')));
  first.send(goaway(1, errors.noError));
  const second = upstream(w, 1);
  t.is(second.messages()[0]?.fields[0], 'POST /3');
  first.send(headers(1, ok));
  t.is(w.upstream(0).closed, 'after-flush');
  second.send(reset(1, errors.refusedStream));
  t.deepEqual(
    down
      .messages()
      .filter((f) => f.type === 'headers')
      .map((f) => [f.stream, f.status]),
    [
      [1, 200],
      [3, 503],
    ],
    'only once',
  );
  t.like(w.lastLog, { flags: 'UR', details: 'upstream_reset_before_response_started{remote_refused_stream_reset}' });
});

test('a reset of the upstream: 503 before the answer, a reset within it', (t) => {
  const w = new FakeWorker({ cluster: { protocol: 'http2' } });
  const down = client(w);
  down.send(headers(1, request('/1')), headers(3, request('/3')));
  const up = upstream(w);
  up.send(reset(1, errors.internalError));
  up.send(headers(3, ok, false), data(3, 'part'), reset(3, errors.cancel));
  const got = down.messages();
  t.like(got[0], { stream: 1, status: 503 });
  t.is(
    got.filter((f) => f.stream === 1 && f.type === 'data')[0]?.payload.toString(),
    'upstream connect error or disconnect/reset before headers. reset reason: remote reset',
  );
  t.deepEqual(
    got.filter((f) => f.stream === 3).map((f) => f.type),
    ['headers', 'data', 'rstStream'],
  );
  t.is(codeOf(got.at(-1)?.payload ?? Buffer.alloc(4)), errors.internalError);
  t.deepEqual(
    w.logged.map((l) => [l.status, l.flags]),
    [
      [503, 'UR'],
      [200, 'UR'],
    ],
  );
  t.is(w.clusterStat('upstream_rq_rx_reset'), 2);
  t.is(w.clusterStat('upstream_cx_active'), 1);
});

test('a client that cuts its stream: the upstream hears it, others go on', (t) => {
  const w = new FakeWorker({ cluster: { protocol: 'http2' } });
  const down = client(w);
  down.send(headers(1, request('/1')), headers(3, request('/3')));
  const up = upstream(w);
  up.take();
  down.send(reset(1, errors.cancel));
  t.deepEqual(
    up.messages().map((f) => [f.type, f.stream, codeOf(f.payload)]),
    [['rstStream', 1, errors.cancel]],
  );
  t.like(w.lastLog, { flags: 'DR', details: 'http2.remote_reset', status: 0 });
  up.send(headers(3, ok));
  t.like(down.messages()[0], { stream: 3, status: 200 });
  t.is(w.clusterStat('upstream_rq_tx_reset'), 1);
  t.is(w.http('downstream_rq_rx_reset'), 1);
});

test('an answer before the end of the request: whole, then NO_ERROR', (t) => {
  const w = new FakeWorker({ cluster: { protocol: 'http2' } });
  const down = client(w);
  down.send(headers(1, request('/', 'POST'), false), data(1, 'some'));
  const up = upstream(w);
  up.send(headers(1, ok, false), data(1, 'early', true));
  const got = down.messages();
  t.deepEqual(
    got.map((f) => [f.type, f.end]),
    [
      ['headers', false],
      ['data', true],
      ['rstStream', false],
    ],
  );
  t.is(codeOf(got[2]?.payload ?? Buffer.alloc(4)), errors.noError);
  t.is(up.messages().at(-1)?.type, 'rstStream');
  t.is(w.clusterStat('upstream_cx_active'), 1, 'the connection goes on');
});

test('a per-try timeout cuts its stream only', (t) => {
  const retry = retrySpec({ on: ['reset'], perTryTimeoutMs: 100, numRetries: 1 });
  const w = new FakeWorker({
    cluster: { protocol: 'http2' },
    routes: routeConfig([prefixRoute('/', routeAction({ retry }))]),
  });
  const down = client(w);
  down.send(headers(1, request('/slow')), headers(3, request('/fine')));
  const up = upstream(w);
  up.send(headers(3, ok));
  up.take();
  w.advance(200);
  t.deepEqual(
    up.messages().map((f) => [f.type, f.stream]),
    [
      ['rstStream', 1],
      ['headers', 5],
    ],
  );
  up.send(headers(5, ok));
  t.deepEqual(
    down.messages().map((f) => [f.stream, f.status]),
    [
      [3, 200],
      [1, 200],
    ],
  );
  t.is(w.dialled.length, 1);
});

test('drain: GOAWAY twice, what is under way is finished', (t) => {
  const w = new FakeWorker({ cluster: { protocol: 'http2' }, manager: { drainTimeoutMs: 1000 } });
  const down = client(w);
  down.send(headers(1, request('/1')));
  const up = upstream(w);
  w.isDraining = true;
  up.send(headers(1, ok));
  down.send(headers(3, request('/3')));
  const first = down.messages();
  t.deepEqual(
    first.map((f) => f.type),
    ['goaway', 'headers'],
  );
  t.is(codeOf(first[0]?.payload ?? Buffer.alloc(8)), 0x7fffffff);
  t.is(w.http('downstream_cx_drain_close'), 1);
  w.advance(1000);
  const [second] = down.messages();
  t.is(second?.type, 'goaway');
  t.is(codeOf(second?.payload ?? Buffer.alloc(8)), 3);
  t.is(w.http('downstream_cx_active'), 1);
  up.send(headers(3, ok));
  t.like(down.messages()[0], { stream: 3, status: 200 });
  t.is(down.stream.closed, 'after-flush');
  t.is(w.http('downstream_cx_active'), 0);
});

for (const [name, manager, wait] of [
  ['max_connection_duration', { maxConnectionDurationMs: 500 }, 500],
  ['idle_timeout', { idleTimeoutMs: 500 }, 500],
] as const) {
  test(`${name}: the connection is drained`, (t) => {
    const w = new FakeWorker({ manager: { ...manager, drainTimeoutMs: 100 } });
    const down = client(w);
    down.take();
    w.advance(wait);
    t.is(down.messages()[0]?.type, 'goaway');
    t.is(down.stream.closed, 'no');
    w.advance(100);
    t.is(down.messages()[0]?.type, 'goaway');
    t.is(down.stream.closed, 'after-flush');
  });
}

test('max_requests_per_connection, of clients and of upstreams', (t) => {
  const w = new FakeWorker({
    manager: { maxRequestsPerConnection: 1 },
    cluster: { protocol: 'http2', maxRequestsPerConnection: 1 },
  });
  const down = client(w);
  down.send(headers(1, request('/1')), headers(3, request('/3')));
  t.is(w.http('downstream_cx_max_requests_reached'), 1);
  t.is(down.messages()[0]?.type, 'goaway');
  const up = upstream(w);
  t.is(w.clusterStat('upstream_cx_max_requests'), 2);
  t.is(w.dialled.length, 2);
  t.is(upstream(w, 1).messages()[0]?.fields[0], 'GET /3');
  up.send(headers(1, ok));
  t.is(up.stream.closed, 'after-flush');
});

test('a client that does not read stops its own upstream stream, and nobody else', (t) => {
  const http2 = { ...defaultHttp2Options, initialStreamWindowSize: 65_535 };
  const w = new FakeWorker({ cluster: { protocol: 'http2', http2 } });
  const down = client(w, [[4, 1000]]);
  down.send(headers(1, request('/slow')), headers(3, request('/fast')));
  const up = upstream(w);
  up.send(headers(1, ok, false), headers(3, ok, false));
  const chunk = 'x'.repeat(16_000);
  for (let i = 0; i < 4; i++) up.send(data(1, chunk));
  t.is(
    up.take().filter((f) => f.type === 'windowUpdate' && f.stream === 1).length,
    0,
    'no window is given to the stream whose client does not read',
  );
  up.send(data(3, 'hello', true));
  const got = down.messages();
  t.is(
    got.filter((f) => f.stream === 1 && f.type === 'data').reduce((n, f) => n + f.payload.length, 0),
    1000,
  );
  t.is(got.filter((f) => f.stream === 3 && f.type === 'data')[0]?.payload.toString(), 'hello');
  down.send(windowUpdate(1, 100_000));
  t.is(
    down.messages().reduce((n, f) => n + f.payload.length, 0),
    63_000,
  );
  t.true(up.take().some((f) => f.type === 'windowUpdate' && f.stream === 1));
});

test('an upstream that does not read stops its own client stream', (t) => {
  const http2 = { ...defaultHttp2Options, initialStreamWindowSize: 65_535 };
  const w = new FakeWorker({ cluster: { protocol: 'http2' }, manager: { http2 } });
  const down = client(w);
  down.send(headers(1, request('/', 'POST'), false));
  const up = upstream(w, 0, [[4, 1000]]);
  down.take();
  for (let i = 0; i < 4; i++) down.send(data(1, 'x'.repeat(16_000)));
  t.false(down.take().some((f) => f.type === 'windowUpdate' && f.stream === 1));
  up.send(windowUpdate(1, 100_000));
  t.true(down.take().some((f) => f.type === 'windowUpdate' && f.stream === 1));
});

test('a complete answer that nobody takes is cut after the idle time', (t) => {
  const w = new FakeWorker({ cluster: { protocol: 'http2' }, manager: { streamIdleTimeoutMs: 1000 } });
  const down = client(w, [[4, 10]]);
  down.send(headers(1, request('/')));
  const up = upstream(w);
  up.send(headers(1, ok, false), data(1, 'x'.repeat(100), true));
  t.is(w.logged.length, 1);
  down.take();
  w.advance(1000);
  t.deepEqual(
    down.messages().map((f) => f.type),
    ['rstStream'],
  );
});

test('an extended CONNECT to an HTTP/1.1 upstream is an upgrade, its bytes a tunnel', (t) => {
  const http2 = { ...defaultHttp2Options, allowConnect: true };
  const w = new FakeWorker({ manager: { upgrades: ['websocket'], http2 } });
  const down = client(w);
  down.send(headers(1, request('/ws', 'CONNECT', [[':protocol', 'websocket']]).toSorted(), false), data(1, 'early'));
  const up = w.upstream();
  const asked = up.take();
  t.regex(
    asked,
    /^GET \/ws HTTP\/1\.1\r\nhost: a\r\n[\s\S]*upgrade: websocket\r\n[\s\S]*sec-websocket-key: [A-Za-z0-9+/]{22}==\r\n/,
  );
  t.true(asked.endsWith('\r\n\r\n'));
  up.feed('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nfirst');
  t.is(up.take(), 'early');
  const got = down.messages();
  t.like(got[0], { status: 200, end: false });
  t.false(got[0]?.fields.some((f) => f.startsWith('upgrade') || f.startsWith('connection')));
  t.is(got[1]?.payload.toString(), 'first');
  down.send(data(1, '\x00\xff'));
  t.is(up.take(), '\x00\xff');
  down.send(data(1, '', true));
  t.true(up.writeEnded);
  up.feed('last');
  up.end();
  const rest = down.messages();
  t.is(rest.map((f) => f.payload.toString()).join(''), 'last');
  t.true(rest.at(-1)?.end);
  t.is(up.closed, 'after-flush');
  t.is(w.http('downstream_cx_upgrades_active'), 0);
  t.is(w.http('downstream_cx_active'), 1);
});

test('an upgrade to an HTTP/2 upstream is an extended CONNECT', (t) => {
  const w = new FakeWorker({ manager: { upgrades: ['websocket'] }, cluster: { protocol: 'http2' } });
  const stream = w.client();
  stream.feed(
    'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nearly',
  );
  const up = upstream(w, 0, [[8, 1]]);
  const [head] = up.messages();
  t.deepEqual(head?.fields.slice(0, 2), ['CONNECT /ws', ':protocol websocket']);
  t.false(head?.end);
  up.send(headers(1, ok, false), data(1, 'first'));
  const answer = stream.take();
  t.regex(answer, /^HTTP\/1\.1 101 Switching Protocols\r\n[\s\S]*upgrade: websocket\r\n[\s\S]*\r\n\r\nfirst$/);
  t.regex(answer, /sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
  t.is(up.messages()[0]?.payload.toString(), 'early');
  stream.end();
  t.true(up.messages()[0]?.end);
  up.send(data(1, 'last', true));
  t.is(stream.take(), 'last');
  t.is(stream.closed, 'after-flush');
});

test('not configured: neither extended CONNECT nor CONNECT gets through', (t) => {
  const off = new FakeWorker({ manager: { upgrades: ['websocket'] } });
  const down = client(off);
  down.send(headers(1, request('/ws', 'CONNECT', [[':protocol', 'websocket']]).toSorted(), false));
  t.true(down.messages().some((f) => f.type === 'goaway' || f.type === 'rstStream'));
  const plain = new FakeWorker();
  const other = client(plain);
  other.send(
    headers(
      1,
      [
        [':method', 'CONNECT'],
        [':authority', 'a:443'],
      ],
      false,
    ),
  );
  t.like(other.messages()[0], { stream: 1, status: 404 });
  t.is(off.dialled.length + plain.dialled.length, 0);
});

test('data of consecutive frames reaches an HTTP/1.1 client in one write; interleaved streams keep their own bytes', (t) => {
  const w = new FakeWorker({ cluster: { protocol: 'http2' } });
  const [a, b] = [w.client(), w.client()];
  for (const client of [a, b]) client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const up = upstream(w);
  const head = [...ok, ['content-length', '6']] as const;
  up.send(headers(1, head, false), headers(3, head, false));
  a.take();
  b.take();
  let writes = 0;
  const write = a.write.bind(a);
  a.write = (buffer, start, end) => {
    writes++;
    return write(buffer, start, end);
  };
  up.send(data(1, 'aa'), data(1, 'bb'), data(3, 'x'));
  t.is(writes, 1);
  t.is(a.take(), 'aabb');
  t.is(b.take(), 'x');
  up.send(data(3, 'y'), data(1, 'c'), data(3, 'z'), data(3, '123', true), data(1, 'c', true));
  t.is(a.take(), 'cc');
  t.is(b.take(), 'yz123');
  t.is(w.clusterStat('upstream_rq_active'), 0);
});

test('data that waits is handed on before its stream is cut, and not after', (t) => {
  const w = new FakeWorker({ cluster: { protocol: 'http2' } });
  const client = w.client();
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const up = upstream(w);
  up.send(headers(1, [...ok, ['content-length', '9']], false));
  client.take();
  up.send(data(1, 'aaa'), data(1, 'bbb'), reset(1, errors.internalError));
  t.is(client.take(), 'aaabbb');
  t.truthy(client.closed);
});

test('data of consecutive frames reaches an HTTP/1.1 upstream in one write', (t) => {
  const w = new FakeWorker();
  const down = client(w);
  down.send(headers(1, request('/up', 'POST', [['content-length', '8']]), false));
  const up = w.upstream();
  up.take();
  const writes: number[] = [];
  const write = up.write.bind(up);
  up.write = (buffer, start, end) => {
    writes.push(end - start);
    return write(buffer, start, end);
  };
  down.send(data(1, 'aa'), data(1, 'bb'), data(1, 'cc'));
  t.is(up.take(), 'aabbcc');
  down.send(data(1, 'd'), data(1, 'e', true));
  t.is(up.take(), 'de');
  t.deepEqual(writes, [6, 2]);
});

/** Two messages to one HTTP/2 connection, of which the heads are through. */
interface Meeting {
  readonly from: readonly [FakeStream, FakeStream];
  readonly head: string;
  readonly to: RawPeer;
}

const isHeldBack = test.macro((t: ExecutionContext, meet: () => Meeting) => {
  const { from, head, to } = meet();
  const [a, b] = from;
  to.stream.slow = true;
  a.feed('a'.repeat(10_000));
  b.feed('b'.repeat(30_000));
  a.feed('a'.repeat(20_000));
  t.is(a.bytesReceived, head.length + 10_000);
  t.is(b.bytesReceived, head.length);
  to.stream.unblock();
  const got = to.messages().filter((f) => f.type === 'data');
  const of = (id: number): string =>
    got
      .filter((f) => f.stream === id)
      .map((f) => f.payload.toString())
      .join('');
  t.is(of(1), 'a'.repeat(30_000));
  t.is(of(3), 'b'.repeat(30_000));
});

const wide = [[4, 10_000_000]] as const;

test('while a connection takes nothing, what would go out on it is not read', isHeldBack, () => {
  const w = new FakeWorker();
  const to = client(w, wide);
  to.send(windowUpdate(0, 10_000_000), headers(1, request('/a')), headers(3, request('/b')));
  const from = [w.upstream(0), w.upstream(1)] as const;
  const head = 'HTTP/1.1 200 OK\r\ncontent-length: 30000\r\n\r\n';
  for (const stream of from) stream.feed(head);
  return { from, head, to };
});

test('while a connection takes nothing, uploads that would go out on it are not read', isHeldBack, () => {
  const w = new FakeWorker({ cluster: { protocol: 'http2' } });
  const from = [w.client(), w.client()] as const;
  const head = 'POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 30000\r\n\r\n';
  for (const stream of from) stream.feed(head);
  const to = upstream(w, 0, wide);
  to.send(windowUpdate(0, 10_000_000));
  return { from, head, to };
});

test('regression: a stream whose answer was complete before its request has room when the request has gone out', (t) => {
  const circuit = { maxConnections: 1, maxPendingRequests: 9, maxRequests: 9, maxRetries: 9 };
  for (const asksBefore of [true, false]) {
    const w = new FakeWorker({ cluster: { protocol: 'http2', circuit } });
    const down = client(w);
    down.send(headers(1, request('/1')));
    const up = upstream(w, 0, [
      [3, 1],
      [4, 0],
    ]);
    up.send(headers(1, ok, true));
    down.send(headers(3, request('/3', 'POST'), false), data(3, 'body', true));
    if (asksBefore) down.send(headers(5, request('/5')));
    up.send(headers(3, ok, true));
    if (!asksBefore) down.send(headers(5, request('/5')));
    t.is(w.clusterStat('upstream_rq_pending_active'), 1);
    up.send(windowUpdate(3, 100));
    t.true(
      up.messages().some((f) => f.fields[0] === 'GET /5'),
      `asked ${asksBefore ? 'before' : 'after'}`,
    );
    t.is(w.clusterStat('upstream_rq_pending_active'), 0);
  }
});
