/**
 * One mesh with small applications that do what is hard on a proxy: every protocol through two agents, every kind of
 * address, every policy, and every way around them.
 */
import fs from 'node:fs';
import test from 'ava';
import type { Http2Answer, HttpAnswer } from './mesh/driver-api.ts';
import { callsPolicy, guard, namespaces, precedence, retries, roll, route, workloads } from './mesh/manifests.ts';
import { patternDigest } from './mesh/pattern.ts';
import { type AgentEdge, echoOf, eventually, SuiteMesh } from './mesh/suite-mesh.ts';

const name = `e2e-traffic-${process.pid}`;
const id = (namespace: string, account: string): string => `spiffe://cluster.local/ns/${namespace}/sa/${account}`;
const big = 50 * 1024 * 1024;

let mesh: SuiteMesh;

test.before(async () => {
  mesh = await SuiteMesh.start(name, {
    'namespaces.yaml': namespaces,
    'workloads.yaml': workloads,
    'roll.yaml': roll('v1'),
    'route.yaml': route,
  });
});

test.before(async () => {
  // A pod that is ready is not known to every agent at the same moment.
  for (const url of ['http://echo/', 'http://roll/', 'http://open.beta/']) {
    await eventually(url, async () => (await mesh.http('alpha/client', { url })).status === 200 || undefined);
  }
});

test.after.always(() => mesh?.stop());

/** Outbound edges of alpha/client to a target whose name contains the text; workers tell theirs once a second. */
const edgesTo = (text: string, peer?: string): Promise<readonly AgentEdge[]> =>
  eventually(`an edge to ${text}`, async () => {
    const all = await mesh.edges('alpha/client');
    const found = all.filter((e) => e.direction === 'outbound' && e.target.includes(text));
    return found.some((e) => peer === undefined || e.peer === peer) ? found : undefined;
  });

const summary = (a: HttpAnswer): string => `${a.status} ${a.error} ${a.body.slice(0, 300)}`;

test.serial('a WebSocket through two agents keeps every message whole, small and large', async (t) => {
  const sizes = [0, 1, 125, 126, 65_535, 65_536, 300_000];
  const answer = await mesh.from('alpha/client', 'websocket', { url: 'ws://echo/socket', sizes });
  t.deepEqual(answer, { intact: sizes.map(() => true), closeCode: 4001, error: '' });
});

test.serial('50 MB up and down arrive whole', async (t) => {
  const digest = patternDigest(big);
  const up = await mesh.http('alpha/client', { url: 'http://echo/upload', method: 'POST', bodyBytes: big });
  t.is(up.status, 200, summary(up));
  t.like(echoOf(up), { bytes: big, sha256: digest });
  const down = await mesh.http('alpha/client', { url: `http://echo/download?bytes=${big}` });
  t.like(down, { status: 200, bytes: big, sha256: digest, error: '' });
});

test.serial('chunked bodies with trailers pass in both directions', async (t) => {
  const call = { url: 'http://echo/x', method: 'POST', bodyBytes: 100_000, trailers: { 'x-digest': 'seen' } };
  const up = await mesh.http('alpha/client', call);
  t.like(echoOf(up), { bytes: 100_000, sha256: patternDigest(100_000), trailers: { 'x-digest': 'seen' } }, summary(up));
  const down = await mesh.http('alpha/client', { url: 'http://echo/trailers' });
  t.like(down, { status: 200, body: 'first;second', trailers: { 'x-checksum': 'abc' } }, summary(down));
});

test.serial(
  'HTTP/2 and gRPC: many streams at once through two agents, trailers, one connection between them',
  async (t) => {
    const paths = Array.from({ length: 40 }, (_, i) => `/echo/${i}`);
    const ask = (): Promise<readonly Http2Answer[]> =>
      mesh.from('alpha/client', 'http2', { url: 'http://calls:82', paths, method: 'POST', bodyBytes: 50_000 });
    const pod = (await mesh.pod('alpha/echo')).name;
    const answers = await eventually('every call is answered', async () => {
      const all = await ask();
      return all.every((a) => a.status === 200) ? all : undefined;
    });
    t.deepEqual(
      answers.map((a) => JSON.parse(a.body)).map(({ pod, path, bytes }) => [pod, path, bytes]),
      paths.map((path) => [pod, path, 50_000]),
    );
    t.true(answers.every((a) => a.trailers['grpc-status'] === '0' && a.error === ''));
    const stats = await mesh.stats('alpha/client');
    const cluster = 'cluster.outbound|82||calls.alpha.svc.cluster.local';
    t.is(stats.get(`${cluster}.upstream_cx_http2_total`), 1);
    t.is(stats.get(`${cluster}.upstream_cx_http1_total`), 0);
    t.true((stats.get(`${cluster}.upstream_rq_total`) ?? 0) >= 40);
    await eventually('every request counts on its edge', async () => {
      const edges = await edgesTo('outbound|82||calls.alpha', id('alpha', 'echo'));
      return edges.some((e) => e.tls === 'TLSv1.3' && e.requests >= 40) || undefined;
    });
  },
);

test.serial('a policy about paths holds on an HTTP/2 port', async (t) => {
  mesh.edit('calls.yaml', callsPolicy);
  await mesh.programmed('SecurityPolicy', 'alpha', 'calls');
  const ask = (): Promise<readonly Http2Answer[]> =>
    mesh.from('alpha/client', 'http2', { url: 'http://calls:82', paths: ['/echo/a', '/other', '/echo/../other'] });
  const answers = await eventually('the policy holds', async () => {
    const all = await ask();
    return all[1]?.status === 403 ? all : undefined;
  });
  t.deepEqual(
    answers.map((a) => a.status),
    [200, 403, 403],
  );
});

test.serial('requests of HTTP/1.1 applications share a connection between the agents', async (t) => {
  await Promise.all(Array.from({ length: 20 }, () => mesh.http('alpha/client', { url: 'http://echo/shared' })));
  const stats = await mesh.stats('alpha/client');
  const cluster = 'cluster.outbound|80||echo.alpha.svc.cluster.local';
  // One for each address of the pod, IPv4 and IPv6.
  t.true((stats.get(`${cluster}.upstream_cx_http2_total`) ?? 99) <= 2);
  const inbound = await mesh.stats('alpha/echo');
  t.true((inbound.get('cluster.inbound|8080.upstream_cx_http1_total') ?? 0) > 0, 'the application hears HTTP/1.1');
});

test.serial('IPv6: Service address and pod address', async (t) => {
  const { services } = await mesh.client.status();
  const vip = services.find((s) => s.name === 'echo')?.clusterIPs.find((ip) => ip.includes(':'));
  const pod = (await mesh.pod('alpha/echo')).ips.find((ip) => ip.includes(':'));
  for (const url of [`http://[${vip}]/six`, `http://[${pod}]:8080/six`]) {
    const answer = await mesh.http('alpha/client', { url });
    t.is(answer.status, 200, `${url}: ${summary(answer)}`);
    t.is(echoOf(answer).pod, (await mesh.pod('alpha/echo')).name);
  }
  const direct = await mesh.http('alpha/client', { url: `http://[${pod}]:8080/six` });
  t.like(echoOf(direct), { from: '::6', to: pod });
});

test.serial('a server that speaks first, on a port of undeclared protocol, with half-close', async (t) => {
  const host = (await mesh.pod('alpha/echo')).name;
  for (const to of ['echo', 'echo-pods']) {
    const answer = await mesh.from('alpha/client', 'tcp', { host: to, port: 9000, serverFirst: true, send: 'ping\n' });
    t.deepEqual(
      answer,
      { connected: true, received: `hello from ${host}\nPING\nbye\n`, outcome: 'end', error: '' },
      to,
    );
  }
});

test.serial('a declared TCP port: a large body, the FIN, then the answer', async (t) => {
  const bytes = 5 * 1024 * 1024;
  const answer = await mesh.from('alpha/client', 'tcp', { host: 'echo', port: 9001, bytes });
  t.like(answer, { outcome: 'end', error: '' });
  t.deepEqual(JSON.parse(answer.received), { bytes, sha256: patternDigest(bytes) });
  const edges = await edgesTo('outbound|9001||echo.alpha', id('alpha', 'echo'));
  t.true(
    edges.some((e) => e.tls === 'TLSv1.3' && e.peer === id('alpha', 'echo')),
    JSON.stringify(edges),
  );
});

test.serial('a headless Service and a bare pod address are mutual TLS as well', async (t) => {
  const pod = await mesh.pod('alpha/echo');
  for (const host of ['echo-pods', pod.ips[0] ?? '']) {
    const answer = await mesh.http('alpha/client', { url: `http://${host}:8080/direct` });
    t.is(echoOf(answer).pod, pod.name, summary(answer));
  }
  const edges = await edgesTo('direct|', id('alpha', 'echo'));
  const toEcho = edges.filter((e) => e.peer === id('alpha', 'echo'));
  t.true(toEcho.length > 0, JSON.stringify(edges));
  t.true(
    edges.every((e) => e.tls === 'TLSv1.3' && e.local === id('alpha', 'client')),
    JSON.stringify(edges),
  );
});

test.serial('an HTTPRoute rewrites a prefix, and sends by header to another Service', async (t) => {
  await mesh.programmed('HTTPRoute', 'alpha', 'routed');
  const rewritten = await mesh.http('alpha/client', { url: 'http://routed/v1/items?a=1' });
  t.like(echoOf(rewritten), { url: '/v2/items?a=1', pod: (await mesh.pod('alpha/echo')).name });
  const canary = await mesh.http('alpha/client', { url: 'http://routed/', headers: { 'x-canary': 'yes' } });
  t.true(
    (await mesh.pods('alpha/roll')).some((p) => p.name === echoOf(canary).pod),
    summary(canary),
  );
  const plain = await mesh.http('alpha/client', { url: 'http://routed/', headers: { 'x-canary': 'no' } });
  t.is(echoOf(plain).pod, (await mesh.pod('alpha/echo')).name);
});

test.serial('by default a GET whose connection breaks is repeated, a POST that was sent is not', async (t) => {
  const get = await mesh.http('alpha/client', { url: 'http://echo/reset-first?key=default-get' });
  t.is(get.status, 200, summary(get));
  t.is(echoOf(get).attempt, 2);
  const post = await mesh.http('alpha/client', {
    url: 'http://echo/reset-first?key=default-post',
    method: 'POST',
    bodyBytes: 100,
  });
  t.is(post.status, 503, summary(post));
  const hits = await mesh.http('alpha/client', { url: 'http://echo/hits' });
  t.like(JSON.parse(hits.body), { 'default-get': 2, 'default-post': 1 });
});

test.serial('a BackendTrafficPolicy repeats what it is told to, also a POST', async (t) => {
  mesh.edit('retries.yaml', retries('reset'));
  await mesh.programmed('BackendTrafficPolicy', 'alpha', 'echo');
  const call = { url: 'http://echo/reset-first?key=policy-post', method: 'POST', bodyBytes: 30_000 };
  const post = await mesh.http('alpha/client', call);
  t.is(post.status, 200, summary(post));
  t.like(echoOf(post), { attempt: 2, bytes: 30_000, sha256: patternDigest(30_000) });
  mesh.edit('retries.yaml', undefined);
  await eventually('the policy is gone', () =>
    mesh.status('BackendTrafficPolicy', 'alpha', 'echo') === '' ? true : undefined,
  );
});

test.serial('an application that closes idle connections after 50 ms never costs a request', async (t) => {
  const gaps = [20, 48, 49, 50, 51, 52, 55, 60];
  for (const method of ['GET', 'POST']) {
    for (const gapMs of gaps) {
      const answers = await mesh.from('alpha/client', 'http', {
        url: `http://echo:81/idle?key=${method}-${gapMs}`,
        method,
        bodyBytes: method === 'POST' ? 10 : 0,
        session: 'race',
        times: 12,
        gapMs,
      });
      const bad = answers.filter((a) => a.status !== 200);
      t.deepEqual(bad, [], `${method} every ${gapMs} ms`);
    }
  }
  const hits = JSON.parse((await mesh.http('alpha/client', { url: 'http://echo/hits' })).body) as Record<
    string,
    number
  >;
  for (const gapMs of gaps) t.is(hits[`POST-${gapMs}`], 12, `POST every ${gapMs} ms`);
});

test.serial('PERMISSIVE: mesh TLS has an identity, plaintext has none and is served', async (t) => {
  const meshed = await mesh.http('alpha/client', { url: 'http://open.beta/' });
  t.is(meshed.status, 200, summary(meshed));
  const edges = await edgesTo('open.beta');
  t.true(
    edges.length > 0 && edges.every((e) => e.tls === 'TLSv1.3' && e.peer === id('beta', 'open')),
    JSON.stringify(edges),
  );
  const plain = await mesh.http('plain/outside', { url: 'http://open.beta/' });
  t.is(plain.status, 200, summary(plain));
  const wanted = [' ', `TLSv1.3 ${id('alpha', 'client')}`];
  await eventually('one edge with an identity, one without', async () => {
    const inbound = (await mesh.edges('beta/open')).filter((e) => e.direction === 'inbound' && e.requests > 0);
    const seen = [...new Set(inbound.map((e) => `${e.tls} ${e.peer}`))].sort();
    return JSON.stringify(seen) === JSON.stringify(wanted) ? true : undefined;
  });
});

test.serial('a pod without an agent is refused by STRICT before a byte reaches the application', async (t) => {
  const echo = await mesh.pod('alpha/echo');
  const key = 'intruder';
  for (const host of ['echo.alpha', echo.ips[0] ?? '', `[${echo.ips[1]}]`]) {
    const port = host === 'echo.alpha' ? 80 : 8080;
    const answer = await mesh.http('plain/outside', { url: `http://${host}:${port}/?key=${key}` });
    t.is(answer.status, 0, `${host}: ${summary(answer)}`);
  }
  const first = await mesh.from('plain/outside', 'tcp', {
    host: echo.ips[0] ?? '',
    port: 9000,
    end: false,
    timeoutMs: 8000,
  });
  t.is(first.received, '', 'also where the server would speak first');
  t.not(first.outcome, 'timeout');
  const hits = await mesh.http('alpha/client', { url: 'http://echo/hits' });
  t.is((JSON.parse(hits.body) as Record<string, number>)[key], undefined);
});

test.serial('a meshed pod calls a Service without agents in plaintext, and is not hindered', async (t) => {
  const answer = await mesh.http('alpha/client', { url: 'http://outside.plain/' });
  t.is(echoOf(answer).pod, (await mesh.pod('plain/outside')).name, summary(answer));
  const edges = await edgesTo('outside.plain');
  t.true(edges.length > 0 && edges.every((e) => e.tls === '' && e.peer === ''), JSON.stringify(edges));
});

test.serial('the agent’s own ports: closed to other pods, and no way around the policy', async (t) => {
  const ip = (await mesh.pod('alpha/echo')).ips[0] ?? '';
  const knock = (from: string, port: number) =>
    mesh.from(from, 'tcp', {
      host: ip,
      port,
      send: 'GET /stats HTTP/1.1\r\nhost: x\r\n\r\n',
      end: false,
      timeoutMs: 4000,
    });
  for (const from of ['plain/outside', 'alpha/client']) {
    for (const port of [15_000, 15_001, 15_006]) {
      const answer = await knock(from, port);
      t.is(answer.received, '', `${port} from ${from}`);
      t.not(answer.outcome, 'timeout', `${port} from ${from}`);
    }
  }
  const get = async (url: string): Promise<number> => (await mesh.http('plain/outside', { url })).status;
  t.is(await get(`http://${ip}:15020/stats/prometheus`), 200);
  t.is(await get(`http://${ip}:15020/config_dump`), 404);
  t.is(await get(`http://${ip}:15021/ready`), 200);
  t.is(await get(`http://${ip}:15021/quitquitquit`), 404);
  t.is(await get(`http://${ip}:15021/app-health/app/readyz`), 200);
});

test.serial('an application cannot speak for another: x-forwarded-client-cert is the agent’s to say', async (t) => {
  const forged = `By=spiffe://x;URI=${id('alpha', 'admin')}`;
  const answer = await mesh.http('alpha/client', {
    url: 'http://echo/',
    headers: { 'x-forwarded-client-cert': forged },
  });
  t.false((echoOf(answer).headers['x-forwarded-client-cert'] ?? '').includes('admin'), summary(answer));
  const plain = await mesh.http('plain/outside', {
    url: 'http://open.beta/',
    headers: { 'x-forwarded-client-cert': forged },
  });
  t.false((echoOf(plain).headers['x-forwarded-client-cert'] ?? '').includes('admin'), summary(plain));
});

const del = async (url: string): Promise<number> => (await mesh.http('alpha/client', { url, method: 'DELETE' })).status;

test.serial('the most specific policy decides', async (t) => {
  mesh.edit('policy.yaml', precedence);
  await mesh.programmed('SecurityPolicy', 'alpha', 'no-delete');
  await mesh.programmed('SecurityPolicy', 'alpha', 'guarded');
  // At once, on connections that were there before: acknowledged means in force.
  t.is(await del('http://echo/'), 403);
  t.is(await del('http://guarded/'), 200);
  const put = await mesh.http('alpha/client', { url: 'http://guarded/', method: 'PUT' });
  t.is(put.status, 403);
  const log = await eventually('the denials are logged', async () => {
    const lines = (await mesh.accessLog('alpha/echo')).filter(
      (l) => l['response_code'] === 403 && l['method'] !== 'GET',
    );
    return lines.length >= 2 ? lines : undefined;
  });
  const details = log.map((l) => `${l['method']} ${l['response_code_details']}`);
  t.true(
    details.some((d) => d.startsWith('DELETE') && d.includes('SecurityPolicy/alpha/no-delete/rule/deletes')),
    details.join(),
  );
  t.true(
    details.some((d) => d.startsWith('PUT') && d.includes('SecurityPolicy/alpha/guarded/default')),
    details.join(),
  );
});

test.serial(
  'a broken file: its place and reason in the status, the last good state holds, mending it helps',
  async (t) => {
    const file = 'policy.yaml';
    const get = async (): Promise<number> => (await mesh.http('alpha/client', { url: 'http://guarded/' })).status;
    mesh.edit(file, guard('GET'));
    await eventually('DELETE is denied', async () => ((await del('http://guarded/')) === 403 ? true : undefined));
    t.is(await get(), 200);
    const broken = guard('GET').replace('defaultAction: Deny', 'defaultAction: Refuse');
    mesh.edit(file, broken);
    const status = await mesh.programmed('SecurityPolicy', 'alpha', 'guarded', 'reason: Invalid');
    const line = broken.split('\n').findIndex((l) => l.includes('Refuse')) + 1;
    t.regex(status, new RegExp(`file: .*${file}`));
    t.regex(status, new RegExp(`line: ${line}\\b`));
    t.regex(status, /Refuse/);
    t.is(await del('http://guarded/'), 403);
    t.is(await get(), 200);
    mesh.edit(file, 'apiVersion: [unclosed');
    await eventually('a file that is no YAML is a problem of the folder', async () =>
      (await mesh.client.status()).problems.some((p) => JSON.stringify(p).includes(file)) ? true : undefined,
    );
    t.is(await del('http://guarded/'), 403);
    mesh.edit(file, guard('DELETE'));
    await eventually('the mended file is in force', async () =>
      (await del('http://guarded/')) === 200 ? true : undefined,
    );
    t.is(await get(), 403);
    mesh.edit(file, undefined);
    await eventually('without a policy all of the mesh may', async () => ((await get()) === 200 ? true : undefined));
  },
);

test.serial('down leaves nothing behind', async (t) => {
  const { dir } = mesh.paths;
  await mesh.stop();
  t.deepEqual(
    fs.readdirSync('/run/netns').filter((n) => n.includes(name)),
    [],
  );
  t.false(fs.existsSync(dir));
  t.false(fs.readFileSync('/proc/self/mountinfo', 'utf8').includes(name));
  const left = fs.readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return ['cmdline', 'mountinfo', 'environ'].some((f) =>
        fs.readFileSync(`/proc/${pid}/${f}`, 'utf8').includes(name),
      );
    } catch {
      return false; // it has ended while we looked
    }
  });
  t.deepEqual(left, []);
});
