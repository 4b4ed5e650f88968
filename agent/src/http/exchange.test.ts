import test from 'ava';
import type { Edge } from '../net/edge.ts';
import { readCapacity } from '../net/stream.ts';
import { FakeWorker } from './testing/fake-worker.ts';
import { endpoint, noMutations, prefixRoute, routeAction, routeConfig } from './testing/specs.ts';

const id = '80000000-8000-4000-8000-000080000000';
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi';
const date = (w: FakeWorker): string => new Date(Math.floor(w.clock.wallMs / 1000) * 1000).toUTCString();

test('a request goes up and its answer down, headers in the order of Envoy', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed('GET /a?b HTTP/1.1\r\nHost: shop\r\nUser-Agent: x\r\n\r\n');
  t.is(
    w.upstream().take(),
    `GET /a?b HTTP/1.1\r\nhost: shop\r\nuser-agent: x\r\nx-forwarded-proto: http\r\nx-request-id: ${id}\r\n` +
      'x-envoy-expected-rq-timeout-ms: 15000\r\n\r\n',
  );
  w.upstream().feed(
    'HTTP/1.1 200 Fine\r\nServer: node\r\nX-A: b\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nhi',
  );
  t.is(
    client.take(),
    'HTTP/1.1 200 OK\r\nserver: envoy\r\nx-a: b\r\ncontent-length: 2\r\nx-envoy-upstream-service-time: 0\r\n' +
      `date: ${date(w)}\r\n\r\nhi`,
  );
  t.like(w.lastLog, { status: 200, flags: '', details: 'via_upstream', path: '/a?b', bytesSent: 2, attempts: 1 });
  t.is(w.http('downstream_rq_2xx'), 1);
  t.is(w.clusterStat('upstream_rq_2xx'), 1);
  t.is(w.http('downstream_rq_active'), 0);
  t.is(w.clusterStat('upstream_rq_active'), 0);
});

test('keep-alive on both sides: one connection each', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  for (let i = 0; i < 3; i++) {
    client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    w.upstream().feed(ok);
    t.regex(client.take(), /\r\n\r\nhi$/);
  }
  t.is(w.dialled.length, 1);
  t.is(client.closed, 'no');
});

test('pipelined requests are served one after another, in order', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTT');
  t.regex(w.upstream().take(), /^GET \/1 /);
  w.upstream().feed(ok);
  t.regex(w.upstream().take(), /^GET \/2 /);
  client.feed('P/1.1\r\nHost: a\r\n\r\n');
  t.is(w.upstream().take(), '');
  w.upstream().feed(ok);
  t.regex(w.upstream().take(), /^GET \/3 /);
  w.upstream().feed(ok);
  t.is(client.take().match(/HTTP\/1\.1 200/g)?.length, 3);
  t.is(w.dialled.length, 1);
});

test('what a client sends ahead is held up to a limit, then it has to wait', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed('GET /1 HTTP/1.1\r\nHost: a\r\n\r\n');
  client.feed(Buffer.alloc(400_000, 'GET /2 HTTP/1.1\r\nHost: a\r\n\r\n'));
  t.true(client.readPaused);
  t.true(client.bytesReceived <= 65_536 + readCapacity);
});

test('Connection: close is kept to, by either side', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  w.upstream().feed('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  t.regex(client.take(), /server: envoy\r\nconnection: close\r\n\r\n$/);
  t.is(client.closed, 'after-flush');
  t.is(client.closeDeadlineMs, 0);
  t.is(w.upstream().closed, 'close');
  t.is(w.http('downstream_cx_active'), 0);
  t.is(w.clusterStat('upstream_cx_active'), 0);
});

test('draining: the answer says Connection: close', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  w.isDraining = true;
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  w.upstream().feed(ok);
  t.regex(client.take(), /connection: close\r\n\r\nhi$/);
  t.is(client.closed, 'after-flush');
  t.is(w.http('downstream_cx_drain_close'), 1);
});

test('max_requests_per_connection of 2: the second answer closes', (t) => {
  const w = new FakeWorker({ manager: { maxRequestsPerConnection: 2 } });
  const client = w.client();
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  w.upstream().feed(ok);
  t.notRegex(client.take(), /connection: close/);
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  w.upstream().feed(ok);
  t.regex(client.take(), /connection: close/);
});

test('bodies with a length, in pieces, and with the next request behind', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed('POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc');
  t.regex(w.upstream().take(), /\r\n\r\nabc$/);
  client.feed('def');
  t.is(w.upstream().take(), 'def');
  client.feed('ghijPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nz');
  t.is(w.upstream().take(), 'ghij');
  w.upstream().feed(ok);
  t.regex(w.upstream().take(), /^POST \/2 .*\r\n\r\nz$/s);
  t.is(w.logged[0]?.bytesReceived, 10);
});

test('chunked both ways: framed anew, extensions dropped, trailers passed on', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5;ext=1\r\nhello\r\n');
  t.regex(w.upstream().take(), /transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n$/);
  client.feed('1\r\n \r\n5\r\nworld\r\n0\r\nX-T: sum\r\nContent-Length: 3\r\nHost: evil\r\n\r\n');
  t.is(w.upstream().take(), '6\r\n world\r\n0\r\nx-t: sum\r\n\r\n');
  w.upstream().feed('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
  t.regex(client.take(), /transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n$/);
  w.upstream().feed('0\r\nY-T: end\r\n\r\n');
  t.is(client.take(), '0\r\ny-t: end\r\n\r\n');
  t.is(client.closed, 'no');
  t.is(w.lastLog.bytesReceived, 11);
  t.is(w.lastLog.bytesSent, 3);
});

test('an answer until the end of the connection becomes chunked', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  w.upstream().feed('HTTP/1.0 200 OK\r\n\r\nabc');
  t.regex(client.take(), /transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n$/);
  w.upstream().feed('def');
  w.upstream().end();
  t.is(client.take(), '3\r\ndef\r\n0\r\n\r\n');
  t.is(client.closed, 'no');
  t.is(w.upstream().closed, 'close');
});

test('HEAD, 204 and 304 have no body and keep their length', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
  w.upstream().feed('HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n');
  t.regex(client.take(), /content-length: 999\r\n/);
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  w.upstream().feed('HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n');
  t.regex(client.take(), /^HTTP\/1\.1 304 Not Modified\r\ncontent-length: 5\r\n[\s\S]*\r\n\r\n$/);
  client.feed('DELETE / HTTP/1.1\r\nHost: a\r\n\r\n');
  w.upstream().feed('HTTP/1.1 204 No Content\r\n\r\n');
  t.regex(client.take(), /^HTTP\/1\.1 204 No Content\r\n[\s\S]*\r\n\r\n$/);
  t.is(w.dialled.length, 1);
});

test('regression: a 204 says nothing of a body, to HEAD and of our own neither', (t) => {
  const nothing = prefixRoute('/nothing', { kind: 'direct_response', status: 204, body: '' });
  const w = new FakeWorker({ routes: routeConfig([nothing, prefixRoute('/', routeAction())]) });
  const client = w.client();
  client.feed('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
  w.upstream().feed('HTTP/1.1 204 No Content\r\n\r\n');
  client.feed('GET /nothing HTTP/1.1\r\nHost: a\r\n\r\nHEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n');
  const answers = client.take();
  t.is(answers.match(/^HTTP\/1\.1 204 /gm)?.length, 3);
  t.notRegex(answers, /transfer-encoding|content-length/);
});

test('methods that could have a body get content-length: 0, others do not', (t) => {
  for (const method of ['OPTIONS', 'PATCH', 'POST', 'PROPFIND', 'PURGE', 'PUT']) {
    const w = new FakeWorker();
    w.client().feed(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`);
    t.regex(w.upstream().take(), /\r\ncontent-length: 0\r\n\r\n$/, method);
  }
  for (const method of ['GET', 'DELETE', 'TRACE', 'HEAD']) {
    const w = new FakeWorker();
    w.client().feed(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`);
    t.notRegex(w.upstream().take(), /content-length/, method);
  }
});

test('Expect: 100-continue goes from end to end', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n');
  t.regex(w.upstream().take(), /\r\nexpect: 100-continue\r\n/);
  w.upstream().feed('HTTP/1.1 100 Continue\r\n\r\n');
  t.is(client.take(), 'HTTP/1.1 100 Continue\r\n\r\n');
  client.feed('abc');
  t.is(w.upstream().take(), 'abc');
  w.upstream().feed('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
  t.regex(client.take(), /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a>\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  t.is(w.lastLog.status, 200);
});

test('an answer before the request is complete closes the connection after it', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc');
  w.upstream().feed('HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\n\r\n');
  t.regex(client.take(), /^HTTP\/1\.1 413 Payload Too Large\r\n[\s\S]*connection: close\r\n\r\n$/);
  t.is(client.closed, 'after-flush');
  t.is(client.closeDeadlineMs, 1000);
  t.is(w.upstream().closed, 'close');
});

test('bytes behind an answer end the upstream connection', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  w.upstream().feed(`${ok}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison`);
  t.regex(client.take(), /hi$/);
  t.is(w.upstream().closed, 'close');
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  t.is(w.dialled.length, 2);
});

test('an idle upstream connection that speaks or ends is dropped', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  w.upstream().feed(ok);
  w.upstream().feed('HTTP/1.1 200 OK\r\n\r\n');
  t.is(w.upstream().closed, 'close');
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  w.upstream(1).feed(ok);
  w.upstream(1).end();
  t.is(w.upstream(1).closed, 'close');
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  t.is(w.dialled.length, 3);
  t.is(w.clusterStat('upstream_cx_active'), 1);
});

test('hop-by-hop headers and what Connection names are dropped, te keeps trailers', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed(
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Hop, TE\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n' +
      'X-Hop: secret\r\nTE: trailers, deflate\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\nX-End: e\r\n\r\n',
  );
  const head = w.upstream().take();
  t.regex(head, /^GET \/ HTTP\/1\.1\r\nhost: a\r\nte: trailers\r\nx-end: e\r\nx-forwarded-proto: http\r\n/);
  w.upstream().feed('HTTP/1.1 200 OK\r\nConnection: X-Gone\r\nX-Gone: a\r\nX-Stays: b\r\ncontent-length: 0\r\n\r\n');
  const answer = client.take();
  t.regex(answer, /x-stays: b/);
  t.notRegex(answer, /x-gone|connection/);
});

for (const name of [
  'host',
  'X-Forwarded-For',
  'x-forwarded-client-cert',
  'content-length',
  'x-envoy-internal',
  'x-request-id',
]) {
  test(`Connection may not name ${name}`, (t) => {
    const w = new FakeWorker();
    const client = w.client();
    client.feed(`GET / HTTP/1.1\r\nHost: a\r\nConnection: close, ${name}\r\n\r\n`);
    t.regex(client.take(), /^HTTP\/1\.1 400 Bad Request\r\n/);
    t.is(w.dialled.length, 0);
  });
}

test("a caller's wishes to the router and its client certificate header do not pass", (t) => {
  const w = new FakeWorker();
  w.client().feed(
    'GET / HTTP/1.1\r\nHost: a\r\nX-Envoy-Retry-On: 5xx\r\nx-envoy-upstream-rq-timeout-ms: 1\r\nx-envoy-internal: true\r\n' +
      'x-envoy-expected-rq-timeout-ms: 1\r\nx-forwarded-client-cert: By=me\r\nx-envoy-downstream-service-cluster: c\r\n\r\n',
  );
  const head = w.upstream().take();
  t.notRegex(head, /retry-on|upstream-rq-timeout|internal|client-cert/);
  t.regex(head, /x-envoy-downstream-service-cluster: c\r\n/);
  t.is(head.match(/x-envoy-expected-rq-timeout-ms: 15000/g)?.length, 1);
});

test('use_remote_address: x-forwarded-for, -proto, external address, request id', (t) => {
  const w = new FakeWorker({ manager: { useRemoteAddress: true } });
  w.client().feed(
    'GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Request-Id: theirs\r\n' +
      'x-envoy-decorator-operation: x\r\n\r\n',
  );
  t.is(
    w.upstream().take(),
    'GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 1.1.1.1,10.0.0.9\r\nx-forwarded-proto: http\r\n' +
      `x-request-id: ${id}\r\nx-envoy-external-address: 10.0.0.9\r\nx-envoy-expected-rq-timeout-ms: 15000\r\n\r\n`,
  );
});

test('trusted hops: the client is the nth address from the right', (t) => {
  const seen: string[] = [];
  const w = new FakeWorker({ manager: { useRemoteAddress: true, xffNumTrustedHops: 2 } });
  w.onLog = (r) => void seen.push(r.request?.remoteIp ?? '');
  const client = w.client();
  client.feed('GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2,3.3.3.3\r\n\r\n');
  w.upstream().feed(ok);
  client.feed('GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: junk\r\n\r\n');
  w.upstream().feed(ok);
  t.deepEqual(seen, ['2.2.2.2', '10.0.0.9']);
});

test('client certificates: sanitize_set replaces, forward_only needs mutual TLS', (t) => {
  const tls = {
    tlsVersion: 'TLSv1.3',
    peerPrincipal: 'spiffe://td/ns/a/sa/b',
    localPrincipal: 'spiffe://td/ns/c/sa/d',
  } as const;
  const w = new FakeWorker({ manager: { forwardClientCert: 'sanitize_set', clientCertDetails: ['subject', 'uri'] } });
  const info = {
    ...tls,
    peerCertificateSha256: () => 'ab12',
    peerSubject: () => 'CN="x"',
    peerUris: () => [tls.peerPrincipal],
  };
  w.client(info).feed('GET / HTTP/1.1\r\nHost: a\r\nx-forwarded-client-cert: By=me\r\n\r\n');
  t.regex(
    w.upstream().take(),
    /x-forwarded-client-cert: By=spiffe:\/\/td\/ns\/c\/sa\/d;Hash=ab12;Subject="CN=\\"x\\"";URI=spiffe:\/\/td\/ns\/a\/sa\/b\r\n/,
  );
  const forward = new FakeWorker({ manager: { forwardClientCert: 'forward_only' } });
  forward.client().feed('GET / HTTP/1.1\r\nHost: a\r\nx-forwarded-client-cert: By=me\r\n\r\n');
  t.notRegex(forward.upstream().take(), /client-cert/);
});

test('the path is normalised once, for policy, route and upstream alike', (t) => {
  const rule = { kind: 'url_path', path: { kind: 'prefix', value: '/admin', ignoreCase: false } } as const;
  const w = new FakeWorker({
    manager: {
      normalizePath: true,
      mergeSlashes: true,
      escapedSlashes: 'forward',
      filters: [
        {
          kind: 'rbac',
          name: 'rbac',
          stats: 900,
          rules: {
            action: 'deny',
            policies: [{ name: 'no admin', permissions: [rule], principals: [{ kind: 'any' }] }],
          },
          shadowRules: null,
        },
        { kind: 'router' },
      ],
    },
  });
  const client = w.client();
  for (const path of [
    '/admin',
    '//admin',
    '/%2Fadmin',

    '/x/..%2fadmin',
    '/%61dmin',
    '/admin?x',
    '\\admin',
    '/./admin',
    '/x/%2e%2e/admin',
  ]) {
    const target = path.startsWith('\\') ? `/${path}` : path;
    client.feed(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
    t.regex(client.take(), /^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*RBAC: access denied$/, path);
    t.is(w.lastLog.details, 'rbac_access_denied_matched_policy[no_admin]');
  }
  client.feed('GET /a/../b//c?d=/../e HTTP/1.1\r\nHost: a\r\n\r\n');
  t.regex(w.upstream().take(), /^GET \/b\/c\?d=\/\.\.\/e HTTP/);
  w.upstream().feed(ok);
  client.feed('GET /x/%5C../admin HTTP/1.1\r\nHost: a\r\n\r\n');
  t.regex(w.upstream().take(), /^GET \/x\/admin HTTP/);
  t.is(w.rbac('denied'), 9);
  t.is(w.rbac('allowed'), 2);
});

test('without normalize_path a path passes as it came, but for a backslash', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed('GET /a/../b//c%2e%2f?\\ HTTP/1.1\r\nHost: a\r\n\r\n');
  t.regex(w.upstream().take(), /^GET \/a\/\.\.\/b\/\/c%2e%2f\?\\ HTTP/);
  w.upstream().feed(ok);
  client.take();
  client.feed('GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n');
  t.regex(client.take(), /^HTTP\/1\.1 400 Bad Request\r\n/);
});

test('rewrites: prefix, host, added and removed headers of all levels', (t) => {
  const mutate = {
    ...noMutations,
    requestAdd: [
      { name: 'X-Static', value: 'one', action: 'append', keepEmpty: false },
      {
        name: 'X-Peer',
        value: 'from %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %REQ(:PATH)% %REQ(:AUTHORITY)%',
        action: 'append',
        keepEmpty: false,
      },
      { name: 'user-agent', value: 'agent', action: 'overwrite', keepEmpty: false },
    ],
    requestRemove: ['x-secret'],
    responseAdd: [{ name: 'x-down', value: '%RESPONSE_CODE%', action: 'append', keepEmpty: false }],
    responseRemove: ['x-internal'],
  } as const;
  const action = routeAction({ prefixRewrite: '/v2', hostRewrite: 'real.host', appendXForwardedHost: true });
  const w = new FakeWorker({ routes: routeConfig([prefixRoute('/v1', action, mutate)]) });
  const client = w.client();
  client.feed('GET /v10?q HTTP/1.1\r\nHost: shop\r\nUser-Agent: curl\r\nX-Secret: s\r\n\r\n');
  t.is(
    w.upstream().take(),
    `GET /v20?q HTTP/1.1\r\nhost: real.host\r\nx-forwarded-proto: http\r\nx-request-id: ${id}\r\n` +
      'x-envoy-expected-rq-timeout-ms: 15000\r\nuser-agent: agent\r\nx-static: one\r\n' +
      'x-peer: from 10.0.0.9 /v10?q shop\r\nx-envoy-original-host: shop\r\nx-forwarded-host: shop\r\n' +
      'x-envoy-original-path: /v10?q\r\n\r\n',
    'configured headers tell of the request before it is rewritten, as in Envoy',
  );
  w.upstream().feed('HTTP/1.1 201 Created\r\nX-Internal: i\r\ncontent-length: 0\r\n\r\n');
  const answer = client.take();
  t.regex(answer, /x-envoy-upstream-service-time: 0\r\nx-down: 201\r\ndate: /);
  t.notRegex(answer, /x-internal/);
});

test('HTTP/1.0, when accepted: length or close, no chunks, default host', (t) => {
  const w = new FakeWorker({ manager: { acceptHttp10: true, defaultHostForHttp10: 'default' } });
  const client = w.client();
  client.feed('GET / HTTP/1.0\r\n\r\n');
  t.regex(w.upstream().take(), /^GET \/ HTTP\/1\.1\r\nhost: default\r\n/);
  w.upstream().feed('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n');
  const answer = client.take();
  t.regex(answer, /connection: close\r\n\r\nhi$/);
  t.notRegex(answer, /chunked/);
  t.is(client.closed, 'after-flush');
});

test('the client goes away: the attempt is given up, flag DC', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  client.end();
  t.is(w.upstream().closed, 'close');
  t.like(w.lastLog, { status: 0, flags: 'DC', details: 'downstream_remote_disconnect' });
  t.is(w.clusterStat('upstream_rq_active'), 0);
  t.is(w.http('downstream_rq_active'), 0);
  t.is(w.http('downstream_cx_active'), 0);
});

test('the client goes away while its connection to the upstream is being made', (t) => {
  const w = new FakeWorker();
  w.autoConnect = false;
  const client = w.client();
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  client.fail('remote-reset');
  w.upstream().connect();
  t.is(w.upstream().take(), '');
  w.client().feed('GET /next HTTP/1.1\r\nHost: a\r\n\r\n');
  t.regex(w.upstream().take(), /^GET \/next /);
  t.is(w.dialled.length, 1);
});

test('back-pressure: a slow client stops the upstream, a slow upstream stops the client', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n');
  const up = w.upstream();
  up.slow = true;
  client.feed(Buffer.alloc(1_000_000, 'x'));
  t.true(client.readPaused);
  t.true(up.maxQueued <= readCapacity + 1024);
  while (w.http('downstream_cx_rx_bytes_total') < 1_000_000) up.unblock();
  up.unblock();
  t.false(client.readPaused);
  t.is(up.output.length - up.output.indexOf('\r\n\r\n') - 4, 1_000_000);

  client.slow = true;
  up.feed('HTTP/1.1 200 OK\r\ncontent-length: 500000\r\n\r\n');
  up.feed(Buffer.alloc(500_000, 'y'));
  t.true(up.readPaused);
  t.true(client.maxQueued <= readCapacity + 1024);
  for (let i = 0; i < 20; i++) client.unblock();
  t.is(client.output.length - client.output.indexOf('\r\n\r\n') - 4, 500_000);
  t.false(up.readPaused);
  t.is(w.lastLog.bytesSent, 500_000);
});

test('while an upstream is dialled the body is held, and the client stops', (t) => {
  const w = new FakeWorker();
  w.autoConnect = false;
  const client = w.client();
  client.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nabcd');
  t.true(client.readPaused);
  client.feed('efgh');
  w.upstream().connect();
  t.false(client.readPaused);
  t.regex(w.upstream().take(), /\r\n\r\nabcdefgh$/);
});

test('requests wait for a connection when the cluster may have no more', (t) => {
  const w = new FakeWorker({
    cluster: { circuit: { maxConnections: 1, maxPendingRequests: 1, maxRequests: 10, maxRetries: 3 } },
  });
  const clients = [w.client(), w.client(), w.client()];
  for (const [i, c] of clients.entries()) c.feed(`GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`);
  t.is(w.dialled.length, 1);
  t.regex(
    clients[2]?.take() ?? '',
    /^HTTP\/1\.1 503 Service Unavailable\r\n[\s\S]*x-envoy-overloaded: true[\s\S]*reset reason: overflow$/,
  );
  t.is(w.lastLog.flags, 'UO');
  t.regex(w.upstream().take(), /^GET \/0 /);
  w.upstream().feed(ok);
  t.regex(w.upstream().take(), /^GET \/1 /);
  w.upstream().feed(ok);
  t.is(w.clusterStat('upstream_rq_pending_active'), 0);
});

test('idle upstream connections are closed after their time, the oldest first', (t) => {
  const w = new FakeWorker({ cluster: { idleTimeoutMs: 3000 } });
  const one = w.client();
  const two = w.client();
  one.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  two.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  w.upstream(0).feed(ok);
  w.advance(2000);
  w.upstream(1).feed(ok);
  w.advance(1500);
  t.is(w.upstream(0).closed, 'close');
  t.is(w.upstream(1).closed, 'no');
  w.advance(2000);
  t.is(w.upstream(1).closed, 'close');
  t.is(w.clusterStat('upstream_cx_idle_timeout'), 2);
});

test('a removed host gives up its connections', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  w.upstream().feed(ok);
  w.cluster('app')?.setEndpoints({ cluster: 'app', endpoints: [endpoint(9999)] });
  t.is(w.upstream().closed, 'close');
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  t.is(w.dialled[1]?.options.address.port, 9999);
});

test('underscores in names: refused or dropped as configured', (t) => {
  const request = 'GET / HTTP/1.1\r\nHost: a\r\nx_a: 1\r\nx-b: 2\r\n\r\n';
  const reject = new FakeWorker({ manager: { rejectUnderscoreHeaders: 'reject' } });
  const client = reject.client();
  client.feed(request);
  t.regex(client.take(), /^HTTP\/1\.1 400 /);
  const drop = new FakeWorker({ manager: { rejectUnderscoreHeaders: 'drop' } });
  drop.client().feed(request);
  t.regex(drop.upstream().take(), /host: a\r\nx-b: 2\r\nx-forwarded-proto/);
});

test('an odd status of an upstream passes and is counted in its class only', (t) => {
  const w = new FakeWorker();
  const client = w.client();
  client.feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const before = w.slots.slice();
  w.upstream().feed('HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n');
  t.regex(client.take(), /^HTTP\/1\.1 999 /);
  t.is(w.clusterStat('upstream_rq_5xx'), 1);
  const changed = [...w.slots.keys()].filter((i) => w.slots[i] !== before[i]);
  t.true(changed.length < 20);
});

test('durations are whole milliseconds, and times are told apart', (t) => {
  const w = new FakeWorker();
  let times: readonly number[] = [];
  w.onLog = (r) => {
    times = [r.durationMs, r.requestDurationMs, r.responseDurationMs, r.responseTxDurationMs];
  };
  const client = w.client();
  client.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n');
  w.advance(10.7);
  client.feed('x');
  w.advance(20.7);
  w.upstream().feed('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nh');
  w.advance(5.4);
  w.upstream().feed('i');
  t.deepEqual(times, [36, 10, 31, 36]);
});

test('the edges of both connections count requests and failures', (t) => {
  const edge = (): Edge => ({
    direction: 'inbound',
    local: '',
    peer: '',
    target: '',
    tls: '',
    connections: 1,
    active: 1,
    requests: 0,
    failures: 0,
  });
  const w = new FakeWorker();
  w.autoConnect = false;
  const client = w.client();
  client.edge = edge();
  client.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n');
  const up = w.upstream();
  up.edge = edge();
  up.connect();
  up.feed(ok);
  t.like(client.edge, { requests: 1, failures: 0 });
  t.like(up.edge, { requests: 1, failures: 0 });
  client.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n');
  up.end();
  t.like(client.edge, { requests: 2, failures: 1 });
  t.like(up.edge, { requests: 2, failures: 1 });
});

test('client certificates: every detail in its order, each name an element', (t) => {
  const w = new FakeWorker({
    manager: {
      forwardClientCert: 'append_forward',
      clientCertDetails: ['subject', 'cert', 'chain', 'dns', 'uri'],
    },
  });
  const info = {
    tlsVersion: 'TLSv1.3',
    peerCertificateSha256: () => 'ab12',
    peerSubject: () => 'CN=x',
    peerCertificatePem: () => 'a b\n',
    peerChainPem: () => 'a b\nc\n',
    peerUris: () => ['spiffe://td/a', 'urn:x;y'],
    peerDnsNames: () => ['a.example', 'b.example'],
  } as const;
  w.client(info).feed('GET / HTTP/1.1\r\nHost: a\r\nx-forwarded-client-cert: By=me\r\n\r\n');
  const expected =
    'By=me,Hash=ab12;Cert="a%20b%0A";Chain="a%20b%0Ac%0A";Subject="CN=x";URI=spiffe://td/a;URI="urn:x;y";' +
    'DNS=a.example;DNS=b.example';
  t.true(w.upstream().take().includes(`x-forwarded-client-cert: ${expected}\r\n`));
  w.client({ ...info, peerUris: () => [], peerDnsNames: () => [] }).feed('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  t.regex(w.upstream(1).take(), /;URI=\r\n/);
});
