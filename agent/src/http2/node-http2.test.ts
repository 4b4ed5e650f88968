/** Against node:http2 (nghttp2), as client and as server. */
import http2 from 'node:http2';
import net from 'node:net';
import test from 'ava';
import { Head } from '../http1/head.ts';
import { method } from '../http1/known-headers.ts';
import { Http2Connection } from './connection.ts';
import { privateCounters } from './counters.ts';
import { defaultHttp2Options } from './options.ts';
import { EchoServer } from './testing/echo-server.ts';
import { NodeStream, nodeHost } from './testing/node-stream.ts';

interface Answer {
  readonly status: number;
  readonly body: Buffer;
  readonly trailers: http2.IncomingHttpHeaders;
}

function send(session: http2.ClientHttp2Session, body: Buffer, trailers?: http2.OutgoingHttpHeaders): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const method = body.length > 0 || trailers !== undefined ? 'POST' : 'GET';
    const stream = session.request({ ':method': method, ':path': '/x?y', 'x-long': 'v'.repeat(200) }, {
      waitForTrailers: trailers !== undefined,
      endStream: false,
    } as http2.ClientSessionRequestOptions);
    const chunks: Buffer[] = [];
    let status = 0;
    let got: http2.IncomingHttpHeaders = {};
    stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}));
    stream.on('response', (headers) => {
      status = headers[':status'] ?? 0;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('trailers', (headers) => {
      got = headers;
    });
    stream.on('end', () => resolve({ status, body: Buffer.concat(chunks), trailers: got }));
    stream.on('error', reject);
    stream.end(body);
  });
}

async function withServer(
  run: (session: http2.ClientHttp2Session, server: EchoServer) => Promise<void>,
  options = {},
): Promise<void> {
  const server = new EchoServer(options);
  const port = await server.listen();
  const session = http2.connect(`http://127.0.0.1:${port}`);
  try {
    await run(session, server);
  } finally {
    await new Promise<void>((resolve) => session.close(resolve));
    await server.close();
  }
}

test('node as client: many streams at once, small and large bodies, trailers', async (t) => {
  await withServer(async (session, server) => {
    const bodies = [0, 1, 100, 16_384, 16_385, 300_000, 2_000_000].map((n) => Buffer.alloc(n, n & 255));
    const answers = await Promise.all(bodies.flatMap((b) => [send(session, b), send(session, b, { 'x-end': 'yes' })]));
    answers.forEach((answer, i) => {
      t.is(answer.status, 200);
      const sent = bodies[Math.floor(i / 2)] ?? Buffer.alloc(0);
      t.true(answer.body.equals(sent), `body ${i}: ${answer.body.length} of ${sent.length}`);
      if (i % 2 === 1) t.is(answer.trailers['x-end'], 'yes');
    });
    const { slots, at } = server.counters;
    t.is(slots[at.streams_active], 0);
    t.is(slots[at.pending_send_bytes], 0);
    t.is(slots[at.rx_messaging_error], 0);
  });
});

test('node as client: a thousand requests on one connection', async (t) => {
  await withServer(async (session) => {
    for (let round = 0; round < 10; round++) {
      const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => send(session, Buffer.from(`body ${i}`))));
      for (const [i, answer] of answers.entries()) t.is(answer.body.toString(), `body ${i}`);
    }
  });
});

interface Reply {
  readonly head: Head;
  readonly body: string;
  readonly trailers: Head | null;
}

/** Sends one request through our client and collects the answer. */
function request(connection: Http2Connection, head: Head, body: Buffer): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const kept = { head: new Head(), body: '', trailers: null as Head | null };
    const stream = connection.open(head, body.length === 0, {
      onHead(_stream, answer, last) {
        if (answer.status < 200) return;
        kept.head.copyFrom(answer);
        if (last) resolve(kept);
      },
      onData(_stream, start, end, last) {
        kept.body += connection.host.readBuffer.toString('latin1', start, end);
        if (last) resolve(kept);
      },
      onTrailers(_stream, trailers) {
        kept.trailers = new Head();
        kept.trailers.copyFrom(trailers);
        resolve(kept);
      },
      onReset(_stream, code, cause) {
        reject(new Error(`reset ${code} ${cause}`));
      },
      onDrained() {},
    });
    if (stream === null) reject(new Error('no capacity'));
    else if (body.length > 0) stream.sendData(body, 0, body.length, true);
  });
}

function post(path: string): Head {
  const head = new Head();
  head.method = method.POST;
  head.setTarget(path);
  head.add('host', 'example.com');
  head.add('x-request-id', path);
  return head;
}

test('node as server: answers, informational heads, trailers, resets', async (t) => {
  const server = http2.createServer();
  server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    const path = String(headers[':path']);
    stream.on('error', () => {});
    if (path.startsWith('/reset')) {
      stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    stream.additionalHeaders({ ':status': 103, link: '</a>' });
    stream.respond({ ':status': 201, 'x-authority': headers[':authority'], 'x-path': path }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': path }));
    stream.pipe(stream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  const host = nodeHost();
  const socket = net.connect(port, '127.0.0.1');
  const closed = new Promise<string>((resolve) => {
    const connection = new Http2Connection(
      host,
      new NodeStream(host, socket, { onReadable() {}, onDrained() {}, onConnected() {}, onClosed() {} }),
      'client',
      defaultHttp2Options,
      privateCounters(),
      {
        onConnected() {},
        onStream() {},
        onCapacity() {},
        onGoaway() {},
        onClosed: (_connection, reason, code, detail) => resolve(`${reason} ${code} ${detail}`),
      },
    );
    connection.start();
    void (async () => {
      for (let round = 0; round < 3; round++) {
        const sizes = [0, 5, 20_000, 1_000_000];
        const replies = await Promise.all(sizes.map((n) => request(connection, post(`/${n}`), Buffer.alloc(n, 120))));
        for (const [i, size] of sizes.entries()) {
          const reply = replies[i];
          t.is(reply?.head.status, 201);
          t.is(reply?.head.get('x-authority'), 'example.com');
          t.is(reply?.head.get('x-path'), `/${size}`);
          t.is(reply?.body.length, size);
          t.is(reply?.trailers?.get('x-end'), `/${size}`);
        }
      }
      await t.throwsAsync(request(connection, post('/reset'), Buffer.from('x')), { message: 'reset 7 refused' });
      t.is(connection.activeStreams, 0);
      connection.drain();
    })();
  });
  t.is(await closed, 'local 0 ');
  await new Promise<void>((resolve) => server.close(() => resolve()));
});
