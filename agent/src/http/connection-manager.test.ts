/** The connection manager on a real engine and real sockets, between node's own client and server. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import v8 from 'node:v8';
import vm from 'node:vm';
import test, { type ExecutionContext } from 'ava';
import { LoopbackAgent, type LoopbackSetup } from './testing/loopback-agent.ts';
import { endpoint, prefixRoute, retrySpec, routeAction, routeConfig } from './testing/specs.ts';

interface World {
  readonly agent: LoopbackAgent;
  readonly base: string;
  readonly server: http.Server;
}

async function world(
  t: ExecutionContext,
  serve: http.RequestListener,
  setup: Omit<LoopbackSetup, 'endpoints'> = {},
): Promise<World> {
  const server = http.createServer(serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const agent = new LoopbackAgent({ ...setup, endpoints: [endpoint((server.address() as net.AddressInfo).port)] });
  t.teardown(() => {
    agent.close();
    server.closeAllConnections();
    server.close();
  });
  return { agent, base: `http://127.0.0.1:${agent.port}`, server };
}

/** Sends one request through node's client and reads the answer to its end, trailers included. */
function ask(
  agent: LoopbackAgent,
  options: http.RequestOptions,
  write: (req: http.ClientRequest) => void = (req) => void req.end(),
): Promise<{ readonly status: number; readonly body: Buffer; readonly trailers: NodeJS.Dict<string> }> {
  return new Promise((resolve, reject) => {
    const req = http.request({ host: '127.0.0.1', port: agent.port, ...options }, (res) => {
      const parts: Buffer[] = [];
      res.on('data', (d: Buffer) => parts.push(d));
      res.on('error', reject);
      res.on('end', () => resolve({ status: res.statusCode ?? 0, body: Buffer.concat(parts), trailers: res.trailers }));
    });
    req.on('error', reject);
    write(req);
  });
}

/** V8's full collection, so that what is measured is what is alive. */
function collector(): () => void {
  v8.setFlagsFromString('--expose-gc');
  return vm.runInNewContext('gc') as () => void;
}

test('many requests over kept connections, many at once', async (t) => {
  const { agent } = await world(t, (req, res) => res.end(`you asked for ${req.url}`));
  const client = new http.Agent({ keepAlive: true, maxSockets: 8 });
  t.teardown(() => client.destroy());
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, i) => ask(agent, { agent: client, path: `/${i}` })),
  );
  t.deepEqual(
    answers.map((a) => a.body.toString()),
    answers.map((_, i) => `you asked for /${i}`),
  );
  t.is(agent.http('downstream_cx_total'), 8);
  t.true(agent.cluster('upstream_cx_total') <= 8);
  t.is(agent.cluster('upstream_rq_2xx'), 200);
  t.deepEqual(agent.faults, []);
});

test.serial('100 MB up and 100 MB down, in constant memory', async (t) => {
  const size = 100 * 1024 * 1024;
  const block = Buffer.alloc(64 * 1024, 'abcdefgh');
  const collect = collector();
  let before = 0;
  let peak = 0;
  /** Measures when another 8 MB have passed, not by the clock: a slow machine would do nothing but collect. */
  const watch = (bytes: number, more: number): number => {
    const step = 8 * 1024 * 1024;
    if (Math.floor(bytes / step) !== Math.floor((bytes + more) / step)) {
      collect();
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
    }
    return bytes + more;
  };
  const { agent } = await world(t, (req, res) => {
    let received = 0;
    req.on('data', (d: Buffer) => {
      received = watch(received, d.length);
    });
    req.on('end', () => {
      res.setHeader('x-received', received);
      let left = size;
      const more = (): void => {
        while (left > 0) {
          left -= block.length;
          if (!res.write(block)) {
            res.once('drain', more);
            return;
          }
        }
        res.end();
      };
      more();
    });
  });
  collect();
  before = process.memoryUsage().arrayBuffers;
  const got = await new Promise<{ received: string; bytes: number }>((resolve, reject) => {
    const req = http.request({ host: '127.0.0.1', port: agent.port, method: 'POST', path: '/big' }, (res) => {
      let bytes = 0;
      res.on('data', (d: Buffer) => {
        bytes = watch(bytes, d.length);
      });
      res.on('end', () => resolve({ received: String(res.headers['x-received']), bytes }));
      res.on('error', reject);
    });
    req.on('error', reject);
    let left = size;
    const more = (): void => {
      while (left > 0) {
        left -= block.length;
        if (!req.write(block)) {
          req.once('drain', more);
          return;
        }
      }
      req.end();
    };
    more();
  });
  t.is(got.received, String(size));
  t.is(got.bytes, size);
  t.true(peak < 48 * 1024 * 1024, `peak of live buffers ${peak}`);
  t.deepEqual(agent.faults, []);
});

test.serial('a slow client holds the server back, and the other way round', async (t) => {
  let written = 0;
  const { agent } = await world(t, (req, res) => {
    if (req.method === 'POST') {
      req.pause();
      setTimeout(() => req.resume(), 200);
      req.on('end', () => res.end('thanks'));
      return;
    }
    const block = Buffer.alloc(64 * 1024, 'x');
    const more = (): void => {
      while (written < 64 * 1024 * 1024) {
        written += block.length;
        if (!res.write(block)) {
          res.once('drain', more);
          return;
        }
      }
      res.end();
    };
    more();
  });
  const socket = net.connect(agent.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.pause();
  socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.true(written < 32 * 1024 * 1024, `${written} were taken from the server`);
  let bytes = 0;
  socket.on('data', (d) => {
    bytes += d.length;
  });
  socket.resume();
  while (bytes < 64 * 1024 * 1024) await once(socket, 'data');
  socket.destroy();

  const answer = await ask(agent, { method: 'POST', path: '/up' }, (req) => req.end(Buffer.alloc(8 * 1024 * 1024)));
  t.is(answer.body.toString(), 'thanks');
});

test('chunked with trailers, both ways', async (t) => {
  const { agent } = await world(t, (req, res) => {
    req.resume();
    req.on('end', () => {
      res.writeHead(200, { trailer: 'x-sum', 'transfer-encoding': 'chunked' });
      res.write('one');
      res.write('two');
      res.addTrailers({ 'x-sum': `got ${req.trailers['x-up']}` });
      res.end();
    });
  });
  const answer = await ask(agent, { method: 'POST', headers: { trailer: 'x-up' } }, (req) => {
    req.write('abc');
    req.addTrailers({ 'x-up': 'trailer' });
    req.end('def');
  });
  t.is(answer.body.toString(), 'onetwo');
  t.is(answer.trailers['x-sum'], 'got trailer');
});

test('Expect: 100-continue is answered by the server, not by us', async (t) => {
  const { agent, server } = await world(t, (_req, res) => res.end());
  server.on('checkContinue', (req: http.IncomingMessage, res: http.ServerResponse) => {
    if (req.url === '/no') {
      res.writeHead(417).end();
      return;
    }
    res.writeContinue();
    req.resume();
    req.on('end', () => res.end('done'));
  });
  const headers = { expect: '100-continue', 'content-length': 3 };
  const yes = await ask(agent, { method: 'POST', path: '/yes', headers }, (req) => {
    req.on('continue', () => req.end('abc'));
    req.flushHeaders();
  });
  t.is(yes.body.toString(), 'done');
  const no = await ask(agent, { method: 'POST', path: '/no', headers }, (req) => req.flushHeaders());
  t.is(no.status, 417);
});

test('a server with a tiny keep-alive timeout: no request fails', async (t) => {
  const { agent, server } = await world(t, (_req, res) => res.end('ok'));
  server.keepAliveTimeout = 5;
  // Since Node 24 the server waits a buffer longer than it says; without it the race is as sharp as it gets.
  Object.assign(server, { keepAliveTimeoutBuffer: 0 });
  const client = new http.Agent({ keepAlive: true });
  t.teardown(() => client.destroy());
  for (let i = 0; i < 60; i++) {
    t.is((await ask(agent, { agent: client, path: `/${i}` })).status, 200);
    await new Promise((resolve) => setTimeout(resolve, 4 + (i % 3)));
  }
});

test('a server that resets is tried again as configured', async (t) => {
  let calls = 0;
  const retry = retrySpec({ on: ['reset', '5xx'], numRetries: 3, backoffBaseMs: 1, backoffMaxMs: 2 });
  const { agent } = await world(
    t,
    (req, res) => {
      calls++;
      if (calls === 1) req.socket.resetAndDestroy();
      else if (calls === 2) res.writeHead(500).end('broken');
      else res.end('third time');
    },
    { routes: routeConfig([prefixRoute('/', routeAction({ retry }))]) },
  );
  const answer = await ask(agent, { method: 'POST' }, (req) => req.end('body'));
  t.is(answer.body.toString(), 'third time');
  t.like(agent.logged.at(-1) ?? {}, { attempts: 3, status: 200, flags: '' });
});

test('a refused connection is a 503 with its reason', async (t) => {
  const { agent, server } = await world(t, (_req, res) => res.end());
  server.close();
  await once(server, 'close');
  const answer = await ask(agent, {});
  t.is(answer.status, 503);
  t.regex(answer.body.toString(), /reset reason: remote connection failure$/);
  t.is(agent.logged.at(-1)?.flags, 'UF');
});

/** The server's side of RFC 6455, as far as an echo of short text frames needs it. */
function echoFrames(req: http.IncomingMessage, socket: net.Socket): void {
  const accept = createHash('sha1')
    .update(`${req.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  socket.on('data', (frame: Buffer) => {
    const opcode = (frame[0] ?? 0) & 15;
    const length = (frame[1] ?? 0) & 127;
    const mask = frame.subarray(2, 6);
    const text = Buffer.from(frame.subarray(6, 6 + length).map((b, i) => b ^ (mask[i & 3] ?? 0)));
    socket.write(Buffer.concat([Buffer.from([0x80 | opcode, text.length]), text]));
    if (opcode === 8) socket.end();
  });
  socket.on('error', () => {});
}

test('a WebSocket between real ends', async (t) => {
  const { agent, server } = await world(t, (_req, res) => res.end(), { manager: { upgrades: ['websocket'] } });
  server.on('upgrade', echoFrames);
  const socket = new WebSocket(`ws://127.0.0.1:${agent.port}/chat`);
  const messages: string[] = [];
  await new Promise<void>((resolve, reject) => {
    socket.onerror = () => reject(new Error('the WebSocket failed'));
    socket.onopen = () => socket.send('one');
    socket.onmessage = (event) => {
      messages.push(String(event.data));
      if (messages.length === 1) socket.send('two');
      else socket.close();
    };
    socket.onclose = () => resolve();
  });
  t.deepEqual(messages, ['one', 'two']);
  t.is(agent.http('downstream_cx_upgrades_total'), 1);
});

test('a change of routes takes effect on a connection that stays', async (t) => {
  const { agent } = await world(t, (_req, res) => res.end('app'));
  const client = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => client.destroy());
  t.is((await ask(agent, { agent: client })).body.toString(), 'app');
  agent.engine.apply({
    secrets: [],
    clusters: [],
    endpoints: [],
    routes: [routeConfig([prefixRoute('/', { kind: 'direct_response', status: 200, body: 'direct' })])],
    listeners: [],
    removeClusters: [],
    removeRoutes: [],
    removeListeners: [],
  });
  t.is((await ask(agent, { agent: client })).body.toString(), 'direct');
  t.is(agent.http('downstream_cx_total'), 1);
});
