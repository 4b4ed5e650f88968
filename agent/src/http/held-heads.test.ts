/** A head on HTTP/2 goes on together with the body that comes right behind it, and never waits for one that does not. */
import test from 'ava';
import { FakeWorker } from './testing/fake-worker.ts';
import { data, frame, headers, RawPeer, request, reset } from './testing/raw-http2.ts';

const ok = [
  [':status', '200'],
  ['content-length', '5'],
] as const;

/** Clients of HTTP/1.1 that have asked before an upstream of HTTP/2. */
function asking(clients: number) {
  const w = new FakeWorker({ cluster: { protocol: 'http2' } });
  const downs = Array.from({ length: clients }, () => w.client());
  for (const [i, down] of downs.entries()) down.feed(`GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`);
  const up = new RawPeer(w.upstream(), true);
  up.hello();
  return { w, downs, up };
}

test('an answer is one write to a client of HTTP/1.1 when head and body come together', (t) => {
  const { downs, up } = asking(1);
  up.send(headers(1, ok, false), data(1, 'hello', true));
  t.regex(downs[0]?.take() ?? '', /^HTTP\/1\.1 200 OK\r\n(.+\r\n)+\r\nhello$/);
  t.is(downs[0]?.writes, 1);
});

test('a head alone goes on by itself', (t) => {
  const { downs, up } = asking(1);
  up.send(headers(1, ok, false));
  t.regex(downs[0]?.take() ?? '', /^HTTP\/1\.1 200 OK\r\n(.+\r\n)+\r\n$/);
  up.send(data(1, 'hello', true));
  t.is(downs[0]?.take(), 'hello');
});

test('heads and bodies of several answers in any order reach their own clients', (t) => {
  const orders: readonly (readonly number[])[] = [
    [1, 3, 1, 3],
    [1, 3, 3, 1],
    [1, 1, 3, 3],
    [3, 1, 1, 3],
  ];
  for (const order of orders) {
    const { downs, up } = asking(2);
    const seen = new Set<number>();
    const frames = order.map((id) => {
      if (seen.has(id)) return data(id, `body${id}`, true);
      seen.add(id);
      return headers(id, ok, false);
    });
    up.send(...frames);
    const bodies = downs.map((down) => down.take().slice(-5));
    t.deepEqual(bodies, ['body1', 'body3'], order.join());
  }
});

test('a head and a reset behind it: the client sees the answer begin and break', (t) => {
  const { w, downs, up } = asking(1);
  up.send(headers(1, ok, false), reset(1, 2));
  t.regex(downs[0]?.take() ?? '', /^HTTP\/1\.1 200 OK\r\n/);
  t.not(downs[0]?.closed, 'no');
  t.is(w.logged.length, 1);
});

test('trailers right behind a head', (t) => {
  const { downs, up } = asking(1);
  up.send(headers(1, [[':status', '200']], false), headers(1, [['x-sum', '1']]));
  t.regex(downs[0]?.take() ?? '', /\r\n\r\n0\r\nx-sum: 1\r\n\r\n$/);
});

function http2Client(protocol: 'http1' | 'http2') {
  const w = new FakeWorker({ cluster: { protocol } });
  const down = new RawPeer(w.client(), false);
  down.hello();
  return { w, down };
}

test('a request is one write to an upstream of HTTP/1.1 when head and body come together', (t) => {
  const { w, down } = http2Client('http1');
  const post = request('/', 'POST', [['content-length', '5']]);
  down.send(headers(1, post, false), data(1, 'hello', true));
  down.send(headers(3, post, false));
  w.upstream().feed('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  t.regex(w.upstream().take(), /^POST \/ HTTP\/1\.1\r\n(.+\r\n)+\r\nhello$/);
  t.is(w.upstream().writes, 1);
  t.regex(w.upstream(1).take(), /^POST \/ HTTP\/1\.1\r\n(.+\r\n)+\r\n$/, 'a head alone does not wait');
});

test('regression: an empty DATA frame that ends a request is not folded into the head (grpc-go waits for it)', (t) => {
  const { w, down } = http2Client('http2');
  down.send(headers(1, request('/', 'POST'), false), data(1, '', true));
  const up = new RawPeer(w.upstream(), true);
  up.hello();
  t.deepEqual(
    up.messages().map((f) => [f.type, f.payload.length > 0, f.end]),
    [
      ['headers', true, false],
      ['data', false, true],
    ],
  );
});

test('a request that is reset in the read it came with is never begun upstream', (t) => {
  const { w, down } = http2Client('http2');
  down.send(headers(1, request('/', 'POST'), false), reset(1, 8));
  t.is(w.dialled.length, 0);
  t.is(w.http('downstream_rq_rx_reset'), 1);
  t.is(w.http('downstream_rq_active'), 0);
  t.like(w.lastLog, { flags: 'DR', details: 'http2.remote_reset', status: 0 });
  down.send(headers(3, request('/')));
  t.is(w.dialled.length, 1, 'the next one is');
});

test('a request whose connection breaks a rule right behind its head is over, and counted once', (t) => {
  const { w, down } = http2Client('http2');
  down.send(headers(1, request('/', 'POST'), false), frame('ping', 0, 1, '12345678'));
  t.is(w.http('downstream_rq_total'), 1);
  t.is(w.http('downstream_rq_active'), 0);
  t.is(w.clusterStat('upstream_rq_active'), 0);
  t.is(w.logged.length, 1);
});

test('regression: a request that the agent answers itself is over when its empty DATA or trailers come in the same read', (t) => {
  const ends = [data(1, '', true), headers(1, [['x-sum', '1']])];
  for (const end of ends) {
    const { w, down } = http2Client('http2');
    down.send(headers(1, request('/nowhere#fragment', 'POST'), false), end, headers(3, request('/')));
    t.deepEqual(
      down.messages().map((f) => [f.stream, f.status]),
      [[1, 400]],
    );
    t.is(w.logged.length, 1);
    t.is(w.http('downstream_rq_active'), 1, 'the next one is served');
    t.is(w.dialled.length, 1);
  }
});
