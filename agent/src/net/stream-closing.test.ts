import net, { type AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { sockaddrOf } from '../sys/sockaddr.ts';
import { connectTcp } from '../sys/tcp.ts';
import { Connection } from './connection.ts';
import { Loop } from './loop.ts';
import { SocketStream } from './socket-stream.ts';
import type { StreamHandler } from './stream.ts';
import { turnUntil } from './testing/loopback.ts';

const idle: StreamHandler = { onReadable() {}, onDrained() {}, onConnected() {}, onClosed() {} };
const more = Buffer.alloc(16 << 20);

/** A stream on its way to a server that does this with its clients. */
async function dial(t: ExecutionContext, loop: Loop, onClient: (client: net.Socket) => void): Promise<SocketStream> {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    client.on('error', () => {});
    t.teardown(() => client.destroy());
    onClient(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const remote = { ip: '127.0.0.1', port: (server.address() as AddressInfo).port };
  const fd = connectTcp(sockaddrOf(remote.ip, remote.port), null, null);
  const info = new Connection(remote, { ip: '127.0.0.1', port: 0 }, null, '', '');
  const stream = new SocketStream(loop, fd, idle, info, null, true);
  t.teardown(() => stream.close());
  stream.start(false, false);
  return stream;
}

for (const when of ['connecting', 'open'] as const) {
  test(`a stream that is closed while ${when} is cut when its peer takes nothing more`, async (t) => {
    const loop = new Loop();
    const stream = await dial(t, loop, () => {});
    let opened = when === 'connecting';
    stream.handler = { ...idle, onConnected: () => (opened = true) };
    await turnUntil(loop, () => opened);
    stream.write(more, 0, more.length);
    stream.closeAfterFlush(20);
    await turnUntil(loop, () => stream.dead);
    t.true(stream.bytesSent > 0);
    t.true(stream.bytesSent < more.length);
  });

  test(`a stream that is closed while ${when} sends what is queued, and waits for the peer's end`, async (t) => {
    const loop = new Loop();
    let received = 0;
    let peer: net.Socket | null = null;
    let ended = false;
    const stream = await dial(t, loop, (client) => {
      peer = client.on('data', (d) => (received += d.length)).on('end', () => (ended = true));
      client.write('nobody reads this');
      client.resume();
    });
    let opened = when === 'connecting';
    stream.handler = { ...idle, onConnected: () => (opened = true) };
    await turnUntil(loop, () => opened);
    stream.write(more, 0, more.length);
    stream.closeAfterFlush(60_000);
    await turnUntil(loop, () => ended);
    t.is(received, more.length);
    t.false(stream.dead);
    (peer as net.Socket | null)?.end();
    await turnUntil(loop, () => stream.dead);
  });
}
