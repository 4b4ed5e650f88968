/** Internal redirects: what is followed, what is left to the client, and what becomes of policies and bodies. */
import test from 'ava';
import type { InternalRedirectSpec, RouteSpec } from '../model/http.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { prefixRoute, routeAction, routeConfig } from './testing/specs.ts';

const policy = (of: Partial<InternalRedirectSpec> = {}): InternalRedirectSpec => ({
  maxRedirects: 1,
  codes: [302],
  crossScheme: false,
  predicates: [],
  copyHeaders: [],
  ...of,
});
const named = (name: string, prefix: string, of: Partial<InternalRedirectSpec> = {}): RouteSpec => ({
  ...prefixRoute(prefix, routeAction({ internalRedirect: policy(of) })),
  name,
});
const routes = (of: Partial<InternalRedirectSpec> = {}) =>
  routeConfig([named('from', '/from', of), prefixRoute('/to', routeAction())]);

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const found = (location: string, status = '302 Found', body = ''): string =>
  `HTTP/1.1 ${status}\r\nlocation: ${location}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

test('followed on the same connection; the client sees the last answer only', (t) => {
  const w = new FakeWorker({ routes: routes() });
  const client = w.client();
  client.feed(get('/from?x'));
  t.regex(w.upstream().take(), /^GET \/from\?x /);
  w.upstream().feed(found('http://b.example:81/to?y#z', '302 Found', 'moved'));
  t.is(client.take(), '');
  const again = w.upstream().take();
  t.regex(again, /^GET \/to\?y HTTP\/1\.1\r\nhost: b\.example:81\r\n/);
  t.regex(again, /x-envoy-original-url: http:\/\/a\/from\?x\r\n/);
  t.is(again.match(/x-envoy-expected-rq-timeout-ms/g)?.length, 1);
  w.upstream().feed(ok);
  t.regex(client.take(), /^HTTP\/1\.1 200 OK[\s\S]*ok$/);
  t.is(w.clusterStat('upstream_internal_redirect_succeeded_total'), 1);
  t.is(w.clusterStat('upstream_rq_active'), 0);
  t.is(w.dialled.length, 1);
});

test('an answer that is not complete yet costs its connection', (t) => {
  const w = new FakeWorker({ routes: routes() });
  const client = w.client();
  client.feed(get('/from'));
  w.upstream().feed('HTTP/1.1 302 Found\r\nlocation: http://b/to\r\ncontent-length: 9\r\n\r\npart');
  t.is(w.upstream(0).closed, 'close');
  t.regex(w.upstream(1).take(), /^GET \/to /);
  w.upstream(1).feed(ok);
  t.regex(client.take(), /^HTTP\/1\.1 200 /);
});

test('a body goes along, whole and chunked, up to what is kept; beyond that the answer is for the client', (t) => {
  for (const size of [5, 60_000]) {
    const w = new FakeWorker({ routes: routes() });
    w.client().feed(`POST /from HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size)}`);
    w.upstream().take();
    w.upstream().feed(found('http://b/to'));
    t.true(
      w
        .upstream()
        .take()
        .endsWith(`\r\n\r\n${'x'.repeat(size)}`),
    );
  }
  const w = new FakeWorker({ routes: routes() });
  const client = w.client();
  client.feed(`POST /from HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n${'x'.repeat(70_000)}`);
  w.upstream().feed(found('http://b/to'));
  t.regex(client.take(), /^HTTP\/1\.1 302 /);
  t.is(w.clusterStat('upstream_internal_redirect_failed_total'), 1);
});

test('a request that is still being sent is not redirected', (t) => {
  const w = new FakeWorker({ routes: routes() });
  const client = w.client();
  client.feed('POST /from HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel');
  w.upstream().feed(found('http://b/to'));
  t.regex(client.take(), /^HTTP\/1\.1 302 /);
});

test('a policy on requests judges where it leads', (t) => {
  const rule = { kind: 'url_path', path: { kind: 'prefix', value: '/to', ignoreCase: false } } as const;
  const policies = [{ name: 'p', permissions: [rule], principals: [{ kind: 'any' }] }] as const;
  const rules = { action: 'deny', policies } as const;
  const w = new FakeWorker({
    routes: routes(),
    manager: { filters: [{ kind: 'rbac', name: 'r', stats: 900, rules, shadowRules: null }, { kind: 'router' }] },
  });
  const client = w.client();
  client.feed(get('/from'));
  w.upstream().feed(found('http://b/to'));
  t.regex(client.take(), /^HTTP\/1\.1 403 [\s\S]*RBAC: access denied$/);
  t.is(w.dialled.length, 1);
});

test('a client that goes meanwhile ends it', (t) => {
  const w = new FakeWorker({ routes: routes() });
  const client = w.client();
  client.feed(get('/from'));
  w.defer(() => {
    client.end();
    w.upstream().feed(found('http://b/to'));
  });
  t.is(w.clusterStat('upstream_rq_active'), 0);
  t.is(w.http('downstream_rq_active'), 0);
});

test('what is left to the client, by its reason', (t) => {
  const left = (of: Partial<InternalRedirectSpec>, location: string, stat: Parameters<FakeWorker['http']>[0]): void => {
    const w = new FakeWorker({ routes: routes(of) });
    const client = w.client();
    client.feed(get('/from'));
    w.upstream().feed(found(location));
    if (stat === 'passthrough_internal_redirect_too_many_redirects') w.upstream().feed(found(location));
    t.regex(client.take(), /^HTTP\/1\.1 302 /, location);
    t.is(w.http(stat), 1, location);
  };
  for (const location of ['/to', 'ftp://b/to', 'http://', 'http://u@b/to', 'http:\\\\b\\to', 'http://b\\to']) {
    left({}, location, 'passthrough_internal_redirect_bad_location');
  }
  left({}, 'https://b/to', 'passthrough_internal_redirect_unsafe_scheme');
  left({}, 'http://b/nowhere', 'passthrough_internal_redirect_no_route');
  left({}, 'http://b/from', 'passthrough_internal_redirect_too_many_redirects');
  left(
    { predicates: [{ kind: 'allow_listed_routes', names: ['x'] }] },
    'http://b/to',
    'passthrough_internal_redirect_predicate',
  );
});
