/**
 * The application under test: HTTP on 8080, a TCP banner on 9090, gRPC's health service on 50051 and, with a
 * certificate in /tls, HTTPS on 8443. POST /close?what=NAME takes one of them down, as a dead application would.
 */
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';

/** Outlives this pod: each POST that arrives, one line with its id. */
const received = process.env['RECEIVED'];

interface Server {
  listen: (port: number) => unknown;
  close: () => unknown;
}

const answer: http.RequestListener = (request, response) => {
  const url = new URL(request.url ?? '/', 'http://app');
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (url.pathname.startsWith('/hook/')) console.log(`app ${url.pathname}`);
    if (request.method === 'POST' && url.pathname === '/close') close(url.searchParams.get('what') ?? '');
    const id = request.headers['x-id'];
    if (request.method === 'POST' && typeof id === 'string' && received !== undefined) {
      fs.appendFileSync(received, `${id}\n`);
    }
    const body = { pod: os.hostname(), method: request.method, path: url.pathname, headers: request.headers };
    const text = JSON.stringify({ ...body, bytes: Buffer.concat(chunks).length });
    const late = Number(url.searchParams.get('ms') ?? 0);
    setTimeout(() => response.setHeader('content-type', 'application/json').end(text), late);
  });
};

/** grpc.health.v1.Health/Check: a response with status SERVING, which is field 1 with value 1. */
function health(): Server {
  const server = http2.createServer();
  server.on('stream', (stream: http2.ServerHttp2Stream) => {
    stream.on('data', () => {});
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
    });
  });
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on('session', (session) => sessions.add(session));
  return {
    listen: (port) => server.listen(port),
    close: () => {
      server.close();
      for (const session of sessions) session.destroy();
    },
  };
}

const servers: Record<string, Server> = {
  http: http.createServer(answer),
  tcp: net.createServer((socket) => {
    socket.on('error', () => {});
    socket.write(`hello from ${os.hostname()}\n`);
    socket.pipe(socket);
  }),
  grpc: health(),
};
if (fs.existsSync('/tls/tls.crt')) {
  const tls = { cert: fs.readFileSync('/tls/tls.crt'), key: fs.readFileSync('/tls/tls.key') };
  servers['https'] = https.createServer(tls, answer);
}
const ports: Record<string, number> = { http: 8080, tcp: 9090, grpc: 50051, https: 8443 };

function close(what: string): void {
  const server = servers[what];
  server?.close();
  if (server instanceof http.Server || server instanceof https.Server) server.closeIdleConnections();
}

for (const [name, server] of Object.entries(servers)) server.listen(ports[name] ?? 0);
console.log('app started');

/** A call that only works while the agent still carries what goes out. */
async function farewell(): Promise<void> {
  const url = process.env['FAREWELL'];
  if (url === undefined) return;
  const outcome = await fetch(url).then(
    (r) => r.status,
    (error) => error.message,
  );
  console.log(`app farewell ${outcome}`);
}

/** As applications do: no new connections, what is under way is finished. */
process.on('SIGTERM', async () => {
  console.log('app TERM');
  await farewell();
  const plain = servers['http'] as http.Server;
  plain.close(() => {
    console.log('app end');
    process.exit(0);
  });
});
