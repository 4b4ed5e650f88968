import test from 'ava';
import { FakeWorker } from './testing/fake-worker.ts';
import { endpoint, prefixRoute, retrySpec, routeAction, routeConfig } from './testing/specs.ts';

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi';
const routed = (action: Parameters<typeof routeAction>[0]) => routeConfig([prefixRoute('/', routeAction(action))]);

test('route timeout: 504, flag UT, counted from the end of the request', (t) => {
  const w = new FakeWorker({ routes: routed({ timeoutMs: 300 }) });
  const client = w.client();
  client.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na');
  t.regex(w.upstream().take(), /x-envoy-expected-rq-timeout-ms: 300\r\n/);
  w.advance(1000);
  t.is(client.take(), '');
  client.feed('b');
  w.advance(299);
  t.is(client.take(), '');
  w.advance(1);
  t.regex(
    client.take(),
    /^HTTP\/1\.1 504 Gateway Timeout\r\ncontent-length: 24\r\ncontent-type: text\/plain\r\n[\s\S]*\r\n\r\nupstream request timeout$/,
  );
  t.like(w.lastLog, { status: 504, flags: 'UT', details: 'response_timeout' });
  t.is(w.upstream().closed, 'close');
  t.is(client.closed, 'no');
  t.is(w.clusterStat('upstream_rq_timeout'), 1);
  t.is(w.clusterStat('upstream_rq_active'), 0);
});

test('route timeout in the middle of the answer: the connection is cut', (t) => {
  const w = new FakeWorker({ routes: routed({ timeoutMs: 300 }) });
  const client = w.client();
  client.feed(get);
  w.upstream().feed('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc');
  w.advance(300);
  t.is(client.closed, 'after-flush');
  t.like(w.lastLog, { status: 200, flags: 'UT' });
});

test('route timeout 0 is none, and no header says otherwise', (t) => {
  const w = new FakeWorker({ routes: routed({ timeoutMs: 0 }) });
  const client = w.client();
  client.feed(get);
  t.notRegex(w.upstream().take(), /expected-rq-timeout/);
  w.advance(200_000);
  w.upstream().feed(ok);
  t.regex(client.take(), /200 OK/);
});

test('per-try timeout: tried again, and 504 when it is exhausted', (t) => {
  const retry = retrySpec({ perTryTimeoutMs: 300, numRetries: 1 });
  const w = new FakeWorker({ routes: routed({ retry }), endpoints: [endpoint(1), endpoint(2)] });
  const client = w.client();
  client.feed(get);
  t.regex(w.upstream(0).take(), /x-envoy-expected-rq-timeout-ms: 300\r\n/);
  w.advance(300);
  t.is(w.upstream(0).closed, 'close');
  w.advance(100);
  t.is(w.dialled.length, 2);
  w.advance(300);
  t.regex(client.take(), /^HTTP\/1\.1 504 [\s\S]*\r\n\r\nupstream request timeout$/);
  t.is(w.lastLog.flags, 'URX,UT');
  t.is(w.clusterStat('upstream_rq_per_try_timeout'), 2);
  t.is(w.clusterStat('upstream_cx_active'), 0);
});

test('stream idle timeout: 504 after the request, 408 within it, cut within the answer', (t) => {
  const complete = new FakeWorker({ manager: { streamIdleTimeoutMs: 400 }, routes: routed({ timeoutMs: 0 }) });
  const one = complete.client();
  one.feed(get);
  complete.advance(400);
  t.regex(one.take(), /^HTTP\/1\.1 504 [\s\S]*\r\n\r\nstream timeout$/);
  t.like(complete.lastLog, { flags: 'SI', details: 'stream_idle_timeout' });

  const incomplete = new FakeWorker({ routes: routed({ idleTimeoutMs: 400 }) });
  const two = incomplete.client();
  two.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\na');
  incomplete.advance(300);
  two.feed('b');
  incomplete.advance(399);
  t.is(two.take(), '');
  incomplete.advance(1);
  t.regex(two.take(), /^HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*connection: close\r\n\r\nstream timeout$/);

  const answering = new FakeWorker({ manager: { streamIdleTimeoutMs: 400 } });
  const three = answering.client();
  three.feed(get);
  answering.upstream().feed('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc');
  answering.advance(400);
  t.is(three.closed, 'after-flush');
  t.is(answering.http('downstream_rq_idle_timeout'), 1);
});

test('request timeout: 408 when the request does not come to its end', (t) => {
  const w = new FakeWorker({ manager: { requestTimeoutMs: 500 } });
  const client = w.client();
  client.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\na');
  w.advance(500);
  t.regex(client.take(), /^HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*\r\n\r\nrequest timeout$/);
  t.is(w.upstream().closed, 'close');
  t.is(w.http('downstream_rq_timeout'), 1);
  const fine = w.client();
  fine.feed(get);
  w.advance(5000);
  t.is(fine.take(), '');
});

test('regression: request timeout within the answer cuts it, and is no second answer', (t) => {
  const w = new FakeWorker({ manager: { requestTimeoutMs: 500 } });
  const client = w.client();
  client.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\na');
  w.upstream().feed('HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nhalf');
  client.take();
  w.advance(500);
  t.is(client.take(), '');
  t.is(client.closed, 'after-flush');
  t.like(w.lastLog, { status: 200, details: 'request_overall_timeout' });
  t.is(w.http('downstream_rq_tx_reset'), 1);
});

test('request headers timeout: 408 when a head does not come to its end', (t) => {
  const w = new FakeWorker({ manager: { requestHeadersTimeoutMs: 500 } });
  const client = w.client();
  w.advance(5000);
  client.feed('GET / HT');
  w.advance(300);
  client.feed('TP/1.1\r\nhost: a');
  w.advance(200);
  t.regex(client.take(), /^HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*\r\n\r\nrequest header timeout$/);
  t.is(client.closed, 'after-flush');
  t.is(w.http('downstream_rq_header_timeout'), 1);
});

test('idle timeout: an unused connection at once, a used one after the drain time', (t) => {
  const w = new FakeWorker({ manager: { idleTimeoutMs: 1000, drainTimeoutMs: 200 } });
  const unused = w.client();
  const used = w.client();
  used.feed(get);
  w.upstream().feed(ok);
  used.take();
  w.advance(1000);
  t.is(unused.closed, 'close');
  t.is(used.closed, 'no');
  w.advance(200);
  t.is(used.closed, 'close');
  t.is(w.http('downstream_cx_idle_timeout'), 2);
});

test('a request in the drain time is answered, with Connection: close', (t) => {
  const w = new FakeWorker({ manager: { idleTimeoutMs: 1000, drainTimeoutMs: 200 } });
  const client = w.client();
  client.feed(get);
  w.upstream().feed(ok);
  client.take();
  w.advance(1100);
  client.feed(get);
  w.advance(10_000);
  w.upstream().feed(ok);
  t.regex(client.take(), /connection: close\r\n\r\nhi$/);
});

test('max connection duration: the answer at hand is the last', (t) => {
  const w = new FakeWorker({ manager: { maxConnectionDurationMs: 1000, drainTimeoutMs: 200 } });
  const busy = w.client();
  const idle = w.client();
  busy.feed(get);
  w.advance(1300);
  t.is(idle.closed, 'close');
  w.upstream().feed(ok);
  t.regex(busy.take(), /connection: close\r\n\r\nhi$/);
});

test('a busy keep-alive connection sets timers once, not per request', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  for (let i = 0; i < 50; i++) {
    client.feed(get);
    w.upstream().feed(ok);
  }
  t.true(w.timersSet <= 3);
});
