import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import type { AppProbe } from '@chainmail/runtime';
import test, { type ExecutionContext } from 'ava';
import { runProbe } from './app-probe.ts';
import { plain, probePages, servePages } from './server.ts';

const target = { host: '127.0.0.1', localAddress: '127.0.0.6' };

async function listening(t: ExecutionContext, server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

const httpGet = (port: number, path = '/', headers: { name: string; value: string }[] = []): AppProbe => ({
  kind: 'httpGet',
  scheme: 'HTTP',
  port,
  path,
  headers,
  timeoutMs: 10_000,
});

test('HTTP: source address, headers, path with query, status', async (t) => {
  const seen: string[] = [];
  const port = await listening(
    t,
    http.createServer((request, response) => {
      seen.push(`${request.socket.remoteAddress} ${request.url} ${request.headers['x-a']} ${request.headers.host}`);
      response.statusCode = request.url === '/bad' ? 500 : 204;
      response.end();
    }),
  );
  const headers = [
    { name: 'X-A', value: '1' },
    { name: 'Host', value: 'app.example' },
  ];
  t.like(await runProbe(httpGet(port, '/ok?full=1', headers), target), { ok: true, status: 204 });
  t.deepEqual(seen, ['127.0.0.6 /ok?full=1 1 app.example']);
  t.like(await runProbe(httpGet(port, '/bad'), target), { ok: false, status: 500 });
});

test('HTTP: redirects are followed up to a bound, and not to other hosts', async (t) => {
  const port = await listening(
    t,
    http.createServer((request, response) => {
      const to = { '/a': '/b', '/loop': '/loop', '/away': 'http://example.test/' }[request.url ?? ''];
      if (to === undefined) return response.writeHead(200).end();
      return response.writeHead(302, { location: to }).end();
    }),
  );
  t.like(await runProbe(httpGet(port, '/a'), target), { ok: true, status: 200 });
  t.like(await runProbe(httpGet(port, '/loop'), target), { ok: false, detail: 'too many redirects' });
  t.like(await runProbe(httpGet(port, '/away'), target), { ok: true });
});

test('an application that does not answer, or is not there, fails in time', async (t) => {
  const port = await listening(t, net.createServer());
  t.deepEqual(await runProbe({ ...httpGet(port), timeoutMs: 50 }, target), {
    ok: false,
    status: 0,
    detail: 'no answer within 50 ms',
  });
  t.regex((await runProbe(httpGet(1), target)).detail, /ECONNREFUSED/);
});

test('TCP: a connection is enough', async (t) => {
  const port = await listening(t, net.createServer());
  t.like(await runProbe({ kind: 'tcpSocket', port, timeoutMs: 10_000 }, target), { ok: true });
  t.like(await runProbe({ kind: 'tcpSocket', port: 1, timeoutMs: 10_000 }, target), { ok: false });
});

test('gRPC: the health service must say SERVING', async (t) => {
  const answers: Record<string, number> = { good: 1, bad: 2 };
  const server = http2.createServer();
  server.on('stream', (stream: http2.ServerHttp2Stream) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const service = Buffer.concat(chunks).subarray(7).toString();
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': service in answers ? '0' : '5' }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, answers[service] ?? 0]));
    });
  });
  const port = await listening(t, server);
  const probe = (service: string): AppProbe => ({ kind: 'grpc', port, service, timeoutMs: 1_000 });
  t.like(await runProbe(probe('good'), target), { ok: true, detail: 'SERVING' });
  t.like(await runProbe(probe('bad'), target), { ok: false });
  t.like(await runProbe(probe('unknown'), target), { ok: false, detail: 'NOT_FOUND' });
});

test('only exact paths are served, and only to be read', async (t) => {
  const port = await listening(
    t,
    http.createServer((_, response) => response.end()),
  );
  const pages = await servePages(0, '127.0.0.1', {
    ...probePages({ '/app-health/app/livez': httpGet(port) }, target),
    '/ready': () => plain(503, 'no\n'),
  });
  t.teardown(() => pages.close());
  const get = async (path: string, method = 'GET'): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${pages.port}${path}`, { method });
    return `${response.status} ${(await response.text()).trim()}`;
  };
  t.is(await get('/app-health/app/livez'), '200 the application answered 200');
  t.is(await get('/app-health/app/livez/'), '404 not found');
  t.is(await get('/ready'), '503 no');
  t.is(await get('/ready', 'POST'), '405 GET only');
  t.is(await get('/constructor'), '404 not found');
});

test('a lifecycle call that the application does not answer ends without an answer; a probe fails with one', async (t) => {
  const closed = net.createServer();
  const port = await listening(t, closed);
  closed.close();
  const paths = ['/app-health/app/poststart', '/app-health/app/prestop', '/app-health/app/livez'];
  const probes = Object.fromEntries(paths.map((path) => [path, httpGet(port)]));
  const server = await servePages(0, '127.0.0.1', probePages(probes, target));
  t.teardown(() => server.close());
  const ask = (path: string) => fetch(`http://127.0.0.1:${server.port}${path}`);
  for (const path of paths.slice(0, 2)) await t.throwsAsync(ask(path), undefined, path);
  t.is((await ask('/app-health/app/livez')).status, 503);
});
