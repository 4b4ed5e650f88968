/** Servers behind the proxies, of Node's own HTTP: they answer with what they were sent, and say how they were asked. */
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import type { Server } from './server.ts';

type Request = IncomingMessage | http2.Http2ServerRequest;
type Response = ServerResponse | http2.Http2ServerResponse;

/** `/size/N`: N bytes; `/trailers`: trailers; anything else: the request's body, or `hello` when there is none. */
function answer(request: Request, response: Response): void {
  const path = request.url ?? '/';
  const chunks: Buffer[] = [];
  request.on('error', () => undefined);
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    response.setHeader('x-version', request.httpVersion);
    response.setHeader('x-trailer', String(request.trailers['x-sum'] ?? ''));
    const size = /^\/size\/(\d+)$/.exec(path)?.[1];
    if (size !== undefined) response.end(Buffer.alloc(Number(size), 'z'));
    else if (path === '/trailers') answerWithTrailers(response);
    else response.end(body.length > 0 ? body : 'hello\n');
  });
}

function answerWithTrailers(response: Response): void {
  response.setHeader('trailer', 'x-end');
  response.addTrailers({ 'x-end': 'reached' });
  response.end('with trailers\n');
}

async function listen(server: NetServer): Promise<Server> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

export const h1App = (): Promise<Server> => listen(http.createServer({ maxHeaderSize: 128 * 1024 }, answer));

export const h2App = (): Promise<Server> =>
  listen(http2.createServer({ maxSessionMemory: 1000, settings: { maxConcurrentStreams: 1000 } }, answer));
