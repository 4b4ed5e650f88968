/** The HTTP side of the application: it tells what reached it, and misbehaves on request. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import { acceptWebSocket } from './app-websocket.ts';
import { fill } from './pattern.ts';

/** How often each key was asked for, whatever became of the answer. */
const hits = new Map<string, number>();

function count(url: URL): number {
  const key = url.searchParams.get('key');
  if (key === null) return 0;
  const now = (hits.get(key) ?? 0) + 1;
  hits.set(key, now);
  console.log(`hit ${key}`); // a pod's log outlives it
  return now;
}

function send(response: http.ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

/** What came, with the digest of the body instead of the body. */
function echo(request: http.IncomingMessage, response: http.ServerResponse, attempt: number): void {
  const hash = createHash('sha256');
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    hash.update(chunk);
  });
  request.on('end', () =>
    send(response, 200, {
      pod: os.hostname(),
      version: process.env['VERSION'] ?? '',
      method: request.method,
      url: request.url,
      headers: request.headers,
      trailers: request.trailers,
      from: request.socket.remoteAddress,
      to: request.socket.localAddress,
      bytes,
      sha256: hash.digest('hex'),
      attempt,
    }),
  );
}

async function download(response: http.ServerResponse, bytes: number): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes });
  for (let at = 0; at < bytes; ) {
    const chunk = fill(at, Math.min(65_536, bytes - at));
    at += chunk.length;
    if (!response.write(chunk)) await new Promise((drained) => response.once('drain', drained));
    if (response.destroyed) return;
  }
  response.end();
}

function trailers(response: http.ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/plain', trailer: 'x-checksum' });
  response.write('first;');
  response.write('second');
  response.addTrailers({ 'x-checksum': 'abc' });
  response.end();
}

type Answer = (request: http.IncomingMessage, response: http.ServerResponse, url: URL, attempt: number) => void;

const number = (url: URL, name: string): number => Number(url.searchParams.get(name) ?? 0);

/** The whole request is read before the connection breaks: the proxy cannot know whether it was processed. */
const resetFirst: Answer = (request, response, _url, attempt) => {
  if (attempt > 1) {
    echo(request, response, attempt);
    return;
  }
  request.resume();
  request.on('end', () => request.socket.resetAndDestroy());
};

const answers: Readonly<Record<string, Answer>> = {
  '/healthz': (_request, response) => send(response, fs.existsSync('/tmp/sick') ? 503 : 200, {}),
  '/hits': (_request, response) => send(response, 200, Object.fromEntries(hits)),
  '/download': (_request, response, url) => void download(response, number(url, 'bytes')),
  '/trailers': (_request, response) => trailers(response),
  '/slow': (request, response, url, attempt) =>
    void setTimeout(() => echo(request, response, attempt), number(url, 'ms')),
  '/reset-first': resetFirst,
};

function handle(request: http.IncomingMessage, response: http.ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://pod');
  const attempt = count(url);
  const answer = answers[url.pathname];
  if (answer === undefined) echo(request, response, attempt);
  else answer(request, response, url, attempt);
}

export function startHttp(port: number, keepAliveMs: number): http.Server {
  const server = http.createServer({ keepAliveTimeout: keepAliveMs, keepAliveTimeoutBuffer: 0 }, handle);
  server.on('upgrade', acceptWebSocket);
  server.listen(port, '::');
  return server;
}
