import net from 'node:net';
import tls from 'node:tls';
import test from 'ava';
import { inspectClientHello } from './client-hello.ts';

/** The first bytes that node:tls really sends. */
async function helloOf(options: tls.ConnectionOptions): Promise<Buffer> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as net.AddressInfo;
  const bytes = new Promise<Buffer>((resolve) => {
    server.once('connection', (socket) => {
      const parts: Buffer[] = [];
      socket.on('data', (d: Buffer) => {
        parts.push(d);
        const all = Buffer.concat(parts);
        if (all.length < 5 || all.length < 5 + all.readUInt16BE(3)) return;
        resolve(all);
        socket.destroy();
      });
    });
  });
  const client = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  client.on('error', () => {});
  const all = await bytes;
  client.destroy();
  server.close();
  return all;
}

/** The same handshake message cut into records of this size. */
function refragment(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.from([0x16, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(records);
}

const hybrid = {
  ecdhCurve: 'X25519MLKEM768:X25519',
  servername: 'Shop.Example.COM',
  ALPNProtocols: ['h2', 'http/1.1'],
};

test('a hello with a post-quantum key share, at every split', async (t) => {
  const hello = await helloOf(hybrid);
  t.true(hello.length > 1200, 'the hybrid share is in it');
  for (let i = 1; i < hello.length; i++) {
    if (inspectClientHello(hello.subarray(0, i)).kind !== 'more') return t.fail(`decided after ${i} bytes`);
  }
  t.deepEqual(inspectClientHello(hello), { kind: 'hello', serverName: 'shop.example.com', alpn: ['h2', 'http/1.1'] });
});

for (const size of [1, 2, 3, 4, 5, 100, 1000]) {
  test(`a hello in records of ${size} bytes, at every split`, async (t) => {
    const hello = refragment(await helloOf(hybrid), size);
    const step = size < 100 ? 7 : 1;
    for (let i = 1; i < hello.length; i += step) {
      if (inspectClientHello(hello.subarray(0, i)).kind !== 'more') return t.fail(`decided after ${i} bytes`);
    }
    t.like(inspectClientHello(hello), { kind: 'hello', serverName: 'shop.example.com' });
  });
}

test('TLS 1.2 without SNI and ALPN, with bytes behind it', async (t) => {
  const hello = await helloOf({ maxVersion: 'TLSv1.2' });
  t.deepEqual(inspectClientHello(Buffer.concat([hello, Buffer.from('more')])), {
    kind: 'hello',
    serverName: '',
    alpn: [],
  });
});

for (const [what, bytes] of [
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\n')],
  ['SSH', Buffer.from('SSH-2.0-x\r\n')],
  ['another record type', Buffer.from([0x17, 3, 3, 0, 5])],
  ['another version', Buffer.from([0x16, 2, 0, 0, 5])],
  ['an empty record', Buffer.from([0x16, 3, 1, 0, 0])],
  ['a record that is too long', Buffer.from([0x16, 3, 1, 0x40, 1])],
  ['a ServerHello', Buffer.from([0x16, 3, 3, 0, 4, 2, 0, 0, 0])],
  ['a hello beyond the limit', Buffer.from([0x16, 3, 1, 0, 4, 1, 1, 0, 0])],
  ['a hello cut off inside', Buffer.from([0x16, 3, 1, 0, 6, 1, 0, 0, 2, 3, 3])],
] as const) {
  test(`${what} is no ClientHello`, (t) => {
    t.is(inspectClientHello(bytes).kind, 'not-tls');
  });
}

test('random damage never throws', async (t) => {
  const hello = await helloOf(hybrid);
  for (let i = 0; i < hello.length; i++) {
    const damaged = Buffer.from(hello);
    damaged[i] = (damaged[i] ?? 0) ^ 0xff;
    inspectClientHello(damaged);
  }
  t.pass();
});
