import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { RpcFailure } from '@chainmail/xds/rpc-status';
import test, { type ExecutionContext } from 'ava';
import { oneAnswer, unary } from './call-unary.ts';
import { GrpcConnection, type GrpcConnectionOptions } from './connection.ts';
import { frameMessage } from './messages.ts';

const ok = { ':status': 200, 'content-type': 'application/grpc' } as const;
type Serve = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;

async function listen(t: ExecutionContext, server: net.Server): Promise<string> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function serve(t: ExecutionContext, on: Serve, settings: http2.Settings = {}): Promise<string> {
  const server = http2.createServer({ settings });
  server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    stream.on('error', () => undefined);
    on(stream, headers);
  });
  server.on('sessionError', () => undefined);
  return listen(t, server);
}

/** Answers with messages and trailers. */
function answer(
  stream: http2.ServerHttp2Stream,
  messages: readonly string[],
  trailers: http2.OutgoingHttpHeaders,
): void {
  stream.respond(ok, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.end(Buffer.concat(messages.map((m) => frameMessage(Buffer.from(m)))));
}

function connectTo(t: ExecutionContext, address: string, more: Partial<GrpcConnectionOptions> = {}): GrpcConnection {
  const endpoint = { address, serverName: 'svc.test', tls: null };
  const connection = new GrpcConnection(endpoint, { maxMessageBytes: 100_000, keepalive: null, ...more });
  t.teardown(() => connection.close());
  return connection;
}

const ask = (connection: GrpcConnection, message = 'x', deadlineMs = 10_000): Promise<string> =>
  oneAnswer(connection, { path: '/a.B/C', deadlineMs }, Buffer.from(message)).then(String);

async function failure(t: ExecutionContext, asked: Promise<unknown>): Promise<string> {
  return (await t.throwsAsync(asked, { instanceOf: RpcFailure })).message;
}

test('what a call sends, and an answer with its trailers', async (t) => {
  let seen: http2.IncomingHttpHeaders = {};
  const address = await serve(t, (stream, headers) => {
    seen = headers;
    answer(stream, ['hello'], { 'grpc-status': '0' });
  });
  const request = { path: '/a.B/C', metadata: { authorization: 'Bearer t' }, deadlineMs: 5000, maxResponseBytes: 10 };
  const got = await unary({ address, serverName: 'svc.test', tls: null }, { ...request, message: Buffer.from('x') });
  t.is(String(got), 'hello');
  t.like(seen, {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': '/a.B/C',
    ':authority': 'svc.test',
    te: 'trailers',
    'content-type': 'application/grpc',
    'grpc-timeout': '5000m',
    authorization: 'Bearer t',
  });
});

test('a status comes from trailers, or from an answer that is nothing else; its message is decoded', async (t) => {
  const address = await serve(t, (stream, headers) => {
    const trailers = { 'grpc-status': '7', 'grpc-message': 'no%20%C3%BCber%' };
    if (headers[':path'] === '/only') stream.respond({ ...ok, ...trailers }, { endStream: true });
    else answer(stream, [], trailers);
  });
  const connection = connectTo(t, address);
  for (const path of ['/only', '/behind']) {
    const asked = oneAnswer(connection, { path, deadlineMs: 5000 }, Buffer.alloc(0));
    t.is(await failure(t, asked), '7 PERMISSION_DENIED: no über%', path);
  }
});

test('what is no answer of gRPC becomes a status', async (t) => {
  const cases: readonly [name: string, on: Serve, failure: RegExp][] = [
    ['503', (s) => s.respond({ ':status': 503 }, { endStream: true }), /^14 UNAVAILABLE: HTTP status 503/],
    ['404 with a body', (s) => page(s, 404, 'text/plain'), /^12 UNIMPLEMENTED: HTTP status 404/],
    ['401', (s) => s.respond({ ':status': 401 }, { endStream: true }), /^16 UNAUTHENTICATED/],
    ['a page', (s) => page(s, 200, 'text/html'), /^2 UNKNOWN: .*text\/html/],
    ['grpcx', (s) => page(s, 200, 'application/grpcx'), /^2 UNKNOWN: .*grpcx/],
    ['no trailers', (s) => page(s, 200, 'application/grpc'), /^2 UNKNOWN: the answer ended without/],
    ['trailers without status', (s) => answer(s, ['a'], { 'x-y': 'z' }), /^2 UNKNOWN: trailers without grpc-status/],
    [
      'a status that is no number',
      (s) => answer(s, ['a'], { 'grpc-status': 'fine' }),
      /^2 UNKNOWN: grpc-status 'fine'/,
    ],
    ['an end inside a message', (s) => cut(s), /^13 INTERNAL: the answer ended inside a message/],
    ['nothing', (s) => answer(s, [], { 'grpc-status': '0' }), /^13 INTERNAL: no answer/],
    ['two answers', (s) => answer(s, ['a', 'b'], { 'grpc-status': '0' }), /^13 INTERNAL: more than one answer/],
    ['too large', (s) => answer(s, ['x'.repeat(100_001)], { 'grpc-status': '0' }), /^8 RESOURCE_EXHAUSTED: .* 100001 /],
    ['refused', (s) => s.close(http2.constants.NGHTTP2_REFUSED_STREAM), /^14 UNAVAILABLE/],
    ['cancelled', (s) => s.close(http2.constants.NGHTTP2_CANCEL), /^1 CANCELLED/],
    ['calm', (s) => s.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM), /^8 RESOURCE_EXHAUSTED/],
    ['reset', (s) => s.close(http2.constants.NGHTTP2_INTERNAL_ERROR), /^13 INTERNAL/],
  ];
  for (const [name, on, expected] of cases) {
    t.regex(await failure(t, ask(connectTo(t, await serve(t, on)))), expected, name);
  }
});

function page(stream: http2.ServerHttp2Stream, status: number, type: string): void {
  stream.respond({ ':status': status, 'content-type': type });
  stream.end(frameMessage(Buffer.from('a page')));
}

function cut(stream: http2.ServerHttp2Stream): void {
  stream.respond(ok, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(frameMessage(Buffer.from('hello')).subarray(0, 7));
}

test('a deadline ends the call here and cancels it there; the connection goes on', async (t) => {
  let code = -1;
  const address = await serve(t, (stream, headers) => {
    if (headers['grpc-timeout'] === '30m') stream.on('close', () => void (code = stream.rstCode));
    else answer(stream, ['late'], { 'grpc-status': '0' });
  });
  const connection = connectTo(t, address);
  t.is(await failure(t, ask(connection, 'x', 30)), '4 DEADLINE_EXCEEDED: no answer within 30 ms');
  t.is(await ask(connection), 'late');
  t.is(code, http2.constants.NGHTTP2_CANCEL);
});

test('a server that is not there, dies, or speaks something else', async (t) => {
  t.regex(await failure(t, ask(connectTo(t, '127.0.0.1:1'))), /^14 UNAVAILABLE: .*ECONNREFUSED/);
  const dying = await serve(t, (stream) => stream.session?.destroy());
  t.regex(await failure(t, ask(connectTo(t, dying))), /^14 UNAVAILABLE|^1 CANCELLED/);
  const odd = await listen(
    t,
    net.createServer((socket) => socket.end('220 smtp.test ESMTP\r\n')),
  );
  t.regex(await failure(t, ask(connectTo(t, odd))), /^14 UNAVAILABLE/);
  const silent = await listen(t, net.createServer());
  t.regex(await failure(t, ask(connectTo(t, silent), 'x', 50)), /^4 DEADLINE_EXCEEDED/);
});

test('a server that is gone without a word is noticed by PINGs', async (t) => {
  const silent = await listen(
    t,
    net.createServer((socket) => socket.resume()),
  );
  const connection = connectTo(t, silent, { keepalive: { intervalMs: 20, timeoutMs: 20 } });
  t.is(await failure(t, ask(connection)), '14 UNAVAILABLE: keepalive timeout');
});

test('after GOAWAY calls that run go on, and new ones are refused at once', async (t) => {
  let finish: (() => void) | null = null;
  const address = await serve(t, (stream) => {
    if (finish !== null) return;
    finish = () => answer(stream, ['done'], { 'grpc-status': '0' });
    stream.session?.goaway(0, 2 ** 31 - 1);
  });
  const connection = connectTo(t, address);
  const running = ask(connection);
  while (true) {
    const later = await ask(connection, 'x', 20).then(String, (error: Error) => error.message);
    if (/GOAWAY/.test(later)) break;
  }
  (finish as (() => void) | null)?.();
  t.is(await running, 'done');
});

test('calls above what the server takes wait for their turn', async (t) => {
  let now = 0;
  let most = 0;
  const address = await serve(
    t,
    (stream) => {
      most = Math.max(most, ++now);
      stream.resume();
      stream.on('close', () => now--);
      setImmediate(() => answer(stream, ['a'], { 'grpc-status': '0' }));
    },
    { maxConcurrentStreams: 2 },
  );
  const connection = connectTo(t, address);
  t.is(await ask(connection), 'a');
  t.deepEqual(await Promise.all(Array.from({ length: 20 }, () => ask(connection))), Array(20).fill('a'));
  t.is(most, 2);
});

test('both ways at once: messages larger than every window, with back-pressure', async (t) => {
  const address = await serve(t, (stream) => {
    stream.respond(ok, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.pipe(stream);
  });
  const connection = connectTo(t, address, { maxMessageBytes: 2_000_000 });
  const message = Buffer.alloc(1_500_000, 'abcdefg');
  const count = 8;
  let got = 0;
  let waits = 0;
  await new Promise<void>((resolve, reject) => {
    let sent = 0;
    const more = (): void => {
      while (sent < count) {
        sent++;
        if (!call.send(message)) {
          waits++;
          return;
        }
      }
      call.end();
    };
    const call = connection.call(
      { path: '/a.B/C' },
      {
        onMessage: (m) => {
          if (m.equals(message)) got++;
        },
        onClosed: (error) => (error === null ? resolve() : reject(error)),
        onDrained: more,
      },
    );
    more();
  });
  t.is(got, count);
  t.true(waits > 0);
});

test('a closed connection says nothing more, and its calls are over at the server', async (t) => {
  const closed = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const address = await serve(t, (stream) => {
    stream.on('close', () => closed.resolve());
    begun.resolve();
  });
  const connection = connectTo(t, address);
  const heard: unknown[] = [];
  connection.call({ path: '/a.B/C' }, { onMessage: (m) => heard.push(m), onClosed: (e) => heard.push(e) });
  await begun.promise;
  connection.close();
  await closed.promise;
  t.deepEqual(heard, []);
  t.regex(await failure(t, ask(connection)), /^1 CANCELLED: the connection is closed/);
});
