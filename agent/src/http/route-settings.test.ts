/** Rarer settings of routes as requests meet them: attempts, durations, hashing, weighted clusters, filters per route. */
import test from 'ava';
import type {
  EarlyMutationSpec,
  HeaderAddSpec,
  HeaderMatchSpec,
  RouteActionSpec,
  RouteConfigSpec,
  RouteSpec,
  VirtualHostSpec,
} from '../model/http.ts';
import type { RbacSpec } from '../model/rbac.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { endpoint, noMutations, prefixRoute, retrySpec, routeAction, routeConfig, testStats } from './testing/specs.ts';

const get = (headers = ''): string => `GET /p HTTP/1.1\r\nHost: a\r\n${headers}\r\n`;
const answer = (status = '200 OK', headers = ''): string => `HTTP/1.1 ${status}\r\ncontent-length: 0\r\n${headers}\r\n`;

const exact = (name: string, value: string): HeaderMatchSpec => ({
  name,
  match: { kind: 'string', value: { kind: 'exact', value, ignoreCase: false } },
  invert: false,
  treatMissingAsEmpty: false,
});

function routes(action: Partial<RouteActionSpec>, host: Partial<VirtualHostSpec> = {}): RouteConfigSpec {
  const config = routeConfig([prefixRoute('/', routeAction(action))]);
  return { ...config, virtualHosts: config.virtualHosts.map((v) => ({ ...v, ...host })) };
}

test('attempts are counted in the request of each and in the answer', (t) => {
  const w = new FakeWorker({
    routes: routes({ retry: retrySpec() }, { attemptCount: { request: true, response: true } }),
    endpoints: [endpoint(8081), endpoint(8082)],
  });
  const client = w.client();
  client.feed(get('x-envoy-attempt-count: 9\r\n'));
  t.regex(w.upstream().take(), /x-envoy-attempt-count: 1\r\n/);
  w.upstream().feed(answer('503 No'));
  w.advance(300);
  t.regex(w.upstream(1).take(), /x-envoy-attempt-count: 2\r\n/);
  w.upstream(1).feed(answer());
  t.regex(client.take(), /x-envoy-upstream-service-time: [0-9]+\r\nx-envoy-attempt-count: 2\r\n/);
});

test('the longest time of a request: 504 when it was complete, 408 when not, the end of an answer begun', (t) => {
  const w = new FakeWorker({ manager: { maxStreamDurationMs: 500 } });
  const complete = w.client();
  complete.feed(get());
  const incomplete = w.client();
  incomplete.feed('POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n');
  const begun = w.client();
  begun.feed(get());
  w.upstream(2).feed('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nx');
  w.advance(600);
  t.regex(complete.take(), /^HTTP\/1\.1 504 .*downstream duration timeout$/s);
  t.regex(incomplete.take(), /^HTTP\/1\.1 408 .*downstream duration timeout$/s);
  t.is(begun.closed, 'after-flush');
  t.is(w.http('downstream_rq_max_duration_reached'), 3);
});

test('a grpc-timeout counts up to the cap and is passed on as it counts', (t) => {
  const streamDuration = { maxMs: null, grpcMaxMs: 200, grpcOffsetMs: 0 };
  const w = new FakeWorker({ routes: routes({ streamDuration }) });
  const client = w.client();
  client.feed(get('content-type: application/grpc\r\ngrpc-timeout: 5S\r\n'));
  t.regex(w.upstream().take(), /grpc-timeout: 200m\r\n/);
  w.advance(250);
  t.regex(client.take(), /^HTTP\/1\.1 200 OK.*grpc-status: 4\r\ngrpc-message: downstream duration timeout\r\n/s);
});

test('an answer is tried again for its headers or its grpc-status, and not when it was rate limited', (t) => {
  const tries = (on: Parameters<typeof retrySpec>[0], head: string): number => {
    const w = new FakeWorker({ routes: routes({ retry: retrySpec(on) }), endpoints: [endpoint(1), endpoint(2)] });
    w.client().feed(get());
    w.upstream().feed(answer('200 OK', head));
    w.advance(300);
    return w.dialled.length;
  };
  const retriableHeaders = [
    { name: 'x-again', match: { kind: 'present', present: true }, invert: false, treatMissingAsEmpty: false },
  ] as const;
  t.is(tries({ on: ['retriable-headers'], retriableHeaders }, 'x-again: 1\r\n'), 2);
  t.is(tries({ on: ['retriable-headers'], retriableHeaders }, ''), 1);
  t.is(tries({ on: ['unavailable'] }, 'grpc-status: 14\r\n'), 2);
  t.is(tries({ on: ['unavailable'] }, 'grpc-status: 13\r\n'), 1);
  t.is(tries({ on: ['envoy-ratelimited'] }, 'x-envoy-ratelimited: true\r\n'), 2);
  t.is(tries({ on: ['unavailable'] }, 'x-envoy-ratelimited: true\r\ngrpc-status: 14\r\n'), 1);
});

const ring = { lb: 'ring_hash' } as const;
const three = [endpoint(8081), endpoint(8082), endpoint(8083)];

function portsFor(action: Partial<RouteActionSpec>, heads: readonly string[]): readonly number[] {
  const w = new FakeWorker({ routes: routes(action), cluster: ring, endpoints: three, random: Math.random });
  return heads.map((head, i) => {
    w.client().feed(get(head));
    return w.dialled[i]?.options.address.port ?? 0;
  });
}

test('a header decides the host', (t) => {
  const hashPolicy = [{ kind: 'header', terminal: false, name: 'x-user', rewrite: null }] as const;
  const same = portsFor({ hashPolicy }, Array<string>(8).fill('x-user: bob\r\n'));
  t.is(new Set(same).size, 1);
  const many = portsFor(
    { hashPolicy },
    Array.from({ length: 40 }, (_, i) => `x-user: ${i}\r\n`),
  );
  t.is(new Set(many).size, 3);
});

test('a cookie is handed out once, and its bearer comes back to the host', (t) => {
  const hashPolicy = [{ kind: 'cookie', terminal: false, name: 'gen', ttlS: 60, path: '/p', attributes: [] }] as const;
  const w = new FakeWorker({ routes: routes({ hashPolicy }), cluster: ring, endpoints: three, random: Math.random });
  const client = w.client();
  client.feed(get());
  w.upstream().feed(answer());
  const cookie = /set-cookie: gen="([0-9a-f]{16})"; Max-Age=60; Path=\/p; HttpOnly\r\n/.exec(client.take())?.[1];
  t.truthy(cookie);
  const again = w.client();
  again.feed(get(`cookie: a=b; gen="${cookie}"\r\n`));
  t.is(w.dialled.at(-1)?.options.address.port, w.dialled[0]?.options.address.port);
  w.upstream(w.dialled.length - 1).feed(answer());
  t.notRegex(again.take(), /set-cookie/);
});

test('the caller chooses among weighted clusters by a number; each may have headers and a host of its own', (t) => {
  const headers = {
    ...noMutations,
    requestAdd: [{ name: 'x-c', value: 'two', action: 'append', keepEmpty: false }],
  } as const;
  const action = {
    clusters: [
      { name: 'nowhere', weight: 10 },
      { name: 'app', weight: 90, headers, hostRewrite: 'two.example' },
    ],
    weightHeader: 'x-choice',
  };
  const status = (choice: string): string => {
    const w = new FakeWorker({ routes: routes(action), random: () => 0.99 });
    const client = w.client();
    client.feed(get(`x-choice: ${choice}\r\n`));
    if (w.dialled.length === 0) return client.take().slice(9, 12);
    const head = w.upstream().take();
    t.regex(head, /host: two\.example\r\n/);
    t.regex(head, /x-c: two\r\n/);
    return 'app';
  };
  t.deepEqual(['9', '109', '10', '99', 'x'].map(status), ['503', '503', 'app', 'app', 'app']);
});

test('the innermost level may have the last word', (t) => {
  const overwrite = (value: string): RouteSpec['headers'] => ({
    ...noMutations,
    requestAdd: [{ name: 'x-l', value, action: 'overwrite', keepEmpty: false }],
  });
  const config = routeConfig([prefixRoute('/', routeAction(), overwrite('route'))]);
  const last = (mostSpecificWins: boolean): string | undefined => {
    const w = new FakeWorker({ routes: { ...config, headers: overwrite('config'), mostSpecificWins } });
    w.client().feed(get());
    return /x-l: (\w+)/.exec(w.upstream().take())?.[1];
  };
  t.is(last(true), 'route');
  t.is(last(false), 'config');
});

test('a route switches a filter off or gives it rules of its own', (t) => {
  const rules = (name: string): RbacSpec => ({
    action: 'deny',
    policies: [{ name, permissions: [{ kind: 'any' }], principals: [{ kind: 'any' }] }],
  });
  const filters = [
    { kind: 'rbac', name: 'authz', stats: testStats.rbac, rules: rules('general'), shadowRules: null },
    { kind: 'router' },
  ] as const;
  const details = (own: RouteSpec['filters'], host: VirtualHostSpec['filters'] = {}): string => {
    const base = routeConfig([{ ...prefixRoute('/', routeAction()), ...(own === undefined ? {} : { filters: own }) }]);
    const config = { ...base, virtualHosts: base.virtualHosts.map((v) => ({ ...v, filters: host })) };
    const w = new FakeWorker({ manager: { filters }, routes: config });
    w.client().feed(get());
    return w.dialled.length > 0 ? 'passed' : w.lastLog.details;
  };
  const own = { rules: rules('own'), shadowRules: null };
  t.is(details(undefined), 'rbac_access_denied_matched_policy[general]');
  t.is(details({ authz: null }), 'passed');
  t.is(details({ authz: own }), 'rbac_access_denied_matched_policy[own]');
  t.is(details(undefined, { authz: own }), 'rbac_access_denied_matched_policy[own]');
  t.is(details({ authz: null }, { authz: own }), 'passed');
  t.is(details({ other: null }), 'rbac_access_denied_matched_policy[general]');
});

test('early mutations come one after the other, before the route and before who the client is', (t) => {
  const add = (name: string, value: string, action: HeaderAddSpec['action'] = 'append'): EarlyMutationSpec => ({
    kind: 'add',
    add: { name, value, action, keepEmpty: false },
  });
  const match = { ...prefixRoute('/', routeAction()).match, headers: [exact('x-early', 'v /p')] };
  const w = new FakeWorker({
    manager: {
      earlyMutations: [
        { kind: 'remove', name: 'x-secret' },
        add('x-secret', 'none'),
        add('x-early', 'v %REQ(:PATH)%', 'overwrite'),
        add('x-forwarded-for', '10.1.1.1', 'add_if_absent'),
        add('x-envoy-retry-on', '5xx'),
        add('x-there', 'b', 'overwrite_if_exists'),
        add('x-absent', 'b', 'overwrite_if_exists'),
      ],
    },
    routes: routeConfig([{ ...prefixRoute('/', routeAction()), match }]),
  });
  const client = w.client();
  client.feed(get('x-secret: 1\r\nx-early: spoofed\r\nx-there: a\r\n'));
  const sent = w.upstream().take();
  t.regex(sent, /x-secret: none\r\n/);
  t.notRegex(sent, /x-secret: 1|spoofed|x-absent|x-envoy-retry-on/);
  t.regex(sent, /x-early: v \/p\r\n/);
  t.regex(sent, /x-there: b\r\n/);
  t.regex(sent, /x-forwarded-for: 10\.1\.1\.1/);
});
