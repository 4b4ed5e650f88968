/** Which protocol an upstream is spoken to in: agreed on by ALPN, or the client's own. */
import test from 'ava';
import { tlsContext } from '../cluster/testing/cluster-fixture.ts';
import type { ClusterSpec } from '../model/cluster.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { headers, RawPeer, request } from './testing/raw-http2.ts';

const tls = tlsContext('k', { alpn: ['chainmail', 'h2', 'http/1.1'], requireSvid: false });

const get = (path = '/'): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';

/** A worker whose upstream connections come up when the test says what was agreed on. */
function worker(over: Partial<ClusterSpec> = {}): FakeWorker {
  const w = new FakeWorker({ cluster: { protocol: 'auto', tls, ...over }, manager: { upgrades: ['websocket'] } });
  w.autoConnect = false;
  return w;
}

function agree(w: FakeWorker, index: number, alpn: string): void {
  const stream = w.upstream(index);
  stream.info = { ...stream.info, alpn, tlsVersion: 'TLSv1.3' };
  stream.connect();
}

test('h2 agreed on: one connection for the requests that waited, and for those that follow', (t) => {
  const w = worker();
  w.client().feed(get('/1'));
  w.client().feed(get('/2'));
  t.is(w.dialled.length, 1);
  t.is(w.dialled[0]?.options.alpn, undefined, 'what the context says is offered');
  agree(w, 0, 'h2');
  const up = new RawPeer(w.upstream(), true);
  up.hello();
  w.client().feed(get('/3'));
  t.deepEqual(
    up.messages().map((f) => f.fields[0]),
    ['GET /1', 'GET /2', 'GET /3'],
  );
  t.is(w.dialled.length, 1);
  t.is(w.clusterStat('upstream_cx_http2_total'), 1);
  t.is(w.clusterStat('upstream_cx_http1_total'), 0);
});

for (const alpn of ['http/1.1', '']) {
  test(`${alpn || 'nothing'} agreed on: HTTP/1.1 on that very connection, and one more for each request that waited`, (t) => {
    const w = worker();
    const clients = [1, 2, 3].map((i) => {
      const client = w.client();
      client.feed(get(`/${i}`));
      return client;
    });
    t.is(w.dialled.length, 1);
    agree(w, 0, alpn);
    t.regex(w.upstream(0).take(), /^GET \/1 HTTP\/1\.1\r\n/);
    t.is(w.dialled.length, 3);
    t.deepEqual(w.dialled[1]?.options.alpn, ['chainmail', 'http/1.1'], 'it is not asked again');
    agree(w, 1, alpn);
    agree(w, 2, alpn);
    for (const { stream } of w.dialled) stream.feed(ok);
    for (const client of clients) t.regex(client.take(), /^HTTP\/1\.1 200 OK/);
    t.is(w.clusterStat('upstream_cx_http1_total'), 3);
    t.is(w.clusterStat('upstream_cx_http2_total'), 0);
    t.is(w.clusterStat('upstream_cx_active'), 3);
    t.is(w.clusterStat('upstream_rq_pending_active'), 0);
    t.is(w.clusterStat('upstream_rq_active'), 0);
  });
}

test('HTTP/2 is asked for again when no connection is left', (t) => {
  const w = worker();
  const client = w.client();
  client.feed(get());
  agree(w, 0, 'http/1.1');
  w.upstream(0).feed(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
  client.feed(get('/again'));
  t.is(w.dialled[1]?.options.alpn, undefined);
  agree(w, 1, 'h2');
  const up = new RawPeer(w.upstream(1), true);
  up.hello();
  t.is(up.messages()[0]?.fields[0], 'GET /again');
});

test('an upgrade has a connection of its own, on which only HTTP/1.1 is offered', (t) => {
  const w = worker();
  w.client().feed(get());
  agree(w, 0, 'h2');
  const client = w.client();
  client.feed('GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
  t.deepEqual(w.dialled[1]?.options.alpn, ['chainmail', 'http/1.1']);
  agree(w, 1, 'http/1.1');
  t.regex(w.upstream(1).take(), /^GET \/ws HTTP\/1\.1\r\n/);
  w.upstream(1).feed('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nraw');
  t.true(client.take().endsWith('\r\n\r\nraw'));
});

test('requests for other names do not wait for the connection of the first', (t) => {
  const w = worker({ tls: { ...tls, autoSni: true } });
  const ask = (host: string): string => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  for (const host of ['a.example', 'b.example', 'a.example']) w.client().feed(ask(host));
  t.deepEqual(
    w.dialled.map((d) => d.options.sni),
    ['a.example', 'b.example'],
  );
  for (const i of [0, 1]) {
    agree(w, i, 'h2');
    const up = new RawPeer(w.upstream(i), true);
    up.hello();
    t.is(up.messages().length, i === 0 ? 2 : 1);
  }
  t.is(w.clusterStat('upstream_rq_pending_active'), 0);
});

test('a failed connection fails only those who asked for its name', (t) => {
  const w = worker({ tls: { ...tls, autoSni: true } });
  const [a, b] = [w.client(), w.client()];
  a.feed('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
  b.feed('GET / HTTP/1.1\r\nHost: b.example\r\n\r\n');
  w.upstream(0).fail('tls-failed', 'certificate unknown');
  t.regex(a.take(), /^HTTP\/1\.1 503 /);
  agree(w, 1, 'h2');
  const up = new RawPeer(w.upstream(1), true);
  up.hello();
  t.is(up.messages().length, 1);
});

test('a failed connection fails everything that waited for it', (t) => {
  const w = worker();
  const clients = [w.client(), w.client()];
  for (const client of clients) client.feed(get());
  w.upstream(0).fail('tls-failed', 'certificate unknown');
  for (const client of clients) t.regex(client.take(), /^HTTP\/1\.1 503 /);
  t.is(w.clusterStat('upstream_cx_connect_fail'), 1);
  t.is(w.clusterStat('upstream_rq_pending_active'), 0);
  t.is(w.clusterStat('upstream_cx_active'), 0);
});

test('without TLS there is nobody to agree with: HTTP/1.1', (t) => {
  const w = worker({ tls: null });
  w.autoConnect = true;
  w.client().feed(get());
  t.regex(w.upstream().take(), /^GET \/ HTTP\/1\.1\r\n/);
});

test('use_downstream_protocol_config: each client is passed on in its own version', (t) => {
  const w = new FakeWorker({ cluster: { protocol: 'downstream' } });
  w.client().feed(get('/one'));
  const two = new RawPeer(w.client(), false);
  two.hello();
  two.send(headers(1, request('/two')));
  t.regex(w.upstream(0).take(), /^GET \/one HTTP\/1\.1\r\n/);
  const up = new RawPeer(w.upstream(1), true);
  up.hello();
  t.is(up.messages()[0]?.fields[0], 'GET /two');
});

test('a host that goes away: its connection finishes what it has and takes nothing more', (t) => {
  const w = worker();
  w.client().feed(get('/1'));
  agree(w, 0, 'h2');
  const up = new RawPeer(w.upstream(0), true);
  up.hello();
  w.setEndpoints([]);
  t.is(up.stream.closed, 'no');
  up.send(headers(1, [[':status', '200']]));
  t.is(up.stream.closed, 'after-flush');
  t.is(w.clusterStat('upstream_cx_active'), 0);
});

test('regression: at the limit of connections each protocol still gets one: those of the other would never serve it', (t) => {
  const circuit = { maxConnections: 1, maxPendingRequests: 9, maxRequests: 9, maxRetries: 9 };
  const w = new FakeWorker({ cluster: { protocol: 'downstream', circuit } });
  const first = new RawPeer(w.client(), false);
  first.hello();
  first.send(headers(1, request()));
  const [one, two] = [w.client(), w.client()];
  one.feed(get());
  t.is(w.dialled.length, 2);
  two.feed(get());
  t.is(w.dialled.length, 2, 'and no more than that');
  w.upstream(1).feed(ok);
  t.regex(one.take(), /^HTTP\/1\.1 200 OK/);
  w.upstream(1).feed(ok);
  t.regex(two.take(), /^HTTP\/1\.1 200 OK/, 'the next waits for it');
});
