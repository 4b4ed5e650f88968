import test from 'ava';
import type { RetrySpec, RouteActionSpec } from '../model/http.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { endpoint, prefixRoute, retrySpec, routeAction, routeConfig } from './testing/specs.ts';

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi';
const unavailable = 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy';
const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody';

function withRetry(retry: Partial<RetrySpec> | null, action: Partial<RouteActionSpec> = {}, hosts = 2): FakeWorker {
  const spec = retry === null ? null : retrySpec(retry);
  return new FakeWorker({
    routes: routeConfig([prefixRoute('/', routeAction({ ...action, retry: spec }))]),
    endpoints: Array.from({ length: hosts }, (_, i) => endpoint(8081 + i)),
  });
}

test('5xx with two retries: three attempts, other hosts, bodies sent again', (t) => {
  const w = withRetry({ numRetries: 2 }, {}, 3);
  const client = w.client();
  client.feed(post);
  for (let i = 0; i < 3; i++) {
    t.regex(w.upstream(i).take(), /\r\n\r\nbody$/, `attempt ${i}`);
    w.upstream(i).feed(unavailable);
    w.advance(100);
  }
  t.is(new Set(w.dialled.map((d) => d.options.address.port)).size, 3);
  t.regex(client.take(), /^HTTP\/1\.1 503 [\s\S]*busy$/);
  t.like(w.lastLog, { status: 503, flags: 'URX', attempts: 3 });
  t.is(w.clusterStat('upstream_rq_retry'), 2);
  t.is(w.clusterStat('upstream_rq_retry_limit_exceeded'), 1);
  t.is(w.clusterStat('upstream_rq_5xx'), 1, 'attempts that were tried again are not counted by their code');
  t.is(w.clusterStat('upstream_rq_active'), 0);
});

test('the answer of a retry is what the client gets; the time left goes up with it', (t) => {
  const w = withRetry({});
  const client = w.client();
  client.feed(get);
  w.advance(1000);
  w.upstream(0).feed(unavailable);
  w.advance(100);
  t.regex(w.upstream(1).take(), /x-envoy-expected-rq-timeout-ms: 139\d\d\r\n/);
  w.upstream(1).feed(ok);
  t.regex(client.take(), /^HTTP\/1\.1 200 OK[\s\S]*hi$/);
  t.is(w.clusterStat('upstream_rq_retry_success'), 1);
  t.is(w.upstream(0).closed, 'no');
});

test('no retry without a policy, for another condition, or for a method that is not listed', (t) => {
  const cases: readonly (readonly [Partial<RetrySpec> | null, string])[] = [
    [null, get],
    [{ numRetries: 0 }, get],
    [{ on: ['connect-failure'] }, get],
    [{ on: ['gateway-error'], retriableMethods: ['GET'] }, post],
  ];
  for (const [retry, request] of cases) {
    const w = withRetry(retry);
    const client = w.client();
    client.feed(request);
    w.upstream(0).feed(unavailable);
    w.advance(1000);
    t.is(w.dialled.length, 1);
    t.regex(client.take(), /^HTTP\/1\.1 503/);
  }
});

test('conditions: retriable-4xx is 409, listed codes, gateway-error is not 500', (t) => {
  const cases: readonly (readonly [Partial<RetrySpec>, number, boolean])[] = [
    [{ on: ['retriable-4xx'] }, 409, true],
    [{ on: ['retriable-4xx'] }, 404, false],
    [{ on: ['retriable-status-codes'], retriableStatusCodes: [418] }, 418, true],
    [{ on: ['gateway-error'] }, 500, false],
    [{ on: ['gateway-error'] }, 504, true],
    [{ on: ['reset'] }, 503, false],
  ];
  for (const [retry, status, again] of cases) {
    const w = withRetry(retry);
    w.client().feed(get);
    w.upstream(0).feed(`HTTP/1.1 ${status} X\r\ncontent-length: 0\r\n\r\n`);
    w.advance(1000);
    t.is(w.dialled.length === 2, again, `${retry.on} ${status}`);
  }
});

test('reset and connect failures are retried, and told as such when no attempt is left', (t) => {
  const w = withRetry({ on: ['reset', 'connect-failure'], numRetries: 1 });
  const client = w.client();
  client.feed(get);
  w.upstream(0).fail('remote-reset');
  w.advance(100);
  w.autoConnect = false;
  w.upstream(1).fail('remote-reset');
  t.regex(
    client.take(),
    /\r\n\r\nupstream connect error or disconnect\/reset before headers\. retried and the latest reset reason: connection termination$/,
  );
  t.like(w.lastLog, { status: 503, flags: 'URX,UC', attempts: 2 });
});

test('a refused connection is tried elsewhere', (t) => {
  const w = withRetry({ on: ['connect-failure'] });
  w.autoConnect = false;
  const client = w.client();
  client.feed(post);
  w.upstream(0).fail('connect-refused', 'Connection refused');
  w.advance(100);
  w.upstream(1).connect();
  t.regex(w.upstream(1).take(), /\r\n\r\nbody$/);
  w.upstream(1).feed(ok);
  t.regex(client.take(), /200 OK/);
  t.is(w.clusterStat('upstream_cx_connect_fail'), 1);
  t.is(w.clusterStat('upstream_cx_active'), 1);
});

test('never after response headers', (t) => {
  const w = withRetry({ on: ['5xx', 'reset'], numRetries: 3 });
  const client = w.client();
  client.feed(get);
  w.upstream(0).feed('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf');
  w.upstream(0).fail('remote-reset');
  w.advance(1000);
  t.is(w.dialled.length, 1);
  t.regex(client.take(), /half$/);
  t.is(client.closed, 'after-flush');
  t.like(w.lastLog, {
    flags: 'UC',
    details: 'upstream_reset_after_response_started{connection_termination}',
  });
});

test('a body that is too large to keep is not sent again', (t) => {
  const w = withRetry({});
  const client = w.client();
  client.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n');
  client.feed(Buffer.alloc(70_000, 'x'));
  w.upstream(0).feed(unavailable);
  w.advance(1000);
  t.is(w.dialled.length, 1);
  t.regex(client.take(), /busy$/);
  t.is(w.clusterStat('retry_or_shadow_abandoned'), 1);
});

test('max_retries 0: none, counted as overflow', (t) => {
  const w = new FakeWorker({
    routes: routeConfig([prefixRoute('/', routeAction({ retry: retrySpec() }))]),
    cluster: { circuit: { maxConnections: 10, maxPendingRequests: 10, maxRequests: 10, maxRetries: 0 } },
  });
  w.client().feed(get);
  w.upstream(0).feed(unavailable);
  w.advance(1000);
  t.is(w.clusterStat('upstream_rq_total'), 1);
  t.is(w.clusterStat('upstream_rq_retry_overflow'), 1);
});

test('the back-off is jittered and grows', (t) => {
  const w = withRetry({ numRetries: 3, backoffBaseMs: 100, backoffMaxMs: 1000 }, {}, 4);
  w.client().feed(get);
  w.upstream(0).feed(unavailable);
  w.advance(49);
  t.is(w.dialled.length, 1);
  w.advance(1);
  t.is(w.dialled.length, 2);
  w.upstream(1).feed(unavailable);
  w.advance(149);
  t.is(w.dialled.length, 2);
  w.advance(1);
  t.is(w.dialled.length, 3);
});

/** A worker whose one pooled upstream connection has served a request. */
function withIdle(retry: Partial<RetrySpec> | null = null): {
  w: FakeWorker;
  client: ReturnType<FakeWorker['client']>;
} {
  const w = withRetry(retry, {}, 1);
  const client = w.client();
  client.feed(get);
  w.upstream(0).feed(ok);
  w.upstream(0).take();
  client.take();
  return { w, client };
}

test('keep-alive race: a reused connection that closes without a byte is replaced by a fresh one, unseen', (t) => {
  for (const end of ['end', 'fail'] as const) {
    const { w, client } = withIdle();
    client.feed('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody');
    t.regex(w.upstream(0).take(), /\r\n\r\nbody$/);
    if (end === 'end') w.upstream(0).end();
    else w.upstream(0).fail('remote-reset');
    t.regex(w.upstream(1).take(), /^PUT [\s\S]*\r\n\r\nbody$/);
    w.upstream(1).feed(ok);
    t.regex(client.take(), /^HTTP\/1\.1 200/);
    t.is(w.clusterStat('upstream_rq_retry'), 0);
    t.is(w.clusterStat('upstream_rq_active'), 0);
    t.is(w.clusterStat('upstream_cx_active'), 1);
  }
});

test('keep-alive race: once only, never for POST, never on a fresh connection or after a byte', (t) => {
  const once = withIdle();
  once.client.feed(get);
  once.w.upstream(0).end();
  once.w.upstream(1).end();
  t.is(once.w.dialled.length, 2);
  t.regex(once.client.take(), /reset reason: connection termination$/);
  t.is(once.w.lastLog.flags, 'UC');

  const posted = withIdle();
  posted.client.feed(post);
  posted.w.upstream(0).end();
  t.is(posted.w.dialled.length, 1);
  t.regex(posted.client.take(), /^HTTP\/1\.1 503/);

  const answered = withIdle();
  answered.client.feed(get);
  answered.w.upstream(0).feed('HTTP/1.1 2');
  answered.w.upstream(0).end();
  t.is(answered.w.dialled.length, 1);
  t.regex(answered.client.take(), /^HTTP\/1\.1 502 Bad Gateway\r\n[\s\S]*reset reason: protocol error$/);
  t.is(answered.w.lastLog.flags, 'UPE');
});

const bare = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n';

test('keep-alive race: what the upstream cannot have seen is sent again, also a POST', (t) => {
  for (const end of ['end', 'fail'] as const) {
    const { w, client } = withIdle();
    client.feed(bare);
    t.regex(w.upstream(0).take(), /^POST /);
    w.upstream(0).delivery = 'none';
    if (end === 'end') w.upstream(0).end();
    else w.upstream(0).fail('remote-reset');
    t.regex(w.upstream(1).take(), /^POST /);
    w.upstream(1).feed(ok);
    t.regex(client.take(), /^HTTP\/1\.1 200/);
    t.is(w.clusterStat('upstream_rq_retry'), 0);
    t.is(w.clusterStat('upstream_rq_active'), 0);
  }
});

test('keep-alive race: an end that the kernel cannot judge yet is kept until the reset is there', (t) => {
  for (const reset of ['end', 'fail'] as const) {
    const { w, client } = withIdle();
    client.feed(bare);
    w.upstream(0).delivery = 'undecided';
    w.upstream(0).end();
    t.is(client.take(), '');
    t.is(w.dialled.length, 1);
    w.upstream(0).delivery = 'none';
    if (reset === 'end') w.upstream(0).end();
    else w.upstream(0).fail('remote-reset');
    t.regex(w.upstream(1).take(), /^POST /);
    w.upstream(1).feed(ok);
    t.regex(client.take(), /^HTTP\/1\.1 200/);
    w.advance(1000);
    t.is(w.clusterStat('upstream_cx_destroy_remote'), 1);
  }
});

test('keep-alive race: where no reset comes, or the request was acknowledged, the client is told', (t) => {
  const waits = withIdle();
  waits.client.feed(bare);
  waits.w.upstream(0).delivery = 'undecided';
  waits.w.upstream(0).end();
  waits.w.advance(190);
  t.is(waits.client.take(), '');
  waits.w.advance(20);
  t.regex(waits.client.take(), /^HTTP\/1\.1 503 [\s\S]*reset reason: connection termination$/);
  t.is(waits.w.dialled.length, 1);
  t.is(waits.w.upstream(0).closed, 'close');

  const gone = withIdle();
  gone.client.feed(bare);
  gone.w.upstream(0).delivery = 'undecided';
  gone.w.upstream(0).end();
  gone.client.fail('remote-reset');
  t.is(gone.w.upstream(0).closed, 'close');
  gone.w.advance(1000);
  t.is(gone.w.clusterStat('upstream_rq_active'), 0);
});

test('keep-alive race: what is sent again in any case does not wait for the reset', (t) => {
  const { w, client } = withIdle();
  client.feed(get);
  w.upstream(0).delivery = 'undecided';
  w.upstream(0).end();
  t.regex(w.upstream(1).take(), /^GET /);
});

test('keep-alive race: a body that nobody kept is not sent again, one that a policy keeps is', (t) => {
  const lost = withIdle();
  lost.client.feed(post);
  lost.w.upstream(0).delivery = 'none';
  lost.w.upstream(0).end();
  t.is(lost.w.dialled.length, 1);
  t.regex(lost.client.take(), /^HTTP\/1\.1 503 [\s\S]*reset reason: connection termination$/);
  t.is(lost.w.lastLog.flags, 'UC');

  const kept = withIdle({ on: ['connect-failure'] });
  kept.client.feed(post);
  kept.w.upstream(0).delivery = 'none';
  kept.w.upstream(0).end();
  t.regex(kept.w.upstream(1).take(), /\r\n\r\nbody$/);
  kept.w.upstream(1).feed(ok);
  t.regex(kept.client.take(), /^HTTP\/1\.1 200/);
});

test('keep-alive race: a connection that ends each request unseen is replaced once, and not when it was new', (t) => {
  const again = withIdle();
  again.client.feed(bare);
  again.w.upstream(0).delivery = 'none';
  again.w.upstream(0).end();
  again.w.upstream(1).delivery = 'none';
  again.w.upstream(1).end();
  t.is(again.w.dialled.length, 2);
  t.regex(again.client.take(), /^HTTP\/1\.1 503/);
});

test('a retry counts against max_retries until it is answered', (t) => {
  const w = new FakeWorker({
    routes: routeConfig([prefixRoute('/', routeAction({ retry: retrySpec() }))]),
    cluster: { circuit: { maxConnections: 10, maxPendingRequests: 10, maxRequests: 10, maxRetries: 1 } },
  });
  const one = w.client();
  one.feed(get);
  w.upstream(0).feed(unavailable);
  w.advance(100);
  const two = w.client();
  two.feed(get);
  w.upstream(1).feed(unavailable);
  t.regex(two.take(), /^HTTP\/1\.1 503/);
  t.is(w.clusterStat('upstream_rq_retry_overflow'), 1);
  w.upstream(0).feed(ok);
  t.regex(one.take(), /^HTTP\/1\.1 200/);
  two.feed(get);
  w.upstream(0).feed(unavailable);
  w.advance(100);
  t.is(w.clusterStat('upstream_rq_retry'), 2);
});

test('while a retry waits, the rest of a body waits too', (t) => {
  const w = withRetry({ on: ['reset'] });
  const client = w.client();
  client.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n');
  client.feed('x'.repeat(50_000));
  w.upstream(0).fail('remote-reset');
  client.feed('y'.repeat(10_000));
  t.true(client.readPaused);
  w.advance(100);
  t.false(client.readPaused);
  t.is(w.upstream(1).take().split('\r\n\r\n')[1], 'x'.repeat(50_000) + 'y'.repeat(10_000));
});
