/** What goes wrong on the way to a pod. That it goes right is shown on a real cluster (test/cluster/meshctl.test.ts). */
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { PodStreams } from './pod-streams.ts';

const pod = { namespace: 'shop', pod: 'web' };

interface Bed {
  readonly streams: PodStreams;
  readonly urls: string[];
}

async function bed(t: ExecutionContext, listener: http.RequestListener): Promise<Bed> {
  const urls: string[] = [];
  const server = http.createServer((request, response) => {
    urls.push(request.url ?? '');
    listener(request, response);
  });
  server.on('upgrade', (request, socket) => {
    urls.push(request.url ?? '');
    socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chainmail-streams-'));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
    fs.rmSync(dir, { recursive: true });
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const kubeconfig = path.join(dir, 'kubeconfig');
  const config = {
    clusters: [{ name: 'a', cluster: { server: url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'a', user: { token: 'secret' } }],
    contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
    'current-context': 'a',
  };
  fs.writeFileSync(kubeconfig, JSON.stringify(config));
  return { streams: new PodStreams({ kubeconfig }), urls };
}

const nothing: http.RequestListener = (_request, response) => void response.writeHead(404).end();

test('a port-forward and an exec that are refused are errors with their status', async (t) => {
  const { streams, urls } = await bed(t, nothing);
  const forward = streams.get({ ...pod, port: 15_000 }, '/ready');
  await t.throwsAsync(forward, { name: 'ApiError', message: /^port-forward to shop\/web:15000: .*403/ });
  const exec = await t.throwsAsync(streams.exec({ ...pod, container: 'mesh-agent' }, ['id']));
  t.like(exec, { name: 'ApiError', status: 403 });
  t.deepEqual(
    urls.map((u) => u.split('?')[0]),
    ['portforward', 'exec'].map((w) => `/api/v1/namespaces/shop/pods/web/${w}`),
  );
});

test('a log ends with its last line, and is followed only when that is asked for', async (t) => {
  const { streams, urls } = await bed(t, (_request, response) => void response.end('one\ntwo\n'));
  const seen: string[] = [];
  await streams.log({ ...pod, container: 'c' }, { tailLines: 2, follow: false }, (d) => void seen.push(String(d)));
  t.is(seen.join(''), 'one\ntwo\n');
  t.is(urls[0], '/api/v1/namespaces/shop/pods/web/log?container=c&tailLines=2');
  await streams.log({ ...pod, container: 'c' }, { tailLines: 0, follow: true }, () => {});
  t.regex(urls[1] ?? '', /&follow=true$/);
});

test("a log that is refused is told in the API server's words", async (t) => {
  const { streams } = await bed(t, (_request, response) => {
    response.writeHead(400, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ kind: 'Status', message: 'container c is waiting to start', reason: 'BadRequest' }));
  });
  const log = streams.log({ ...pod, container: 'c' }, { tailLines: 1, follow: false }, () => {});
  await t.throwsAsync(log, { name: 'ApiError', message: 'log of shop/web: 400 container c is waiting to start' });
});

test('a log that breaks off is an error, and one that its reader leaves is not', async (t) => {
  const broken = await bed(t, (_request, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half', () => response.destroy());
  });
  const read = broken.streams.log({ ...pod, container: 'c' }, { tailLines: 1, follow: true }, () => {});
  await t.throwsAsync(read, { name: 'ApiError', message: /^log of shop\/web: / });
  const endless = await bed(t, (_request, response) => void response.write('line\n'));
  const end = new AbortController();
  const followed = endless.streams.log(
    { ...pod, container: 'c' },
    { tailLines: 1, follow: true },
    () => end.abort(),
    end.signal,
  );
  await t.notThrowsAsync(followed);
});
