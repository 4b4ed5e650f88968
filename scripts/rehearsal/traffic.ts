/** The apps and clients of the rehearsal, Node's own: HTTP/1.1 with and without bodies, and unary gRPC. */
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server } from 'node:net';

const message = Buffer.from('\0\0\0\0\x05hello');

/** Resolves with the port, once it listens. */
async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

export interface Apps {
  readonly http1Port: number;
  readonly grpcPort: number;
  close(): void;
}

export async function startApps(): Promise<Apps> {
  const http1 = http.createServer((request, response) => {
    request.resume().on('end', () => response.end('hello from the app\n'));
  });
  const grpc = http2.createServer((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'application/grpc' });
      response.write(message);
      response.addTrailers({ 'grpc-status': '0' });
      response.end();
    });
  });
  const [http1Port, grpcPort] = [await portOf(http1), await portOf(grpc)];
  return { http1Port, grpcPort, close: () => [http1, grpc].forEach((s) => void s.close()) };
}

async function ask(agent: http.Agent, port: number, body: string | null): Promise<void> {
  const request = http.request({ agent, port, host: '127.0.0.1', method: body === null ? 'GET' : 'POST' });
  request.end(body ?? undefined);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  response.resume();
  await once(response, 'end');
  if (response.statusCode !== 200) throw new Error(`the agent answered ${response.statusCode}`);
}

async function call(session: http2.ClientHttp2Session): Promise<void> {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/rehearsal.Greeter/Greet',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.end(message);
  const trailers = once(stream, 'trailers');
  stream.resume();
  const [fields] = (await trailers) as [http2.IncomingHttpHeaders];
  if (fields['grpc-status'] !== '0') throw new Error(`the agent answered grpc-status ${fields['grpc-status']}`);
}

const rounds = 20;

/** Drives the agent's egress until what a request needs has run, some of it often. */
export async function drive(port: number): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
  const session = http2.connect(`http://127.0.0.1:${port}`);
  try {
    for (let i = 0; i < rounds; i++) {
      await Promise.all([ask(agent, port, null), ask(agent, port, 'a body'), call(session), call(session)]);
    }
  } finally {
    agent.destroy();
    session.destroy();
  }
}
