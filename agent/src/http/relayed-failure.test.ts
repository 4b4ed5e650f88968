import test from 'ava';
import { FakeWorker } from './testing/fake-worker.ts';
import { endpoint, prefixRoute, retrySpec, routeAction, routeConfig } from './testing/specs.ts';

const header = 'x-chainmail-upstream-failure';
const post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody';
const peer = { peerPrincipal: 'spiffe://cluster.local/ns/shop/sa/web' };
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi';
const failed = (failure: string): string =>
  `HTTP/1.1 503 Service Unavailable\r\n${header}: ${failure}\r\ncontent-length: 4\r\n\r\ngone`;

test('an authenticated peer hears what happened behind us, nobody else does', (t) => {
  for (const [info, told] of [
    [peer, true],
    [{}, false],
  ] as const) {
    const w = new FakeWorker();
    const client = w.client(info);
    client.feed(post);
    w.upstream(0).fail('remote-reset');
    t.is(client.take().includes(`${header}: connection-termination\r\n`), told);
  }
});

/** A worker whose upstreams are agents, or applications; and what became of a POST answered with the failure. */
function answered(failure: string, meshed: boolean): { readonly w: FakeWorker; readonly text: string } {
  const retry = retrySpec({ on: ['connect-failure', 'reset-before-request'], numRetries: 1 });
  const w = new FakeWorker({
    routes: routeConfig([prefixRoute('/', routeAction({ retry }))]),
    endpoints: [endpoint(8081), endpoint(8082)],
  });
  w.autoConnect = false;
  const client = w.client();
  client.feed(post);
  const first = w.upstream(0);
  if (meshed) first.info = { ...first.info, ...peer };
  first.connect();
  first.feed(failed(failure));
  w.advance(100);
  return { w, text: client.take() };
}

for (const failure of ['connect-failed', 'unread']) {
  test(`a request that did not reach the application (${failure}) is tried elsewhere, whatever the method`, (t) => {
    const { w, text } = answered(failure, true);
    t.is(text, '');
    w.upstream(1).connect();
    t.regex(w.upstream(1).take(), /\r\n\r\nbody$/);
    w.upstream(1).feed(ok);
    t.is(w.lastLog.status, 200);
  });
}

test('a connection that broke after the request was sent is not, without a policy that says so', (t) => {
  const { w, text } = answered('connection-termination', true);
  t.regex(text, /^HTTP\/1\.1 503 [\s\S]*gone$/);
  t.false(text.includes(header));
  t.is(w.dialled.length, 1);
});

test('the peer hears of a request that an application cannot have seen', (t) => {
  const w = new FakeWorker();
  const client = w.client(peer);
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  w.upstream(0).feed(ok);
  client.take();
  client.feed(post);
  w.upstream(0).delivery = 'none';
  w.upstream(0).end();
  t.true(client.take().includes(`${header}: unread\r\n`));
});

test('an application cannot say it', (t) => {
  const { w, text } = answered('connect-failed', false);
  t.regex(text, /^HTTP\/1\.1 503 [\s\S]*gone$/);
  t.false(text.includes(header));
  t.is(w.dialled.length, 1);
});
