/** CONNECT: passed on to the upstream, or ended here and joined to a TCP connection; refused in every other way. */
import test from 'ava';
import type { HttpConnectionManagerSpec, RouteActionSpec, RouteSpec } from '../model/http.ts';
import { readCapacity } from '../net/stream.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { prefixRoute, retrySpec, routeAction, routeConfig } from './testing/specs.ts';

const connect = (more = ''): string => `CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n${more}\r\n`;
const established = 'HTTP/1.1 200 Fine\r\nx-a: b\r\ncontent-length: 7\r\n\r\n';

const route = (action: Partial<RouteActionSpec> = {}): RouteSpec => {
  const made = prefixRoute('/', routeAction(action));
  return { ...made, match: { ...made.match, path: { kind: 'connect' } } };
};

function worker(action: Partial<RouteActionSpec> = {}, manager: Partial<HttpConnectionManagerSpec> = {}): FakeWorker {
  return new FakeWorker({
    manager: { upgrades: ['CONNECT'], ...manager },
    routes: routeConfig([route(action), prefixRoute('/', routeAction())]),
  });
}

test('passed on: what the client sends ahead waits for the 200, then both ways untouched', (t) => {
  const w = worker();
  const client = w.client();
  client.feed(`${connect()}early`);
  const up = w.upstream();
  const head = up.take();
  t.regex(head, /^CONNECT a\.example:443 HTTP\/1\.1\r\nhost: a\.example:443\r\n/);
  t.true(head.endsWith('\r\n\r\n'));
  t.notRegex(head, /connection|content-length/);
  up.feed(`${established}hello`);
  t.regex(client.take(), /^HTTP\/1\.1 200 OK\r\nx-a: b\r\ndate: [^\r]*\r\nserver: envoy\r\n\r\nhello$/);
  t.is(up.take(), 'early');
  client.feed('GET /secret HTTP/1.1\r\n\r\n');
  t.is(up.take(), 'GET /secret HTTP/1.1\r\n\r\n');
  client.end();
  t.true(up.writeEnded);
  up.feed('last');
  up.end();
  t.is(client.take(), 'last');
  t.is(client.closed, 'after-flush');
  t.like(w.lastLog, { status: 200, details: 'via_upstream' });
  t.is(w.http('downstream_cx_active'), 0);
  t.is(w.clusterStat('upstream_cx_active'), 0);
});

test('another answer is a normal one and the last of its connection', (t) => {
  const w = worker();
  const client = w.client();
  client.feed(`${connect()}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
  w.upstream().feed('HTTP/1.1 407 No\r\ncontent-length: 2\r\n\r\nno');
  t.regex(client.take(), /^HTTP\/1\.1 407 [\s\S]*\r\nconnection: close\r\n\r\nno$/);
  t.is(client.closed, 'after-flush');
  t.is(w.dialled.length, 1);
  t.notRegex(w.upstream().take(), /smuggled/);
});

test('a 101 is no answer to a CONNECT', (t) => {
  const w = worker();
  const client = w.client();
  client.feed(connect());
  w.upstream().feed('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n');
  t.regex(client.take(), /^HTTP\/1\.1 502 /);
});

test('ended here: the connection that comes up is the answer, and gets the bytes and nothing else', (t) => {
  const w = worker({ terminatesConnect: true });
  w.autoConnect = false;
  const client = w.client();
  client.feed(`${connect()}early`);
  t.is(client.take(), '');
  const up = w.upstream();
  up.connect();
  t.regex(client.take(), /^HTTP\/1\.1 200 OK\r\ndate: [^\r]*\r\nserver: envoy\r\n\r\n$/);
  t.is(up.take(), 'early');
  up.feed('\x00\xff');
  t.is(client.take(), '\x00\xff');
  client.feed('x');
  t.is(up.take(), 'x');
  up.end();
  t.true(client.writeEnded);
  client.feed('still');
  t.is(up.take(), 'still');
  client.end();
  t.is(up.closed, 'after-flush');
  t.is(client.closed, 'after-flush');
  for (const name of ['upstream_cx_active', 'upstream_rq_active'] as const) t.is(w.clusterStat(name), 0);
  t.is(w.clusterStat('upstream_cx_destroy'), 1);
  t.like(w.lastLog, { status: 200, details: 'via_upstream' });
});

test('ended here: every split of what the client sends gives the same', (t) => {
  const text = `${connect('X-A: b\r\n')}inner bytes`;
  for (let i = 1; i < text.length; i++) {
    const w = worker({ terminatesConnect: true });
    const client = w.client();
    client.feed(text.slice(0, i));
    client.feed(text.slice(i));
    t.regex(client.take(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n$/, `split at ${i}`);
    t.is(w.upstream().take(), 'inner bytes', `split at ${i}`);
  }
});

test('ended here: nobody there, after a retry', (t) => {
  const w = worker({ terminatesConnect: true, retry: retrySpec({ on: ['connect-failure'] }) });
  w.autoConnect = false;
  const client = w.client();
  client.feed(connect());
  w.upstream().fail('connect-refused');
  w.advance(300);
  w.upstream(1).fail('connect-refused');
  t.regex(client.take(), /^HTTP\/1\.1 503 [\s\S]*connection: close\r\n[\s\S]*remote connection failure$/);
  t.is(w.clusterStat('upstream_cx_connect_fail'), 2);
  t.is(w.clusterStat('upstream_cx_active'), 0);
});

test('ended here: the PROXY header goes before the first byte of the client', (t) => {
  const w = worker({ terminatesConnect: true, tunnelProxyHeader: 'v1' });
  const client = w.client({ remoteIp: '10.1.1.1', remotePort: 1234, localIp: '10.2.2.2', localPort: 80 });
  client.feed(`${connect()}early`);
  t.is(w.upstream().take(), 'PROXY TCP4 10.1.1.1 10.2.2.2 1234 80\r\nearly');
  const binary = worker({ terminatesConnect: true, tunnelProxyHeader: 'v2' });
  binary.client().feed(connect());
  t.true(binary.upstream().take().startsWith('\r\n\r\n\0\r\nQUIT\n'));
});

const post = (more: string): string => `POST /p HTTP/1.1\r\nHost: a\r\n${more}\r\n`;

function postWorker(action: Partial<RouteActionSpec> = {}): FakeWorker {
  return new FakeWorker({
    routes: routeConfig([prefixRoute('/', routeAction({ terminatesConnect: true, terminatesPost: true, ...action }))]),
  });
}

test('a POST that ends here: its body goes to the host, whose bytes are the body of the answer', (t) => {
  const w = postWorker({ tunnelProxyHeader: 'v1' });
  w.autoConnect = false;
  const client = w.client({ remoteIp: '10.1.1.1', remotePort: 1234, localIp: '10.2.2.2', localPort: 80 });
  client.feed(`${post('Transfer-Encoding: chunked\r\n')}3\r\nabc\r\n`);
  t.is(client.take(), '');
  const up = w.upstream();
  up.connect();
  t.is(up.take(), 'PROXY TCP4 10.1.1.1 10.2.2.2 1234 80\r\nabc');
  t.regex(client.take(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*transfer-encoding: chunked\r\n\r\n$/);
  up.feed('one');
  t.is(client.take(), '3\r\none\r\n');
  client.feed('2\r\nde\r\n0\r\n\r\n');
  t.is(up.take(), 'de');
  t.true(up.writeEnded);
  up.feed('two');
  up.end();
  t.is(client.take(), '3\r\ntwo\r\n0\r\n\r\n');
  t.is(client.closed, 'after-flush', 'as after any answer that began before the request had ended');
  t.is(w.clusterStat('upstream_cx_active'), 0);
  t.is(w.clusterStat('upstream_rq_active'), 0);
  t.like(w.lastLog, { status: 200, details: 'via_upstream' });
});

test('a POST that ends here: every split of the request gives the same', (t) => {
  const text = `${post('Transfer-Encoding: chunked\r\n')}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`;
  for (let i = 1; i < text.length; i++) {
    const w = postWorker();
    const client = w.client();
    client.feed(text.slice(0, i));
    client.feed(text.slice(i));
    t.is(w.upstream().take(), 'abcde', `split at ${i}`);
    t.true(w.upstream().writeEnded, `split at ${i}`);
  }
});

test('a POST that ends here: without a body, with an expectation, refused by the host, cut off by the host', (t) => {
  const empty = postWorker();
  empty.client().feed(post('Content-Length: 0\r\n'));
  t.true(empty.upstream().writeEnded);
  const expecting = postWorker();
  const waiting = expecting.client();
  waiting.feed(post('Content-Length: 2\r\nExpect: 100-continue\r\n'));
  t.regex(waiting.take(), /^HTTP\/1\.1 100 Continue\r\n[\s\S]*HTTP\/1\.1 200 OK\r\n/);
  const dead = postWorker();
  dead.autoConnect = false;
  const refused = dead.client();
  refused.feed(`${post('Content-Length: 2\r\n')}hi`);
  dead.upstream().fail('connect-refused');
  t.regex(refused.take(), /^HTTP\/1\.1 503 /);
  const cut = postWorker();
  const client = cut.client();
  client.feed(`${post('Content-Length: 2\r\n')}hi`);
  cut.upstream().feed('half');
  cut.upstream().fail('remote-reset');
  t.notRegex(client.take(), /\r\n0\r\n\r\n$/);
  t.not(client.closed, 'no');
});

test('only a POST of a route that allows it ends here', (t) => {
  const w = postWorker();
  w.client().feed('GET /p HTTP/1.1\r\nHost: a\r\n\r\n');
  t.regex(w.upstream().take(), /^GET \/p HTTP/);
  const without = postWorker({ terminatesPost: false });
  without.client().feed(`${post('Content-Length: 2\r\n')}hi`);
  t.regex(without.upstream().take(), /^POST \/p HTTP/);
});

test('ended here: back-pressure, and a failure that is passed on as one', (t) => {
  const w = worker({ terminatesConnect: true });
  const client = w.client();
  client.feed(connect());
  const up = w.upstream();
  up.slow = true;
  client.feed('x'.repeat(200_000));
  t.true(client.readPaused);
  t.true(up.maxQueued <= readCapacity);
  for (let i = 0; i < 10; i++) up.unblock();
  client.slow = true;
  up.feed('y'.repeat(200_000));
  t.true(up.readPaused);
  t.true(client.maxQueued <= readCapacity + 200);
  client.fail('remote-reset');
  t.is(up.closed, 'reset');
  t.is(w.clusterStat('upstream_cx_active'), 0);
});

test('ended here: a client that goes while the host is dialled takes the attempt with it', (t) => {
  const w = worker({ terminatesConnect: true });
  w.autoConnect = false;
  const client = w.client();
  client.feed(connect());
  client.end();
  t.is(w.upstream().closed, 'close');
  t.is(w.clusterStat('upstream_cx_active'), 0);
  t.is(w.clusterStat('circuit_breakers.default.cx_open'), 0);
});

test('too many connections', (t) => {
  const circuit = { maxConnections: 0, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 };
  const w = new FakeWorker({
    manager: { upgrades: ['CONNECT'] },
    routes: routeConfig([route({ terminatesConnect: true })]),
    cluster: { circuit },
  });
  const client = w.client();
  client.feed(connect());
  t.regex(client.take(), /^HTTP\/1\.1 503 [\s\S]*x-envoy-overloaded: true/);
});

test('not enabled 403, not matched 404, both the last on their connection', (t) => {
  const off = worker({}, { upgrades: [] });
  const refused = off.client();
  refused.feed(`${connect()}GET / HTTP/1.1\r\nHost: a\r\n\r\n`);
  t.regex(refused.take(), /^HTTP\/1\.1 403 [\s\S]*connection: close\r\ncontent-length: 0\r\n\r\n$/);
  const w = new FakeWorker({ manager: { upgrades: ['CONNECT'] } });
  const unmatched = w.client();
  unmatched.feed(`${connect()}GET / HTTP/1.1\r\nHost: a\r\n\r\n`);
  t.regex(unmatched.take(), /^HTTP\/1\.1 404 [\s\S]*connection: close\r\ncontent-length: 0\r\n\r\n$/);
  t.is(off.dialled.length + w.dialled.length, 0);
});

test('a target that is not host:port, another Host, or a body are refused', (t) => {
  for (const text of [
    'CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n',
    'CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n',
    'CONNECT user@a:443 HTTP/1.1\r\nHost: user@a:443\r\n\r\n',
    'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 5\r\n\r\nhello',
    'CONNECT a:443?x HTTP/1.1\r\nHost: a:443\r\n\r\n',
  ]) {
    const w = worker();
    const client = w.client();
    client.feed(text);
    t.regex(client.take(), /^HTTP\/1\.1 400 [\s\S]*connection: close/, text);
    t.is(w.dialled.length, 0);
  }
});

test('a rule about paths never allows a CONNECT, which has none, and always denies it', (t) => {
  const tables = [
    ['allow', '.*'],
    ['deny', '/admin'],
  ] as const;
  for (const [action, value] of tables) {
    const rule = { kind: 'url_path', path: { kind: 'regex', value, ignoreCase: false } } as const;
    const rules = { action, policies: [{ name: 'p', permissions: [rule], principals: [{ kind: 'any' }] }] } as const;
    const rbac = { kind: 'rbac', name: 'rbac', stats: 900, rules, shadowRules: null } as const;
    const w = worker({}, { filters: [rbac, { kind: 'router' }] });
    const client = w.client();
    client.feed(connect());
    t.regex(client.take(), /^HTTP\/1\.1 403 [\s\S]*RBAC: access denied$/);
    t.is(w.dialled.length, 0);
  }
});

test('an Upgrade that calls itself connect is passed on, not ended here', (t) => {
  const w = new FakeWorker({
    manager: { upgrades: ['connect'] },
    routes: routeConfig([prefixRoute('/', routeAction({ terminatesConnect: true }))]),
  });
  w.client().feed('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: connect\r\n\r\n');
  t.regex(w.upstream().take(), /^GET \/ HTTP\/1\.1\r\n[\s\S]*upgrade: connect\r\n/);
});
