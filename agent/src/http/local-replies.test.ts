import test from 'ava';
import { badChunks, chunkedRequest, rejectedRequests } from '../http1/testing/cases.ts';
import { redirect } from '../model/testing/specs.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { headers, RawPeer, request } from './testing/raw-http2.ts';
import { noMutations, prefixRoute, routeAction, routeConfig } from './testing/specs.ts';

const date = (w: FakeWorker): string => new Date(Math.floor(w.clock.wallMs / 1000) * 1000).toUTCString();
const common = (w: FakeWorker): string => `date: ${date(w)}\r\nserver: envoy\r\n`;
const get = 'GET /x?y HTTP/1.1\r\nHost: a\r\n\r\n';

function answer(w: FakeWorker, request: string): string {
  const client = w.client();
  client.feed(request);
  return client.take();
}

test('no route: 404 without a body', (t) => {
  const w = new FakeWorker({ routes: routeConfig([prefixRoute('/only', routeAction())]) });
  t.is(answer(w, get), `HTTP/1.1 404 Not Found\r\n${common(w)}content-length: 0\r\n\r\n`);
  t.like(w.lastLog, { flags: 'NR', details: 'route_not_found' });
  t.is(w.http('no_route'), 1);
  t.is(
    answer(w, 'HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n'),
    `HTTP/1.1 404 Not Found\r\n${common(w)}transfer-encoding: chunked\r\n\r\n`,
  );
});

test('no cluster: 503 without a body', (t) => {
  const w = new FakeWorker({
    routes: routeConfig([prefixRoute('/', routeAction({ clusters: [{ name: 'x', weight: 1 }] }))]),
  });
  t.is(answer(w, get), `HTTP/1.1 503 Service Unavailable\r\n${common(w)}content-length: 0\r\n\r\n`);
  t.like(w.lastLog, { flags: 'NC', details: 'cluster_not_found' });
});

test('no host: 503 no healthy upstream', (t) => {
  const w = new FakeWorker({ endpoints: [] });
  t.is(
    answer(w, get),
    `HTTP/1.1 503 Service Unavailable\r\ncontent-length: 19\r\ncontent-type: text/plain\r\n${common(w)}\r\nno healthy upstream`,
  );
  t.like(w.lastLog, { flags: 'UH', details: 'no_healthy_upstream' });
});

test('no host, to HEAD: a length and no body', (t) => {
  const w = new FakeWorker({ endpoints: [] });
  t.regex(answer(w, 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n'), /content-length: 19\r\n[\s\S]*server: envoy\r\n\r\n$/);
});

const connectFailures = [
  ['connect-refused', 503, 'remote connection failure', 'UF'],
  ['tls-failed', 503, 'remote connection failure', 'UF'],
  ['connect-timeout', 503, 'connection timeout', 'UF'],
] as const;

for (const [reason, status, text, flag] of connectFailures) {
  test(`${reason}: ${status} ${text}`, (t) => {
    const w = new FakeWorker();
    w.autoConnect = false;
    const client = w.client();
    client.feed(get);
    w.upstream().fail(reason, 'Connection refused');
    t.regex(
      client.take(),
      new RegExp(
        `^HTTP/1.1 ${status} [\\s\\S]*\\r\\n\\r\\nupstream connect error or disconnect/reset before headers. reset reason: ${text}$`,
      ),
    );
    t.is(w.lastLog.flags, flag);
    t.is(w.lastLog.details, `upstream_reset_before_response_started{${text.replaceAll(' ', '_')}|Connection_refused}`);
    t.is(w.clusterStat('upstream_cx_active'), 0);
    t.is(w.clusterStat('upstream_rq_pending_active'), 0);
    t.is(w.clusterStat('upstream_rq_active'), 0);
  });
}

test('an upstream that does not speak HTTP: 502 protocol error', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed(get);
  w.upstream().feed('SSH-2.0-OpenSSH_9\r\n');
  t.regex(client.take(), /^HTTP\/1\.1 502 Bad Gateway\r\n[\s\S]*reset reason: protocol error$/);
  t.is(w.lastLog.flags, 'UPE');
  t.is(w.upstream().closed, 'close');
});

test('a bad chunk in the middle of an answer cuts the client off', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed(get);
  w.upstream().feed('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n');
  w.upstream().feed('zz\r\n');
  t.is(client.closed, 'after-flush');
  t.regex(client.take(), /3\r\nabc\r\n$/);
});

test('an answer cut short cuts the client off', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed(get);
  w.upstream().feed('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc');
  w.upstream().end();
  t.is(client.closed, 'after-flush');
  t.is(w.lastLog.flags, 'UC');
});

test('an answer that only the end of the connection ends is cut with a reset', (t) => {
  const w = new FakeWorker({ manager: { acceptHttp10: true } });
  const client = w.client();
  client.feed('GET / HTTP/1.0\r\nHost: a\r\n\r\n');
  w.upstream().feed('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n');
  w.upstream().end();
  t.is(client.closed, 'reset');
});

test('the stream hears before the last write that the end follows, and only then', (t) => {
  const w = new FakeWorker();
  const stays = w.client();
  stays.feed(get);
  w.upstream().feed('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  t.false(stays.endExpected);

  const leaves = w.client();
  leaves.feed('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  w.upstream().feed('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok');
  t.false(leaves.endExpected);
  w.upstream().feed('ok');
  t.true(leaves.endExpected);
  t.is(leaves.closed, 'after-flush');
});

test('redirects: absolute location, no body', (t) => {
  const w = new FakeWorker({
    routes: routeConfig([prefixRoute('/', redirect({ host: 'other', httpsRedirect: true }))]),
  });
  t.is(
    answer(w, get),
    `HTTP/1.1 301 Moved Permanently\r\nlocation: https://other/x?y\r\n${common(w)}content-length: 0\r\n\r\n`,
  );
});

test('a redirect with the request body unread closes', (t) => {
  const w = new FakeWorker({ routes: routeConfig([prefixRoute('/', redirect({ path: '/new' }))]) });
  const client = w.client();
  client.feed('POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc');
  t.is(
    client.take(),
    `HTTP/1.1 301 Moved Permanently\r\nlocation: http://a/new\r\n${common(w)}connection: close\r\ncontent-length: 0\r\n\r\n`,
  );
  t.is(client.closed, 'after-flush');
  t.is(client.closeDeadlineMs, 1000);
});

test('direct responses, with headers of the route', (t) => {
  const mutate = {
    ...noMutations,
    responseAdd: [{ name: 'X-Code', value: 'c', action: 'append', keepEmpty: false }],
  } as const;
  const w = new FakeWorker({
    routes: routeConfig([prefixRoute('/', { kind: 'direct_response', status: 201, body: 'hello' }, mutate)]),
  });
  t.is(
    answer(w, get),
    `HTTP/1.1 201 Created\r\nlocation: http://a/x?y\r\nx-code: c\r\ncontent-length: 5\r\ncontent-type: text/plain\r\n${common(w)}\r\nhello`,
  );
});

test('to gRPC: 200, grpc-status and a percent-encoded message', (t) => {
  const w = new FakeWorker({ endpoints: [] });
  const grpc = 'POST /s/m HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc+proto\r\nContent-Length: 0\r\n\r\n';
  t.is(
    answer(w, grpc),
    `HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 14\r\ngrpc-message: no healthy upstream\r\n${common(w)}content-length: 0\r\n\r\n`,
  );
  const web = grpc.replace('grpc+proto', 'grpc-web');
  t.regex(answer(w, web), /^HTTP\/1\.1 503/);
});

test('CONNECT is refused', (t) => {
  const w = new FakeWorker();
  t.regex(
    answer(w, 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n'),
    /^HTTP\/1\.1 404 Not Found\r\n[\s\S]*connection: close/,
  );
  t.is(w.dialled.length, 0);
});

test('HTTP/1.0 is asked to upgrade', (t) => {
  const w = new FakeWorker();
  t.is(
    answer(w, 'GET / HTTP/1.0\r\nHost: a\r\n\r\n'),
    `HTTP/1.1 426 Upgrade Required\r\ncontent-length: 16\r\ncontent-type: text/plain\r\n${common(w)}connection: close\r\n\r\nUpgrade Required`,
  );
  t.is(w.lastLog.details, 'low_version');
});

test('escaped slashes: rejected or redirected as configured', (t) => {
  const reject = new FakeWorker({ manager: { escapedSlashes: 'reject' } });
  t.regex(
    answer(reject, 'GET /a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n'),
    /^HTTP\/1\.1 400 Bad Request\r\ndate: [\s\S]*connection: close\r\ncontent-length: 0\r\n\r\n$/,
  );
  t.is(reject.http('downstream_rq_failed_path_normalization'), 1);
  const redirect = new FakeWorker({ manager: { escapedSlashes: 'redirect', normalizePath: true } });
  t.regex(
    answer(redirect, 'GET /a%2f..%2fb?q=%2f HTTP/1.1\r\nHost: a\r\n\r\n'),
    /^HTTP\/1\.1 307 Temporary Redirect\r\nlocation: \/b\?q=%2f\r\n/,
  );
});

for (const c of rejectedRequests) {
  test(`${c.status}, closed, nothing reaches the upstream, at every split: ${c.name}`, (t) => {
    const w = new FakeWorker();
    const whole = answer(w, c.text);
    t.true(whole.startsWith(`HTTP/1.1 ${c.status} `));
    t.regex(whole, /\r\nconnection: close\r\n/);
    t.is(w.lastLog.method === '-' || w.lastLog.status === c.status, true);
    t.regex(
      whole,
      c.empty === true ? /content-length: 0\r\n\r\n$/ : /content-type: text\/plain\r\n[\s\S]*\r\n\r\n[A-Z]/,
    );
    const bytewise = w.client();
    for (const byte of c.text) bytewise.feed(byte);
    t.is(bytewise.take(), whole);
    t.is(bytewise.closed, 'after-flush');
    if (c.text.length < 500) {
      for (let i = 1; i < c.text.length; i++) {
        const client = w.client();
        client.feed(c.text.slice(0, i));
        client.feed(c.text.slice(i));
        t.is(client.take(), whole, `split at ${i}`);
      }
    }
    t.is(w.dialled.length, 0);
  });
}

for (const c of badChunks) {
  test(`400 for a bad chunked body, whole and byte by byte: ${c.name}`, (t) => {
    const w = new FakeWorker();
    t.regex(answer(w, chunkedRequest(c.body)), /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*connection: close\r\n/);
    t.is(w.dialled.length, 0);
    const client = w.client();
    for (const byte of chunkedRequest(c.body)) client.feed(byte);
    t.regex(client.take(), /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*connection: close\r\n/);
    t.is(client.closed, 'after-flush');
    t.is(w.upstream().closed, 'close');
    t.is(w.lastLog.flags, 'DPE');
    t.is(w.clusterStat('upstream_rq_active'), 0);
  });
}

test('70,000 bytes without a line end: 431', (t) => {
  const w = new FakeWorker();
  t.regex(answer(w, `GET /${'a'.repeat(70_000)}`), /^HTTP\/1\.1 431 Request Header Fields Too Large\r\n/);
  const drip = w.client();
  drip.feed('GET / HTTP/1.1\r\nhost: a\r\nx: ');
  for (let i = 0; i < 62 && drip.closed === 'no'; i++) drip.feed('y'.repeat(1000));
  t.regex(drip.take(), /^HTTP\/1\.1 431 /);
});

test('regression: a 204 of our own has no body, whatever is configured, and says nothing of one', (t) => {
  const none = prefixRoute('/none', { kind: 'direct_response', status: 204, body: 'hidden' });
  const unchanged = prefixRoute('/unchanged', { kind: 'direct_response', status: 304, body: 'hidden' });
  const w = new FakeWorker({ routes: routeConfig([none, unchanged]) });
  for (const method of ['GET', 'HEAD', 'POST']) {
    const text = answer(w, `${method} /none HTTP/1.1\r\nHost: a\r\n\r\n`);
    t.is(text, `HTTP/1.1 204 No Content\r\n${common(w)}\r\n`);
  }
  t.is(
    answer(w, 'GET /unchanged HTTP/1.1\r\nHost: a\r\n\r\n'),
    `HTTP/1.1 304 Not Modified\r\nlocation: http://a/unchanged\r\ncontent-length: 6\r\ncontent-type: text/plain\r\n${common(w)}\r\n`,
  );
  const client = new RawPeer(w.client(), false);
  client.hello();
  client.send(headers(1, request('/none')), headers(3, request('/unchanged')));
  const [first, second, ...more] = client.messages();
  t.like(first, { type: 'headers', stream: 1, status: 204, end: true });
  t.notRegex(String(first?.fields), /content-/);
  t.like(second, { type: 'headers', stream: 3, status: 304, end: true });
  t.deepEqual(more, []);
});
