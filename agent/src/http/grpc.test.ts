/** What a gRPC call's status, in trailers or in an answer without any, means to retries, hosts and the log. */
import test from 'ava';
import { compileFormat } from '../log/format.ts';
import type { RetryCondition } from '../model/http.ts';
import { camelGrpcStatus, httpStatusOfGrpc, snakeGrpcStatus } from './grpc-status.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { LoopbackAgent } from './testing/loopback-agent.ts';
import { connect, startApp } from './testing/node-peers.ts';
import { endpoint, prefixRoute, retrySpec, routeAction, routeConfig } from './testing/specs.ts';

const ask = (type: string): string =>
  `POST /a.B/C HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0`;
const call = ask('application/grpc');
const inTrailers = (...fields: string[]): string =>
  `HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n5\r\n\0\0\0\0\0\r\n0\r\n${fields.map((f) => `${f}\r\n`).join('')}\r\n`;
const alone = (...fields: string[]): string =>
  `HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n${fields.map((f) => `${f}\r\n`).join('')}content-length: 0\r\n\r\n`;

test('a call that failed under a 200 is counted, for whoever shows success rates', (t) => {
  const failures = (request: string, answer: string): number => {
    const w = new FakeWorker();
    w.client().feed(request);
    w.upstream(0).feed(answer);
    return w.http('downstream_rq_grpc_failure');
  };
  t.is(failures(call, inTrailers('grpc-status: 13')), 1);
  t.is(failures(call, alone('grpc-status: 14')), 1);
  t.is(failures(call, inTrailers('grpc-status: 5')), 0);
  t.is(failures(call, inTrailers('grpc-status: 0')), 0);
  t.is(failures(call, 'HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n'), 0);
  t.is(failures(ask('text/plain'), alone('grpc-status: 14')), 0);
});

/** One call with one answer: what the host was charged with. */
function charged(request: string, answer: string): 'success' | 'error' {
  const w = new FakeWorker();
  w.client().feed(request);
  w.upstream(0).feed(answer);
  const [host] = w.cluster('app')?.snapshot().hosts ?? [];
  return host?.rqSuccess === 1 && host.rqError === 0 ? 'success' : 'error';
}

test('a host is charged with the status of the call, not with the 200 around it', (t) => {
  const failures = new Set([2, 4, 12, 13, 14, 15, 17, 99]);
  for (const status of [...Array.from({ length: 18 }, (_, i) => i), 99]) {
    const wanted = failures.has(status) ? 'error' : 'success';
    t.is(charged(call, inTrailers(`grpc-status: ${status}`)), wanted, `${status} in trailers`);
    t.is(charged(call, alone(`grpc-status: ${status}`)), wanted, `${status} alone`);
    t.is(charged(ask('application/grpc+json'), alone(`grpc-status: ${status}`)), wanted);
    t.is(charged(ask('application/json'), inTrailers(`grpc-status: ${status}`)), 'success', `${status} of no call`);
    t.is(charged(ask('application/grpcx'), alone(`grpc-status: ${status}`)), 'success', `${status} of no call`);
  }
});

test('an answer that says nothing counts by its HTTP status, and trailers come before the head', (t) => {
  t.is(charged(call, alone()), 'success');
  t.is(charged(call, inTrailers('grpc-status: x')), 'success');
  t.is(charged(call, 'HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n'), 'error');
  t.is(charged(call, inTrailers('grpc-status: 14').replace('\r\n\r\n', '\r\ngrpc-status: 0\r\n\r\n')), 'error');
});

test('a host that fails calls is ejected as one that answers 503', (t) => {
  const outlier = {
    consecutive5xx: 3,
    enforcingConsecutive5xx: 100,
    consecutiveGatewayFailure: 3,
    enforcingConsecutiveGatewayFailure: 0,
    consecutiveLocalOriginFailure: 5,
    enforcingConsecutiveLocalOriginFailure: 100,
    splitExternalLocalOriginErrors: false,
    intervalMs: 10_000,
    baseEjectionTimeMs: 30_000,
    maxEjectionTimeMs: 300_000,
    maxEjectionPercent: 100,
  };
  const w = new FakeWorker({ cluster: { outlier }, endpoints: [endpoint(8081), endpoint(8082)] });
  const client = w.client();
  for (let i = 0; i < 6; i++) {
    client.feed(call);
    w.dialled.find((d) => d.stream.take() !== '')?.stream.feed(inTrailers('grpc-status: 14'));
  }
  t.is(w.clusterStat('outlier_detection.ejections_detected_consecutive_5xx'), 2);
  t.is(w.clusterStat('outlier_detection.ejections_detected_consecutive_gateway_failure'), 2);
});

test('a status that comes without a body is tried again where the policy says so; one in trailers is not', (t) => {
  const conditions: readonly (readonly [RetryCondition, number])[] = [
    ['cancelled', 1],
    ['deadline-exceeded', 4],
    ['resource-exhausted', 8],
    ['internal', 13],
    ['unavailable', 14],
  ];
  const attempts = (on: RetryCondition, answer: string): number => {
    const retry = retrySpec({ on: [on], numRetries: 1 });
    const w = new FakeWorker({ routes: routeConfig([prefixRoute('/', routeAction({ retry }))]) });
    const client = w.client();
    client.feed(call);
    w.upstream(0).feed(answer);
    w.advance(100);
    for (const { stream } of w.dialled) if (stream.take().includes('/a.B/C')) stream.feed(alone('grpc-status: 0'));
    return w.logged[0]?.attempts ?? 0;
  };
  for (const [on, status] of conditions) {
    for (const [, other] of conditions) {
      t.is(attempts(on, alone(`grpc-status: ${other}`)), other === status ? 2 : 1, `${on}: ${other}`);
    }
    t.is(attempts(on, inTrailers(`grpc-status: ${status}`)), 1, `${on}: in trailers`);
  }
});

const formats = ['%GRPC_STATUS%', '%GRPC_STATUS(SNAKE_STRING)%', '%GRPC_STATUS(NUMBER)%', '%GRPC_STATUS_NUMBER%'];

function told(w: FakeWorker, feed: () => void, format: string): string {
  let line = '';
  const compiled = compileFormat(format);
  w.onLog = (record) => {
    line = compiled.segments.map((s) => (s.kind === 'text' ? s.text : String(s.read(record) ?? '-'))).join('');
  };
  feed();
  return line;
}

test('the log tells the status in each form, of answers from everywhere', (t) => {
  const of = (request: string, answer: string, format: string): string => {
    const w = new FakeWorker();
    const client = w.client();
    return told(
      w,
      () => {
        client.feed(request);
        w.upstream(0).feed(answer);
      },
      format,
    );
  };
  const all = formats.join(' ');
  t.is(of(call, inTrailers('grpc-status: 4'), all), 'DeadlineExceeded DEADLINE_EXCEEDED 4 4');
  t.is(of(call, alone('grpc-status: 1'), all), 'Canceled CANCELLED 1 1');
  t.is(of(call, inTrailers('grpc-status: 0'), all), 'OK OK 0 0');
  t.is(of(call, alone('grpc-status: 77'), all), '77 77 77 77');
  t.is(of(call, alone(), all), 'Unknown UNKNOWN 2 2');
  t.is(of(ask('text/plain'), alone('grpc-status: 4'), all), '- - - -');
  t.is(
    of(call, inTrailers('grpc-status: 5', 'grpc-message: gone'), '%TRAILER(GRPC-MESSAGE)% %TRAILER(X?Y)%'),
    'gone -',
  );
  const none = new FakeWorker({ endpoints: [] });
  t.is(
    told(none, () => none.client().feed(call), all),
    'Unavailable UNAVAILABLE 14 14',
  );
  t.throws(() => compileFormat('%GRPC_STATUS(WORDS)%'), { message: /CAMEL_STRING, SNAKE_STRING or NUMBER/ });
  t.throws(() => compileFormat('%TRAILER%'), { message: /needs a name/ });
});

test('names and HTTP statuses of every code', (t) => {
  const codes = Array.from({ length: 18 }, (_, i) => i);
  t.deepEqual(
    codes.map(httpStatusOfGrpc),
    [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401, 500],
  );
  t.is(camelGrpcStatus(9), 'FailedPrecondition');
  t.is(snakeGrpcStatus(9), 'FAILED_PRECONDITION');
  t.is(snakeGrpcStatus(11), 'OUT_OF_RANGE');
});

test('over HTTP/2 on both sides: trailers, and an answer that is nothing else', async (t) => {
  const answers: Readonly<Record<string, object>> = {
    '/a.B/Fails': { headers: { 'content-type': 'application/grpc' }, body: 'x', trailers: { 'grpc-status': '13' } },
    '/a.B/Works': { headers: { 'content-type': 'application/grpc' }, body: 'x', trailers: { 'grpc-status': '0' } },
    '/a.B/Alone': { headers: { 'content-type': 'application/grpc', 'grpc-status': '14' }, body: '' },
  };
  const app = await startApp('http2', (request) => answers[request.path] ?? {});
  const agent = new LoopbackAgent({ endpoints: [endpoint(app.port, '127.0.0.1')], cluster: { protocol: 'http2' } });
  const client = connect('http2', agent.port);
  t.teardown(async () => {
    client.close();
    agent.close();
    await app.close();
  });
  for (const path of Object.keys(answers)) {
    const headers = { 'content-type': 'application/grpc', te: 'trailers' };
    t.is((await client.ask({ method: 'POST', path, headers, body: 'x' })).status, 200);
  }
  const [host] = agent.engine.cluster('app')?.snapshot().hosts ?? [];
  t.is(host?.rqSuccess, 1);
  t.is(host?.rqError, 2);
});
