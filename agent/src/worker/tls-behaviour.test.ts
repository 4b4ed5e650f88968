import { randomBytes } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import test from 'ava';
import { Client, catalog, echo, meshPair, Rig, serve, until, web } from './test-rig.ts';
import { chain, cluster, endpoints, listener, meshTls, TestCa, upstreamTls } from './testing.ts';

const ca = new TestCa();
test.after.always(() => ca.remove());

test('over mutual TLS, too, a peer that does not read stops the sender', async (t) => {
  let application: net.Socket | null = null;
  let received = 0;
  const pair = await meshPair(ca, {
    application: (socket) => {
      application = socket.pause();
      socket.on('data', (d: Buffer) => {
        received += d.length;
      });
    },
  });
  const client = new Client(pair.client.port);
  const total = 48 << 20;
  client.socket.end(Buffer.alloc(total, 'x'));
  await until('the connection', () => application !== null);
  let before = -1;
  const taken = (): number => client.socket.bytesWritten - client.socket.writableLength;
  while (taken() !== before) {
    before = taken();
    for (let i = 0; i < 500; i++) await new Promise((resolve) => setImmediate(resolve));
  }
  t.true(pair.client.engine.queuedBytes < 2 << 20, `client: ${pair.client.engine.queuedBytes}`);
  t.true(pair.server.engine.queuedBytes < 2 << 20, `server: ${pair.server.engine.queuedBytes}`);
  (application as net.Socket | null)?.resume();
  await until('all bytes', () => received === total, 20_000);
  client.socket.destroy();
  pair.stop();
});

test('a reset is still a reset behind two agents', async (t) => {
  const pair = await meshPair(ca, { application: (socket) => socket.on('data', () => socket.resetAndDestroy()) });
  const client = new Client(pair.client.port);
  client.socket.write('x');
  await until('reset', () => client.closed);
  t.is(client.errorCode, 'ECONNRESET');
  pair.stop();
});

/** An agent that takes TLS of either version from anybody, for that application. */
async function terminating(application: (socket: net.Socket) => void): Promise<{ rig: Rig; stop: () => void }> {
  const { server, port } = await serve(application);
  const rig = new Rig();
  const anybody = { ...meshTls, trustedCa: null, requireSvid: false, requireClientCertificate: false };
  rig.apply({
    secrets: [ca.trust, ca.leaf(`URI:${catalog}`)],
    clusters: [cluster('app', 0)],
    endpoints: [endpoints('app', port)],
    listeners: [listener([chain('in', 'app', { tls: { ...anybody, minVersion: 'TLSv1_2' } })])],
  });
  return {
    rig,
    stop: () => {
      rig.stop();
      server.close();
    },
  };
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${version}: 8 MB go both ways through an echo, and both ends end in order`, async (t) => {
    const { rig, stop } = await terminating(echo);
    const socket = tls.connect({
      port: rig.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      maxVersion: version,
      allowHalfOpen: true,
    } as tls.ConnectionOptions);
    const data = randomBytes(8 << 20);
    const back: Buffer[] = [];
    let ended = false;
    let spoken = '';
    socket.on('secureConnect', () => (spoken = socket.getProtocol() ?? ''));
    socket.on('data', (d: Buffer) => back.push(d)).on('end', () => (ended = true));
    socket.end(data);
    await until('the end', () => ended, 20_000);
    t.is(spoken, version);
    t.true(Buffer.concat(back).equals(data));
    stop();
  });

  test(`${version}: a record that was changed on its way ends the connection, and nothing of it arrives`, async (t) => {
    let received = '';
    const { rig, stop } = await terminating((s) => s.on('error', () => {}).on('data', (d) => (received += d)));
    let tampers = false;
    const middle = await serve((client) => {
      const agent = net.connect({ port: rig.port, host: '127.0.0.1' });
      agent.on('error', () => {}).pipe(client.on('error', () => {}));
      client.on('close', () => agent.destroy());
      client.on('data', (d: Buffer) => {
        if (tampers) d[d.length - 1] = (d.at(-1) ?? 0) ^ 1;
        agent.write(d);
      });
    });
    const socket = tls.connect({
      port: middle.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      maxVersion: version,
    });
    let error = '';
    let closed = false;
    socket.on('error', (e) => (error = e.message)).on('close', () => (closed = true));
    socket.on('secureConnect', () => socket.write('good'));
    await until('what is good', () => received === 'good');
    tampers = true;
    socket.write('evil');
    await until('the end', () => closed);
    t.is(received, 'good');
    t.regex(error, /alert number 20\b/, 'bad_record_mac');
    middle.server.close();
    stop();
  });
}

/** A TLS client of Node's own against a chain with these ALPN names. */
async function handshake(
  alpn: readonly string[],
  options: tls.ConnectionOptions,
): Promise<{ readonly alpn: string | false | null; readonly error: string; readonly version: string | null }> {
  const { server, port } = await serve((socket) => socket.end('hello'));
  const rig = new Rig();
  rig.apply({
    secrets: [ca.trust, ca.leaf(`URI:${catalog}`)],
    clusters: [cluster('app', 0)],
    endpoints: [endpoints('app', port)],
    listeners: [
      listener([
        chain('in', 'app', {
          tls: { ...meshTls, alpn, trustedCa: null, requireSvid: false, requireClientCertificate: false },
        }),
      ]),
    ],
  });
  const socket = tls.connect({ port: rig.port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  let error = '';
  let done = false;
  let version: string | null = null;
  socket.on('secureConnect', () => {
    version = socket.getProtocol();
  });
  socket.on('error', (e) => {
    error = e.message;
  });
  socket.on('data', () => {
    done = true;
  });
  socket.on('close', () => {
    done = true;
  });
  await until('handshake', () => done);
  const result = { alpn: socket.alpnProtocol, error, version };
  socket.destroy();
  rig.stop();
  server.close();
  return result;
}

test("ALPN: the server's order wins, and without overlap the handshake goes on", async (t) => {
  t.like(await handshake(['h2', 'http/1.1'], { ALPNProtocols: ['http/1.1', 'h2'] }), {
    alpn: 'h2',
    version: 'TLSv1.3',
  });
  t.like(await handshake(['h2'], { ALPNProtocols: ['x'] }), { alpn: false, version: 'TLSv1.3' });
  t.like(await handshake([], { ALPNProtocols: ['x'] }), { alpn: false, version: 'TLSv1.3' });
  t.like(await handshake(['h2'], {}), { alpn: false, version: 'TLSv1.3' });
});

test('TLS 1.2 is refused with an alert where 1.3 is the minimum', async (t) => {
  const { error } = await handshake([], { maxVersion: 'TLSv1.2' });
  t.regex(error, /protocol version/);
});

test('our ClientHello offers the hybrid group and no certificate compression', async (t) => {
  let hello: Buffer | null = null;
  const { server, port } = await serve((socket) => {
    socket.once('data', (d: Buffer) => {
      hello = d;
      socket.destroy();
    });
  });
  const rig = new Rig();
  rig.apply({
    secrets: [ca.trust, ca.leaf(`URI:${web}`)],
    clusters: [cluster('c', 0, { tls: upstreamTls('c', catalog) })],
    endpoints: [endpoints('c', port)],
    listeners: [listener([chain('out', 'c')])],
  });
  const client = new Client(rig.port);
  await until('hello', () => hello !== null);
  const types = extensionTypes(hello ?? Buffer.alloc(0));
  t.true(types.has(51), 'key_share is there, so the extensions were read');
  t.false(types.has(27), 'compress_certificate');
  t.true((types.get(51)?.length ?? 0) > 1184, 'the share of ML-KEM-768');
  client.socket.destroy();
  rig.stop();
  server.close();
});

function extensionTypes(record: Buffer): Map<number, Buffer> {
  let at = 5 + 4 + 2 + 32;
  at += 1 + (record[at] ?? 0);
  at += 2 + record.readUInt16BE(at);
  at += 1 + (record[at] ?? 0);
  const end = at + 2 + record.readUInt16BE(at);
  at += 2;
  const found = new Map<number, Buffer>();
  while (at < end) {
    const length = record.readUInt16BE(at + 2);
    found.set(record.readUInt16BE(at), record.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return found;
}
