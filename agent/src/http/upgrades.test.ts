import test from 'ava';
import { errorCode } from '../http2/frame.ts';
import { readCapacity } from '../net/stream.ts';
import type { FakeStream } from './testing/fake-stream.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { data, goaway, headers, RawPeer, reset, settings, windowUpdate } from './testing/raw-http2.ts';
import { noMutations, prefixRoute, retrySpec, routeAction, routeConfig } from './testing/specs.ts';

const ask = (more = '', path = '/ws'): string =>
  `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n${more}\r\n`;
const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nX-A: b\r\n\r\n';
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi';
const worker = (): FakeWorker => new FakeWorker({ manager: { upgrades: ['websocket'] } });

test('a WebSocket: bytes before the 101 are held, then both ways untouched, half-close kept', (t) => {
  const w = worker();
  const client = w.client();
  client.feed(`${ask()}early`);
  const up = w.upstream();
  t.regex(
    up.take(),
    /^GET \/ws HTTP\/1\.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: WebSocket\r\nsec-websocket-key: k\r\n[\s\S]*\r\n\r\n$/,
  );
  client.feed(' bird');
  t.is(up.take(), '');
  up.feed(`${switching}first`);
  t.regex(
    client.take(),
    /^HTTP\/1\.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nx-a: b\r\n[\s\S]*\r\n\r\nfirst$/,
  );
  t.is(up.take(), 'early bird');
  client.feed('GET / HTTP/1.1\r\n\r\n\0\xff');
  t.is(up.take(), 'GET / HTTP/1.1\r\n\r\n\0\xff');
  up.feed('\x81\x02hi');
  t.is(client.take(), '\x81\x02hi');
  t.is(w.http('downstream_cx_upgrades_active'), 1);
  client.end();
  t.true(up.writeEnded);
  up.feed('last');
  t.is(client.take(), 'last');
  up.end();
  t.is(client.closed, 'after-flush');
  t.is(w.http('downstream_cx_upgrades_active'), 0);
  t.is(w.http('downstream_cx_upgrades_total'), 1);
  t.is(w.http('downstream_cx_active'), 0);
  t.is(w.clusterStat('upstream_cx_active'), 0);
  t.is(w.clusterStat('upstream_rq_active'), 0);
  t.like(w.lastLog, { status: 101, details: 'via_upstream' });
});

test("headers that a route adds to the answer of an upgrade know that it is the upstream's", (t) => {
  const value = '%RESPONSE_CODE% %RESPONSE_CODE_DETAILS%';
  const responseAdd = [{ name: 'x-how', value, action: 'append', keepEmpty: false }] as const;
  const routes = routeConfig([prefixRoute('/', routeAction(), { ...noMutations, responseAdd })]);
  const w = new FakeWorker({ manager: { upgrades: ['websocket'] }, routes });
  const client = w.client();
  client.feed(ask());
  w.upstream().feed(switching);
  t.regex(client.take(), /\r\nx-how: 101 via_upstream\r\n/);
});

test('back-pressure and failure inside the tunnel', (t) => {
  const w = worker();
  const client = w.client();
  client.feed(ask());
  w.upstream().feed(switching);
  w.upstream().slow = true;
  client.feed('x'.repeat(200_000));
  t.true(client.readPaused);
  t.true(w.upstream().maxQueued <= readCapacity);
  for (let i = 0; i < 10; i++) w.upstream().unblock();
  t.false(client.readPaused);
  w.upstream().fail('remote-reset');
  t.is(client.closed, 'reset');
  t.is(w.http('downstream_cx_active'), 0);
});

test('a tunnel has no route timeout, but an idle one', (t) => {
  const w = new FakeWorker({ manager: { upgrades: ['websocket'], streamIdleTimeoutMs: 60_000 } });
  const client = w.client();
  client.feed(ask());
  w.upstream().feed(switching);
  for (let i = 0; i < 5; i++) {
    w.advance(50_000);
    client.feed('ping');
  }
  t.is(client.closed, 'no');
  w.advance(60_000);
  // What an end of the connection would say is that the other side has said all it wanted.
  t.is(client.closed, 'reset');
  t.is(w.upstream().closed, 'reset');
  t.like(w.lastLog, { flags: 'SI', details: 'stream_idle_timeout' });
  t.is(w.http('downstream_cx_upgrades_active'), 0);
});

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';

/** A client whose upgrade gets this answer, with bytes of the tunnel ahead of it or behind; none: nobody is there. */
function failed(answer: string | null, when: 'ahead' | 'behind' | 'never') {
  const w = worker();
  if (answer === null) w.autoConnect = false;
  const client = w.client();
  client.feed(ask() + (when === 'ahead' ? smuggled : ''));
  if (answer === null) w.upstream().fail('connect-refused');
  else w.upstream().feed(answer);
  if (when === 'behind') client.feed(smuggled);
  return { w, client };
}

test('regression: an upgrade that fails is the last of its connection: bytes of the tunnel are no request', (t) => {
  const notFound = 'HTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\nno';
  const busy = 'HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n';
  for (const answer of [ok, notFound, busy, 'HTTP/1.1 204 None\r\n\r\n', 'nonsense\r\n\r\n', null]) {
    for (const when of ['ahead', 'behind', 'never'] as const) {
      const { w, client } = failed(answer, when);
      const answers = client.take();
      t.is(answers.match(/^HTTP\/1\.1 /gm)?.length, 1, answers);
      t.regex(answers, /\r\nconnection: close\r\n/);
      t.is(client.closed, 'after-flush');
      t.is(w.dialled.length, 1);
      t.notRegex(w.upstream().take(), /smuggled/);
      t.is(w.http('downstream_rq_total'), 1);
    }
  }
});

test('regression: so is one whose answer comes slowly, after a retry, or from ourselves', (t) => {
  const direct = prefixRoute('/direct', { kind: 'direct_response', status: 200, body: 'x' });
  const retried = prefixRoute('/', routeAction({ retry: retrySpec({ on: ['5xx'] }) }));
  const w = new FakeWorker({ manager: { upgrades: ['websocket'] }, routes: routeConfig([direct, retried]) });
  const own = w.client();
  own.feed(`${ask('', '/direct')}${smuggled}`);
  t.regex(own.take(), /^HTTP\/1\.1 200 [\s\S]*\r\nconnection: close\r\n\r\nx$/);
  t.is(own.closed, 'after-flush');
  const client = w.client();
  client.feed(`${ask()}${smuggled}`);
  w.upstream().feed('HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n');
  w.advance(300);
  w.upstream().feed('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nh');
  t.is(client.closed, 'no');
  client.feed(smuggled);
  w.upstream().feed('i');
  t.regex(client.take(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\nconnection: close\r\n\r\nhi$/);
  t.is(client.closed, 'after-flush');
  t.notRegex(w.upstream().take(), /smuggled/);
  t.is(w.http('downstream_rq_total'), 2);
});

test('not enabled: 403, closed; enabled or disabled by the route', (t) => {
  const off = new FakeWorker();
  const client = off.client();
  client.feed(ask());
  t.regex(
    client.take(),
    /^HTTP\/1\.1 403 Forbidden\r\ndate: [^\r]*\r\nserver: envoy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n$/,
  );
  t.is(off.lastLog.details, 'upgrade_failed');
  const byRoute = new FakeWorker({
    manager: { upgrades: ['websocket'] },
    routes: routeConfig([
      prefixRoute('/off', routeAction({ upgrades: { websocket: false } })),
      prefixRoute('/spdy', routeAction({ upgrades: { 'spdy/3.1': true } })),
    ]),
  });
  const refused = byRoute.client();
  refused.feed(ask('', '/off'));
  t.regex(refused.take(), /^HTTP\/1\.1 403 /);
  const spdy = byRoute.client();
  spdy.feed(ask('', '/spdy').replace('WebSocket', 'SPDY/3.1'));
  t.regex(byRoute.upstream().take(), /upgrade: SPDY\/3\.1/);
});

test('regression: only the whole of what is asked for is enabled, and the offer of h2c alone is passed over', (t) => {
  for (const asked of [
    'websocket, x',
    'h2c, websocket',
    'websocket\r\nUpgrade: x',
    'h2c\r\nUpgrade: x',
    'web socket',
  ]) {
    const w = worker();
    const client = w.client();
    client.feed(`${ask().replace('WebSocket', asked)}${smuggled}`);
    t.regex(client.take(), /^HTTP\/1\.1 403 Forbidden\r\n(?![\s\S]*HTTP\/1\.1 )/, asked);
    t.is(client.closed, 'after-flush');
    t.is(w.dialled.length, 0);
  }
  const w = worker();
  const client = w.client();
  client.feed(ask().replace('WebSocket', 'H2c'));
  t.notRegex(w.upstream().take(), /upgrade/i);
  w.upstream().feed(ok);
  t.regex(client.take(), /^HTTP\/1\.1 200 /);
  t.is(client.closed, 'no');
});

test('with a body: refused', (t) => {
  for (const body of ['Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n']) {
    const w = worker();
    const client = w.client();
    client.feed(`${ask(body)}hello`);
    t.regex(client.take(), /^HTTP\/1\.1 400 Bad Request/);
    t.is(w.dialled.length, 0);
  }
});

test('an Upgrade that Connection does not name is no upgrade', (t) => {
  const w = worker();
  w.client().feed('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n');
  t.notRegex(w.upstream().take(), /upgrade/);
});

test('a 101 that nobody asked for is a protocol error', (t) => {
  const w = worker();
  const client = w.client();
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  w.upstream().feed(switching);
  t.regex(client.take(), /^HTTP\/1\.1 502 Bad Gateway/);
});

const asksUpgrade = 'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';
const enableConnect = [[8, 1]] as const;

function overHttp2(): { readonly w: FakeWorker; readonly client: FakeStream } {
  const w = new FakeWorker({ cluster: { protocol: 'http2' }, manager: { upgrades: ['websocket'] } });
  const client = w.client();
  client.feed(asksUpgrade);
  return { w, client };
}

const heads = (up: RawPeer): number => up.messages().filter((f) => f.type === 'headers').length;

test('an upgrade waits until the upstream has said that it takes extended CONNECT; other requests do not', (t) => {
  const { w, client } = overHttp2();
  w.client().feed('GET /plain HTTP/1.1\r\nHost: a\r\n\r\n');
  const up = new RawPeer(w.upstream(), true);
  t.is(heads(up), 1);
  t.is(w.dialled.length, 1);
  t.is(w.clusterStat('upstream_rq_pending_active'), 1);
  up.hello(enableConnect);
  t.is(heads(up), 1);
  t.is(w.clusterStat('upstream_rq_pending_active'), 0);
  up.send(headers(3, [[':status', '200']], false), data(3, 'hi'));
  t.regex(client.take(), /^HTTP\/1\.1 101 [\s\S]*\r\n\r\nhi$/);
});

test('an upstream that does not take extended CONNECT is not sent any', (t) => {
  const { w, client } = overHttp2();
  const up = new RawPeer(w.upstream(), true);
  up.hello();
  t.is(heads(up), 0);
  t.regex(client.take(), /^HTTP\/1\.1 502 [\s\S]*reset reason: protocol error$/);
  t.like(w.lastLog, { flags: 'UPE' });
  t.regex(w.lastLog?.details ?? '', /the_upstream_does_not_allow_extended_CONNECT/);
  t.is(w.clusterStat('upstream_rq_active'), 0);
});

test('an upstream that ends before it has said anything fails the upgrade, and is not dialled over and over', (t) => {
  const { w, client } = overHttp2();
  w.upstream().fail('remote-close');
  t.regex(client.take(), /^HTTP\/1\.1 503 [\s\S]*reset reason: connection termination$/);
  t.is(w.dialled.length, 1);
  t.is(w.clusterStat('upstream_rq_pending_active'), 0);
  t.is(w.clusterStat('upstream_cx_active'), 0);
});

test('regression: nor one that breaks its connection, or takes no more, in the same breath as it allows upgrades', (t) => {
  for (const end of [windowUpdate(0, 0), goaway(0, 0)]) {
    const { w, client } = overHttp2();
    for (let i = 0; i < 3 && i < w.dialled.length; i++) {
      new RawPeer(w.upstream(i), true).send(settings(enableConnect), end);
      w.advance(1);
    }
    t.is(w.dialled.length, 1);
    t.regex(client.take(), /^HTTP\/1\.1 503 /);
    t.is(w.clusterStat('upstream_rq_pending_active'), 0);
  }
});

test('several upgrades wait for one connection', (t) => {
  const { w } = overHttp2();
  for (let i = 0; i < 3; i++) w.client().feed(asksUpgrade);
  t.is(w.dialled.length, 1);
  const up = new RawPeer(w.upstream(), true);
  up.hello(enableConnect);
  t.is(heads(up), 4);
  w.client().feed(asksUpgrade);
  t.is(heads(up), 1, 'later ones need not wait');
});

test('a client that goes while its upgrade waits leaves nothing behind', (t) => {
  const { w, client } = overHttp2();
  client.fail('remote-close');
  t.is(w.clusterStat('upstream_rq_pending_active'), 0);
  const up = new RawPeer(w.upstream(), true);
  up.hello(enableConnect);
  t.is(heads(up), 0);
});

test('what an upstream says of a stream that it resets, in the words of Envoy', (t) => {
  const answered = (code: number): string => {
    const w = new FakeWorker({ cluster: { protocol: 'http2' } });
    const client = w.client();
    client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const up = new RawPeer(w.upstream(), true);
    up.hello();
    up.send(reset(1, code));
    return /^HTTP\/1\.1 (\d+) [\s\S]*(reset reason: .*)$/.exec(client.take())?.slice(1).join(' ') ?? '';
  };
  t.is(answered(errorCode.internalError), '503 reset reason: remote reset');
  t.is(answered(errorCode.protocolError), '502 reset reason: protocol error');
  t.is(answered(errorCode.connectError), '503 reset reason: remote error with CONNECT request');
});

test('regression: what an HTTP/2 upstream says instead of an upgrade is held to its length, as any other answer', (t) => {
  const w = new FakeWorker({ cluster: { protocol: 'http2' }, manager: { upgrades: ['websocket'] } });
  const client = w.client();
  client.feed(ask());
  const up = new RawPeer(w.upstream(), true);
  up.hello([[8, 1]]);
  const refusal = [
    [':status', '404'],
    ['content-length', '6'],
  ] as const;
  up.send(headers(1, refusal, false), data(1, 'x', true));
  t.regex(client.take(), /^HTTP\/1\.1 404 Not Found\r\n/);
  t.is(client.closed, 'after-flush', 'or the next answer would be the rest of this one');
  t.like(w.lastLog, { status: 404, flags: 'UPE' });
});
