/** What a slow or silent client costs: its own connection, for a bounded time. */
import { once } from 'node:events';
import net from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { SecureServer } from './secure-server.ts';

async function start(t: ExecutionContext): Promise<number> {
  const server = new SecureServer((_request, response) => response.end('ok'), 50);
  t.teardown(() => server.close());
  return server.listen('127.0.0.1', 0);
}

for (const [what, bytes] of [
  ['nothing', ''],
  ['half a request line', 'GET /hea'],
  ['a body that never comes', 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n1'],
] as const) {
  test(`a client that sends ${what} is closed`, async (t) => {
    const socket = net.connect(await start(t), '127.0.0.1');
    socket.on('error', () => {});
    socket.write(bytes);
    socket.resume();
    await once(socket, 'close');
    t.pass();
  });
}

test('closing ends the connections that are open', async (t) => {
  const server = new SecureServer((_request, response) => response.end('ok'));
  const socket = net.connect(await server.listen('127.0.0.1', 0), '127.0.0.1');
  socket.on('error', () => {});
  socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await once(socket, 'data');
  const closed = once(socket, 'close');
  await server.close();
  await closed;
  t.pass();
});
