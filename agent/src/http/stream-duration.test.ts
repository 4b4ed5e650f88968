import test from 'ava';
import type { RouteActionSpec } from '../model/http.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { prefixRoute, retrySpec, routeAction, routeConfig } from './testing/specs.ts';

const ok = 'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 0\r\ncontent-length: 0\r\n\r\n';

interface Asked {
  readonly action: Partial<RouteActionSpec>;
  readonly timeout?: string;
  readonly type?: string;
}

function asked({ action, timeout, type = 'application/grpc' }: Asked) {
  const w = new FakeWorker({ routes: routeConfig([prefixRoute('/', routeAction(action))]) });
  const client = w.client();
  const header = timeout === undefined ? '' : `grpc-timeout: ${timeout}\r\n`;
  client.feed(`POST /a.B/C HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\n${header}Content-Length: 0\r\n\r\n`);
  const sent = w.upstream(0).take();
  const told = (name: string): string => new RegExp(`\r\n${name}: (.*)\r\n`).exec(sent)?.[1] ?? '';
  return { w, client, told: told('grpc-timeout'), expected: told('x-envoy-expected-rq-timeout-ms') };
}

const legacy: readonly (readonly [maxMs: number, offsetMs: number, timeout: string | undefined, told: string])[] = [
  [300, 0, '10S', '300m'],
  [300, 0, '250m', '250m'],
  [300, 0, undefined, '300m'],
  [300, 0, 'nonsense', '300m'],
  [0, 0, undefined, ''],
  [0, 0, '99999999H', '99999999H'],
  [0, 0, '27778H', '1666680M'],
  [0, 100, '300m', '200m'],
  [0, 100, '50m', '50m'],
  [250, 100, '300m', '200m'],
];
for (const [maxMs, offsetMs, timeout, told] of legacy) {
  test(`max_grpc_timeout ${maxMs}, offset ${offsetMs}: ${timeout ?? 'none'} becomes ${told || 'none'}`, (t) => {
    const grpcTimeout = { maxMs, offsetMs };
    const call = asked({ action: { timeoutMs: 9000, grpcTimeout }, ...(timeout === undefined ? {} : { timeout }) });
    t.is(call.told, told);
    t.is(call.expected === '', told === '');
  });
}

test('it is the timeout of the route, for gRPC alone', (t) => {
  const grpcTimeout = { maxMs: 300, offsetMs: 0 };
  const late = asked({ action: { timeoutMs: 9000, grpcTimeout }, timeout: '1S' });
  late.w.advance(310);
  t.regex(late.client.take(), /^HTTP\/1\.1 200 [\s\S]*grpc-status: 14\r\n/);
  const other = asked({ action: { timeoutMs: 9000, grpcTimeout }, timeout: '1S', type: 'text/plain' });
  t.is(other.told, '1S');
  t.is(other.expected, '9000');
});

test('a timeout for each try is what is told, and a retry tells what is left', (t) => {
  const retry = retrySpec({ perTryTimeoutMs: 2000, on: ['unavailable'] });
  const call = asked({ action: { grpcTimeout: { maxMs: 0, offsetMs: 0 }, retry }, timeout: '3S' });
  t.is(call.told, '2000m');
  call.w.advance(1500);
  call.w.upstream(0).feed(ok.replace('grpc-status: 0', 'grpc-status: 14'));
  call.w.advance(100);
  t.regex(call.w.dialled.at(-1)?.stream.take() ?? '', /grpc-timeout: 1[45]\d\dm\r\n/);
});

test('max_stream_duration: what is told is the limit in force, and nothing where there is none', (t) => {
  const of = (maxMs: number | null, grpcMaxMs: number | null, timeout?: string): string =>
    asked({
      action: { timeoutMs: 0, streamDuration: { maxMs, grpcMaxMs, grpcOffsetMs: 0 } },
      ...(timeout === undefined ? {} : { timeout }),
    }).told;
  t.is(of(300, null, '10S'), '300m');
  t.is(of(300, null), '300m');
  t.is(of(null, 200, '10S'), '200m');
  t.is(of(null, 0, '10S'), '10000m');
  t.is(of(0, null, '10S'), '');
  t.is(of(null, 200, 'nonsense'), 'nonsense');
  t.is(of(200, 200, 'nonsense'), '200m');
});
