/** Who the client is with the rarer settings, and what is said of this proxy. Values are Envoy's. */
import test from 'ava';
import type { ClientOriginSpec, HttpConnectionManagerSpec } from '../model/http.ts';
import { FakeWorker } from './testing/fake-worker.ts';

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\nvia: 1.0 old\r\n\r\n';
const nothing: ClientOriginSpec = { internalRanges: [], detection: [], forwardedPort: 'off', scheme: null };

interface Seen {
  readonly head: string;
  readonly answer: string;
  readonly worker: FakeWorker;
}

function ask(manager: Partial<HttpConnectionManagerSpec>, headers = '', remoteIp = '10.0.0.9'): Seen {
  const worker = new FakeWorker({ manager });
  const client = worker.client({ remoteIp });
  client.feed(`GET / HTTP/1.1\r\nHost: a.example.:80\r\n${headers}\r\n`);
  const head = worker.dialled.length === 0 ? '' : worker.upstream().take();
  if (head !== '') worker.upstream().feed(ok);
  return { head, answer: client.take(), worker };
}

const internal: Partial<HttpConnectionManagerSpec> = {
  useRemoteAddress: true,
  origin: { ...nothing, internalRanges: ['10.0.0.0/8'] },
};

test('an internal caller is marked and keeps its wishes, an external one loses them', (t) => {
  const wish = 'x-envoy-upstream-rq-timeout-ms: 70\r\n';
  const inside = ask(internal, wish);
  t.regex(inside.head, /x-envoy-internal: true\r\n/);
  t.regex(inside.head, /x-envoy-expected-rq-timeout-ms: 70\r\n/);
  t.notRegex(inside.head, /x-envoy-external-address/);
  const outside = ask(internal, wish, '192.0.2.1');
  t.regex(outside.head, /x-envoy-expected-rq-timeout-ms: 15000\r\n/);
  t.notRegex(outside.head, /x-envoy-internal|x-envoy-upstream-rq-timeout-ms/);
  t.regex(outside.head, /x-envoy-external-address: 192\.0\.2\.1\r\n/);
});

test('an address that came through another proxy makes nobody internal', (t) => {
  t.notRegex(ask(internal, 'x-forwarded-for: 10.1.1.1\r\n').head, /x-envoy-internal/);
  t.notRegex(ask({ origin: { ...nothing, internalRanges: ['10.0.0.0/8'] } }).head, /x-envoy-internal/);
  const single = { origin: { ...nothing, internalRanges: ['10.0.0.0/8'] } };
  t.regex(ask(single, 'x-forwarded-for: 10.1.1.1\r\n').head, /x-envoy-internal: true/);
  t.notRegex(ask(single, 'x-forwarded-for: 10.1.1.1, 10.1.1.2\r\n').head, /x-envoy-internal/);
});

test('an internal caller keeps its request id', (t) => {
  t.regex(ask(internal, 'x-request-id: mine\r\n').head, /x-request-id: mine\r\n/);
  t.notRegex(ask(internal, 'x-request-id: mine\r\n', '192.0.2.1').head, /x-request-id: mine/);
});

test('the address from a header of its own, and refusal without one', (t) => {
  const detection = [{ kind: 'custom_header', name: 'x-client', trusted: true, rejectStatus: 401 }] as const;
  const manager = { origin: { ...nothing, internalRanges: ['192.0.2.0/24'], detection } };
  t.regex(ask(manager, 'X-Client: 192.0.2.7\r\n').head, /x-envoy-internal: true/);
  const refused = ask(manager, 'X-Client: nonsense\r\n');
  t.is(refused.head, '');
  t.regex(refused.answer, /^HTTP\/1\.1 401 Unauthorized\r\n/);
  t.is(refused.worker.http('downstream_rq_rejected_via_ip_detection'), 1);
  t.is(refused.worker.lastLog.details, 'rejecting_because_detection_failed');
});

test('x-forwarded-port and the scheme', (t) => {
  const port = (forwardedPort: ClientOriginSpec['forwardedPort'], headers = ''): string =>
    ask({ origin: { ...nothing, forwardedPort } }, headers).head;
  t.regex(port('always', 'x-forwarded-port: 1\r\n'), /x-forwarded-port: 8080\r\n/);
  t.regex(port('if-absent', 'x-forwarded-port: 1\r\n'), /x-forwarded-port: 1\r\n/);
  t.regex(port('if-absent'), /x-forwarded-port: 8080\r\n/);
  t.regex(ask({ origin: { ...nothing, scheme: 'https' } }).head, /x-forwarded-proto: https\r\n/);
});

test('via both ways, and the names of this proxy', (t) => {
  const { head, answer } = ask({ via: 'myproxy' }, 'via: 1.1 first\r\n');
  t.regex(head, /via: 1\.1 first, myproxy\r\n/);
  t.regex(answer, /via: 1\.0 old, myproxy\r\n/);
  const named = ask({ userAgent: { cluster: 'edge', node: 'edge-1' } }, 'user-agent: curl\r\n').head;
  t.regex(named, /user-agent: curl\r\nx-.*x-envoy-downstream-service-cluster: edge\r\n/s);
  t.regex(named, /x-envoy-downstream-service-node: edge-1\r\n/);
  t.regex(ask({ userAgent: { cluster: 'edge', node: '' } }).head, /user-agent: edge\r\n/);
});

test('the dot behind a host goes', (t) => {
  t.regex(ask({ stripTrailingHostDot: true }).head, /host: a\.example:80\r\n/i);
  t.regex(ask({}).head, /host: a\.example\.:80\r\n/i);
});
