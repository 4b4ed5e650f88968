/** The application behind the proxy: answers anything, as leniently as HTTP allows, and keeps every byte it was sent. */
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

export interface App {
  readonly port: number;
  readonly requests: SeenRequest[];
  /** All bytes of all connections so far. */
  raw(): string;
  /** Answers instead of the usual 200. */
  answer: (seen: SeenRequest, response: ServerResponse) => void;
  /** Forgets what was seen. */
  reset(): void;
  close(): void;
}

const usual = (seen: SeenRequest, response: ServerResponse): void => {
  response.end(`app: ${seen.url}`);
};

function pairs(request: IncomingMessage): [string, string][] {
  const raw = request.rawHeaders;
  return Array.from({ length: raw.length / 2 }, (_, i) => [(raw[2 * i] ?? '').toLowerCase(), raw[2 * i + 1] ?? '']);
}

export async function startApp(): Promise<App> {
  let bytes: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = http.createServer({ insecureHTTPParser: true, requestTimeout: 0 }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '' } = request;
      const seen = { method, url, headers: pairs(request), body: Buffer.concat(chunks).toString('latin1') };
      app.requests.push(seen);
      app.answer(seen, response);
    });
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    // A second listener would switch Node's parser to its slow, equal path: what it reads, we read.
    socket.on('data', (chunk: Buffer) => bytes.push(chunk));
  });
  server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
    app.requests.push({ method: request.method ?? '', url: request.url ?? '', headers: pairs(request), body: '' });
    socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const app: App = {
    port: (server.address() as AddressInfo).port,
    requests: [],
    raw: () => Buffer.concat(bytes).toString('latin1'),
    answer: usual,
    reset() {
      bytes = [];
      app.requests.length = 0;
      app.answer = usual;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
  return app;
}
