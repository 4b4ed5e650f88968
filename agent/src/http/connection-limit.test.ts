/** At a cluster's limit of connections nothing waits for one that cannot serve it. */
import test from 'ava';
import { tlsContext } from '../cluster/testing/cluster-fixture.ts';
import type { ClusterSpec } from '../model/cluster.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { goaway, headers, RawPeer } from './testing/raw-http2.ts';

const tls = tlsContext('k', { requireSvid: false, autoSni: true });

const get = (host: string): string => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';

/** A worker whose cluster asks its host for the name in the request's Host. */
function worker(protocol: ClusterSpec['protocol'], maxConnections: number): FakeWorker {
  const circuit = { maxConnections, maxPendingRequests: 99, maxRequests: 99, maxRetries: 9 };
  return new FakeWorker({ cluster: { protocol, tls, circuit } });
}

const names = (w: FakeWorker): string[] => w.dialled.map((d) => d.options.sni);

function http2(w: FakeWorker, index: number): RawPeer {
  const up = new RawPeer(w.upstream(index), true);
  up.hello();
  return up;
}

test('regression: HTTP/1.1 for another name does not wait for a connection that works for the first', (t) => {
  const w = worker('http1', 1);
  const [a, b, again] = [w.client(), w.client(), w.client()];
  a.feed(get('a'));
  b.feed(get('b'));
  again.feed(get('a'));
  t.deepEqual(names(w), ['a', 'b'], 'and no more than that');
  w.upstream(1).feed(ok);
  t.regex(b.take(), /^HTTP\/1\.1 200 OK/);
  w.upstream(0).feed(ok);
  t.regex(a.take(), /^HTTP\/1\.1 200 OK/);
  w.upstream(0).feed(ok);
  t.regex(again.take(), /^HTTP\/1\.1 200 OK/, 'the next waits for it');
});

test('regression: HTTP/2 for another name does not wait for a connection that works for the first', (t) => {
  const w = worker('http2', 1);
  const [a, b] = [w.client(), w.client()];
  a.feed(get('a'));
  b.feed(get('b'));
  t.deepEqual(names(w), ['a', 'b']);
  for (const [i, client] of [a, b].entries()) {
    http2(w, i).send(headers(1, [[':status', '200']], true));
    t.regex(client.take(), /^HTTP\/1\.1 200 OK/);
  }
});

for (const protocol of ['http1', 'http2'] as const) {
  test(`regression: ${protocol}: a connection that nobody uses gives its place to another name, however many come`, (t) => {
    const w = worker(protocol, 2);
    for (let i = 0; i < 20; i++) {
      const client = w.client();
      client.feed(get(`h${i}.example`));
      if (protocol === 'http1') w.upstream(i).feed(ok);
      else http2(w, i).send(headers(1, [[':status', '200']], true));
      t.regex(client.take(), /^HTTP\/1\.1 200 OK/);
      t.true(w.clusterStat('upstream_cx_active') <= 2);
    }
    t.is(w.dialled.length, 20);
    t.is(w.clusterStat('upstream_rq_pending_active'), 0);
  });
}

test('regression: HTTP/2: a name whose connection takes no more gets the place of one that nobody uses', (t) => {
  const w = worker('http2', 2);
  const [a, b, again] = [w.client(), w.client(), w.client()];
  a.feed(get('a'));
  b.feed(get('b'));
  const up = http2(w, 0);
  up.send(headers(1, [[':status', '200']], false), goaway(1, 0));
  http2(w, 1).send(headers(1, [[':status', '200']], true));
  t.regex(b.take(), /^HTTP\/1\.1 200 OK/);
  again.feed(get('a'));
  t.deepEqual(names(w), ['a', 'b', 'a']);
  http2(w, 2).send(headers(1, [[':status', '200']], true));
  t.regex(again.take(), /^HTTP\/1\.1 200 OK/);
  t.is(w.clusterStat('upstream_cx_active'), 2);
});

test('regression: a place that becomes free goes to who waits for another name', (t) => {
  const w = worker('http1', 2);
  const clients = ['a', 'b', 'b', 'b'].map((host) => {
    const client = w.client();
    client.feed(get(host));
    return client;
  });
  t.deepEqual(names(w), ['a', 'b']);
  w.upstream(0).feed('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  t.deepEqual(names(w), ['a', 'b', 'b']);
  for (const i of [1, 2, 1]) w.upstream(i).feed(ok);
  for (const client of clients) t.regex(client.take(), /^HTTP\/1\.1 200 OK/);
});

test('regression: HTTP/1.1: a connection that fails fails who asked for its name, and nobody else', (t) => {
  const w = worker('http1', 9);
  w.autoConnect = false;
  const [a, b] = [w.client(), w.client()];
  a.feed(get('a'));
  b.feed(get('b'));
  w.upstream(1).fail('tls-failed', 'certificate unknown');
  t.regex(b.take(), /^HTTP\/1\.1 503 /);
  t.is(a.take(), '');
  w.upstream(0).connect();
  w.upstream(0).feed(ok);
  t.regex(a.take(), /^HTTP\/1\.1 200 OK/);
});

test('regression: HTTP/1.1: with the only connection that was allowed fails whatever waited for it', (t) => {
  const w = worker('http1', 1);
  w.autoConnect = false;
  const clients = [1, 2, 3].map(() => w.client());
  for (const client of clients) client.feed(get('a'));
  t.is(w.dialled.length, 1);
  w.upstream(0).fail('connect-refused');
  for (const client of clients) t.regex(client.take(), /^HTTP\/1\.1 503 /);
  t.is(w.clusterStat('upstream_rq_pending_active'), 0);
  t.is(w.clusterStat('upstream_cx_active'), 0);
});
