/** Copies of requests: what they carry, that the client never waits for them, and that what they take is given back. */
import test from 'ava';
import type { MirrorSpec, RouteActionSpec, RouteConfigSpec } from '../model/http.ts';
import { shadowHost } from './mirror.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { endpoint, prefixRoute, routeAction, routeConfig } from './testing/specs.ts';

const mirror = (of: Partial<MirrorSpec> = {}): MirrorSpec => ({
  cluster: 'mirror',
  clusterHeader: '',
  fraction: null,
  hostSuffix: true,
  ...of,
});

function routes(mirrors: readonly MirrorSpec[], action: Partial<RouteActionSpec> = {}): RouteConfigSpec {
  return routeConfig([prefixRoute('/', routeAction({ mirrors, ...action }))]);
}

/** The copy sets out first: it is the first upstream connection, the request itself the second. */
function worker(mirrors: readonly MirrorSpec[] = [mirror()], action: Partial<RouteActionSpec> = {}): FakeWorker {
  return withMirror(routes(mirrors, action));
}

function withMirror(config: RouteConfigSpec): FakeWorker {
  const w = new FakeWorker({ routes: config });
  w.addCluster('mirror', endpoint(9000));
  return w;
}

/** Of the mirror's cluster. */
const stat = (w: FakeWorker, name: Parameters<FakeWorker['clusterStat']>[0]): number => w.clusterStat(name, 1);

const get = 'GET /p HTTP/1.1\r\nHost: a:80\r\n\r\n';
const post = 'POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n';
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

function nothingTaken(w: FakeWorker): readonly number[] {
  return (['upstream_rq_active', 'upstream_rq_pending_active', 'upstream_cx_active'] as const).map((n) =>
    w.clusterStat(n),
  );
}

test('the copy says that it is one; its answer is dropped, whatever it is, and both connections are used again', (t) => {
  const w = worker();
  const client = w.client();
  client.feed(get);
  t.regex(
    w.upstream(0).take(),
    /^GET \/p HTTP\/1\.1\r\nhost: a-shadow:80\r\n[\s\S]*x-envoy-internal: true\r\nx-forwarded-for: [0-9.]+\r\n\r\n$/,
  );
  t.regex(w.upstream(1).take(), /^GET \/p HTTP\/1\.1\r\nhost: a:80\r\n(?![\s\S]*x-envoy-internal)/);
  w.upstream(1).feed(ok);
  t.regex(client.take(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*ok$/);
  w.upstream(0).feed('HTTP/1.1 500 No\r\ncontent-length: 5\r\n\r\nwrong');
  t.is(client.take(), '');
  t.is(w.clusterStat('upstream_rq_2xx'), 1);
  t.is(stat(w, 'upstream_rq_5xx'), 1);
  t.deepEqual(nothingTaken(w).slice(0, 2), [0, 0]);
  client.feed(get);
  t.is(w.dialled.length, 2);
});

test('a body goes along as it comes, in its framing, with its trailers', (t) => {
  const w = worker();
  const client = w.client();
  client.feed('POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n');
  client.feed('3\r\ntwo\r\n0\r\nx-sum: 6\r\n\r\n');
  const bodies = [0, 1].map((i) => w.upstream(i).take().split('\r\n\r\n').slice(1).join('\r\n\r\n'));
  t.is(bodies[0], '3\r\none\r\n3\r\ntwo\r\n0\r\nx-sum: 6\r\n\r\n');
  t.is(bodies[1], bodies[0]);
});

test('what comes before the mirror is connected waits for it, and for nobody else', (t) => {
  const w = worker();
  w.autoConnect = false;
  const client = w.client();
  client.feed(`${post}01234`);
  w.upstream(1).connect();
  t.true(w.upstream(1).take().endsWith('\r\n\r\n01234'));
  client.feed('56789');
  t.is(w.upstream(1).take(), '56789');
  w.upstream(1).feed(ok);
  t.regex(client.take(), /200 OK/);
  w.upstream(0).connect();
  t.true(w.upstream(0).take().endsWith('\r\n\r\n0123456789'), 'also when the request has long been answered');
});

test('a mirror that is slow or does not connect is given up, and the request goes on', (t) => {
  const size = 600_000;
  for (const connects of [true, false]) {
    const w = worker();
    w.autoConnect = false;
    const client = w.client();
    client.feed(`POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
    w.upstream(1).connect();
    if (connects) {
      w.upstream(0).connect();
      w.upstream(0).slow = true;
    }
    let received = w.upstream(1).take().split('\r\n\r\n')[1]?.length ?? 0;
    for (let sent = 0; sent < size; sent += 50_000) {
      client.feed('x'.repeat(50_000));
      received += w.upstream(1).take().length;
    }
    t.is(received, size);
    t.false(client.readPaused);
    t.is(w.upstream(0).closed !== 'no', connects);
    t.true(w.upstream(0).maxQueued < 400_000, `${w.upstream(0).maxQueued} bytes waited`);
    t.is(w.clusterStat('retry_or_shadow_abandoned'), 1);
    w.upstream(1).feed(ok);
    t.regex(client.take(), /200 OK/);
    t.is(stat(w, 'upstream_rq_active'), 0);
  }
});

test('half a copy is cut when its request ends early: by the client, or by an answer', (t) => {
  const gone = worker();
  const client = gone.client();
  client.feed(`${post}01234`);
  client.fail('remote-reset');
  t.is(gone.upstream(0).closed, gone.upstream(1).closed);
  t.deepEqual(nothingTaken(gone), [0, 0, 0]);
  const early = worker();
  early.client().feed(`${post}01234`);
  early.upstream(1).feed('HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n');
  t.not(early.upstream(0).closed, 'no');
  t.is(stat(early, 'upstream_rq_active'), 0);
});

test('a copy that goes unanswered ends with the timeout of its route', (t) => {
  const w = worker([mirror()], { timeoutMs: 300 });
  const client = w.client();
  client.feed(get);
  w.upstream(1).feed(ok);
  t.regex(client.take(), /200 OK/);
  w.advance(400);
  t.not(w.upstream(0).closed, 'no');
  t.is(stat(w, 'upstream_rq_timeout'), 1);
  t.is(stat(w, 'upstream_rq_active'), 0);
});

test('a mirror that refuses, breaks off or speaks nonsense is counted and nothing else', (t) => {
  for (const end of ['refuses', 'breaks', 'nonsense'] as const) {
    const w = worker();
    w.autoConnect = end !== 'refuses';
    const client = w.client();
    client.feed(get);
    if (end === 'refuses') {
      w.upstream(1).connect();
      w.upstream(0).fail('connect-refused');
    } else if (end === 'breaks') w.upstream(0).fail('remote-reset');
    else w.upstream(0).feed('what?\r\n\r\n');
    w.upstream(1).feed(ok);
    t.regex(client.take(), /200 OK/, end);
    t.is(stat(w, 'upstream_rq_5xx'), 1, end);
    t.is(stat(w, 'upstream_rq_active'), 0, end);
  }
});

test('a share of the requests, a cluster by header, no suffix, one that does not exist', (t) => {
  t.is(dialsOf(mirror({ fraction: 0.5 }), get), 1, 'random says 0.5');
  t.is(dialsOf(mirror({ fraction: 0.51 }), get), 2);
  t.is(dialsOf(mirror({ cluster: '', clusterHeader: 'x-to' }), get.replace('\r\n\r\n', '\r\nx-to: mirror\r\n\r\n')), 2);
  t.is(dialsOf(mirror({ cluster: '', clusterHeader: 'x-to' }), get), 1);
  t.is(dialsOf(mirror({ cluster: 'other' }), get), 1);
  const plain = worker([mirror({ hostSuffix: false })]);
  plain.client().feed(get);
  t.regex(plain.upstream(0).take(), /host: a:80\r\n/);
  t.is(shadowHost('[::1]:80'), '[::1]-shadow:80');
  t.is(shadowHost('a'), 'a-shadow');
});

function dialsOf(policy: MirrorSpec, request: string): number {
  const w = worker([policy]);
  w.client().feed(request);
  return w.dialled.length;
}

test('levels: the route has the say before its virtual host, and that before the configuration', (t) => {
  const suffixOf = (config: RouteConfigSpec): string => {
    const w = withMirror(config);
    w.client().feed('GET /p HTTP/1.1\r\nHost: a\r\n\r\n');
    return w.dialled.length === 1 ? 'none' : (/host: (\S+)/.exec(w.upstream(0).take())?.[1] ?? '');
  };
  const config = routeConfig([prefixRoute('/', routeAction())]);
  const host = (mirrors: readonly MirrorSpec[]): RouteConfigSpec => ({
    ...config,
    virtualHosts: config.virtualHosts.map((v) => ({ ...v, mirrors })),
  });
  t.is(suffixOf(config), 'none');
  t.is(suffixOf({ ...config, mirrors: [mirror()] }), 'a-shadow');
  t.is(suffixOf({ ...host([mirror({ hostSuffix: false })]), mirrors: [mirror()] }), 'a');
  const route = routes([mirror()]);
  t.is(
    suffixOf({
      ...route,
      virtualHosts: route.virtualHosts.map((v) => ({ ...v, mirrors: [mirror({ hostSuffix: false })] })),
    }),
    'a-shadow',
  );
});

test('a WebSocket makes no copies', (t) => {
  const upgrade = new FakeWorker({ manager: { upgrades: ['websocket'] }, routes: routes([mirror()]) });
  upgrade.client().feed('GET /p HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
  t.is(upgrade.dialled.length, 1);
});
