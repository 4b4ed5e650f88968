/**
 * Headers that lie: forged statements of proxies, Connection as an eraser, answers that split, and text that would break
 * out of a log line or of a metric's label.
 */
import test from 'ava';
import { startNaiveProxy } from '../fakes/naive-proxy.ts';
import { Agent } from './agent.ts';
import { type App, startApp } from './app.ts';
import { answers, send } from './wire.ts';

const valuesOf = (app: App, name: string): string[] =>
  app.requests.flatMap((r) => r.headers.filter(([n]) => n === name).map(([, v]) => v));
const get = (headers: string, path = '/'): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n\r\n`;

/** What only a proxy may say. CVE-2024-45806 (x-envoy-*), CVE-2021-33197 (x-forwarded-client-cert). */
const forged: readonly string[] = [
  'x-forwarded-client-cert',
  'x-envoy-internal',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-retry-on',
  'x-envoy-max-retries',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-hedge-on-per-try-timeout',
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-original-url',
  'x-envoy-force-trace',
  'x-envoy-ip-tags',
  'x-envoy-is-timeout-retry',
];

test("a client's own statements of proxies do not reach the application", async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port });
  t.teardown(() => agent.stop());
  const lie = forged.map((n) => `${n}: By=spiffe://x;URI=spiffe://cluster.local/ns/admin/sa/root`).join('\r\n');
  const twice = `${lie}\r\n${lie.toUpperCase()}`;
  await send(agent.port, get(twice));
  t.is(app.requests.length, 1);
  for (const name of forged) t.false(valuesOf(app, name).join().includes('root'), `${name}: ${valuesOf(app, name)}`);
  const naive = await startNaiveProxy({ upstream: app.port });
  t.teardown(() => naive.close());
  app.reset();
  await send(naive.port, get(lie));
  t.true(valuesOf(app, 'x-forwarded-client-cert').length > 0, 'a proxy that pipes passes them');
});

test("a caller's failure report is believed of meshed peers only, and does not go on", async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port });
  t.teardown(() => agent.stop());
  app.answer = (_seen, response) => {
    response.setHeader('x-chainmail-upstream-failure', 'connect-failed');
    response.end('mine');
  };
  const { text } = await send(agent.port, get('x-chainmail-upstream-failure: connect-failed'));
  t.false(/x-chainmail/i.test(text), text);
  t.is(app.requests.length, 1, 'not sent again');
});

/** CVE-2021-33197, CVE-2022-31813, CVE-2021-39137: Connection names a header that a later hop trusts. */
test('Connection may not take away what proxies say', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port, manager: { use_remote_address: true } });
  t.teardown(() => agent.stop());
  for (const name of [
    'x-forwarded-for',
    'X-Forwarded-Client-Cert',
    'x-forwarded-proto',
    'x-request-id',
    'Forwarded',
    ':path',
  ]) {
    app.reset();
    const { statuses } = await send(agent.port, get(`Connection: close, ${name}\r\n${name.replace(':', '')}: 1`));
    t.is(statuses[0], 400, name);
    t.deepEqual(app.requests, [], name);
  }
  app.reset();
  await send(
    agent.port,
    get('Connection: x-secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: 1\r\nTE: gzip\r\nProxy-Connection: x'),
  );
  const names = app.requests[0]?.headers.map(([n]) => n) ?? [];
  for (const gone of ['x-secret', 'keep-alive', 'te', 'proxy-connection']) t.false(names.includes(gone), gone);
  t.true(names.includes('x-forwarded-for'));
});

test('a request id, an address or a scheme of a stranger is not taken over at the edge', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port, manager: { use_remote_address: true } });
  t.teardown(() => agent.stop());
  await send(
    agent.port,
    get(
      'X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Request-Id: "}\r\nX-Envoy-External-Address: 10.0.0.1',
    ),
  );
  t.not(valuesOf(app, 'x-forwarded-for')[0]?.split(',').at(-1)?.trim(), '10.0.0.1');
  t.deepEqual(valuesOf(app, 'x-forwarded-proto'), ['http']);
  t.not(valuesOf(app, 'x-request-id')[0], '"}');
  t.not(valuesOf(app, 'x-envoy-external-address')[0], '10.0.0.1');
});

/** An application (or an attacker behind it) whose answer would be two to a reader: CVE-2023-25690, CVE-2020-11724. */
const split: readonly { readonly name: string; readonly answer: string; readonly status: number }[] = [
  {
    name: 'length with coding',
    answer: 'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    status: 502,
  },
  { name: 'two lengths', answer: 'Content-Length: 3\r\nContent-Length: 0\r\n\r\nabc', status: 502 },
  { name: 'a list of lengths', answer: 'Content-Length: 3, 3\r\n\r\nabc', status: 502 },
  { name: 'unknown coding', answer: 'Transfer-Encoding: gzip\r\n\r\nabc', status: 502 },
  { name: 'NUL in a value', answer: 'X: a\0b\r\nContent-Length: 0\r\n\r\n', status: 502 },
  { name: 'bare CR in a value', answer: 'X: a\rb\r\nContent-Length: 0\r\n\r\n', status: 502 },
  { name: 'space before the colon', answer: 'Content-Length : 0\r\n\r\n', status: 502 },
  {
    name: 'a second answer behind the first',
    answer: 'Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nX: poison\r\nContent-Length: 0\r\n\r\n',
    status: 200,
  },
  { name: 'a 101 nobody asked for', answer: 'Connection: upgrade\r\nUpgrade: x\r\n\r\n', status: 502 },
];

test('an answer that splits is one answer, or a 502; nothing of it meets the next request', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port });
  t.teardown(() => agent.stop());
  for (const { name, answer, status } of split) {
    app.reset();
    app.answer = (seen, response) => {
      if (seen.url !== '/') response.end('clean');
      else
        response.socket?.write(Buffer.from(`HTTP/1.1 ${name.includes('101') ? 101 : 200} OK\r\n${answer}`, 'latin1'));
    };
    const { text, statuses } = await send(agent.port, [get(''), get('Connection: close', '/next')].join(''), {
      until: answers(2),
      timeoutMs: 5000,
    });
    t.is(statuses[0], status, `${name}: ${text}`);
    t.false(text.includes('poison'), `${name}: ${text}`);
    t.true(statuses.length <= 2, `${name}: ${text}`);
  }
  t.is((await send(agent.port, get('', '/next'))).statuses[0], 200);
});

/** Log injection (CWE-117): each line stays one JSON object that says what was sent. */
test('text of a client cannot break out of a log line, nor out of an answer of our own', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({
    appPort: app.port,
    routes: [
      { match: { prefix: '/go' }, redirect: { path_redirect: '/there' } },
      { match: { prefix: '/gone' }, direct_response: { status: 404, body: { inline_string: 'nothing' } } },
      { match: { prefix: '/' }, route: { cluster: 'app' } },
    ],
  });
  t.teardown(() => agent.stop());
  const nasty = [
    '"},{"admin":true,"x":"',
    '\\',
    '\\"',
    '\xff\xfe\x80',
    '%0d%0aSet-Cookie:x',
    '\t',
    '$'.concat('{jndi:ldap://x}'),
    '</script><script>',
    '\u0085',
  ];
  let n = 0;
  for (const text of nasty) {
    await send(
      agent.port,
      `GET /${n++ % 2 === 0 ? 'go' : 'x'}?"\\%0d%0a<script> HTTP/1.1\r\nHost: a\r\nUser-Agent: ${text}\r\n\r\n`,
    );
  }
  const lines = await agent.logged(n);
  t.is(lines.length, n);
  for (const line of lines) {
    t.deepEqual(Object.keys(line).sort(), [
      'agent',
      'authority',
      'code',
      'details',
      'flags',
      'method',
      'path',
      'peer',
      'sni',
      'subject',
    ]);
    t.false('admin' in line);
  }
  t.is(lines[0]?.['agent'], nasty[0]);
  const redirect = await send(agent.port, 'GET /go?%0d%0aX-Injected:1 HTTP/1.1\r\nHost: a"><script>alert(1)\r\n\r\n');
  t.false(/^x-injected/im.test(redirect.text), redirect.text);
  t.is(
    (await send(agent.port, 'GET /go HTTP/1.1\r\nHost: a%0d%0aX-Injected:1\r\n\r\n')).text.match(/^x-injected/im),
    null,
  );
});

/** CVE-2025-43915, CVE-2026-26311 class: what a client writes does not become a time series. */
test('a thousand hosts, paths and methods make no metric more', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port });
  t.teardown(() => agent.stop());
  const series = async (): Promise<number> => (await agent.admin('/stats/prometheus')).body.split('\n').length;
  await send(agent.port, get(''));
  const before = await series();
  const requests = Array.from(
    { length: 1000 },
    (_, i) => `GET /p${i} HTTP/1.1\r\nHost: h${i}.test\r\nX-H${i}: ${i}\r\n\r\n`,
  );
  await send(agent.port, requests.join(''), { until: answers(1000), timeoutMs: 10_000 });
  t.true((await series()) <= before + 12, 'statuses and histograms of one cluster only');
});
