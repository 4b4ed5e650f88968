/** Exchanges are used again at once: each line must tell of its own, however many ended together. */
import { once } from 'node:events';
import net from 'node:net';
import test from 'ava';
import { LoopbackAgent } from './testing/loopback-agent.ts';
import { connect, startApp } from './testing/node-peers.ts';
import { endpoint } from './testing/specs.ts';

const count = 150;
const paths = Array.from({ length: count }, (_, n) => `/${n}`);
const number = (path: string): number => Number(path.slice(1));

for (const version of ['http1', 'http2'] as const) {
  for (const format of ['%REQ(:PATH)%', '%TRAILER(x-mark)%']) {
    test(`${version}: ${count} calls at once, logged as ${format}`, async (t) => {
      const app = await startApp(version, ({ path }) => ({
        body: 'x'.repeat(number(path)),
        trailers: { 'x-mark': `of ${path}` },
      }));
      const agent = new LoopbackAgent({
        endpoints: [endpoint(app.port)],
        cluster: { protocol: version },
        manager: { accessLog: [{ path: '/dev/stdout', format: { kind: 'text', format } }] },
      });
      const client = connect('http2', agent.port);
      t.teardown(async () => {
        client.close();
        agent.close();
        await app.close();
      });
      await Promise.all(paths.map((path) => client.ask({ path, headers: { te: 'trailers' } })));
      t.deepEqual(agent.faults, []);
      const lines = agent.logged.toSorted((a, b) => number(a.path) - number(b.path));
      t.deepEqual(
        lines.map(({ path, bytesSent, status }) => ({ path, bytesSent, status })),
        paths.map((path) => ({ path, bytesSent: number(path), status: 200 })),
      );
      // Of trailers nobody asked for, nothing is kept.
      if (format.includes('TRAILER'))
        t.deepEqual(
          lines.map(({ mark }) => mark),
          paths.map((path) => `of ${path}`),
        );
    });
  }
}

test('pipelined requests that are refused at once are logged in their order', async (t) => {
  const agent = new LoopbackAgent({ endpoints: [], manager: { maxRequestHeadersBytes: 16_384 } });
  t.teardown(() => agent.close());
  const socket = net.connect(agent.port, '127.0.0.1');
  await once(socket, 'connect');
  let answers = 0;
  const done = new Promise<void>((resolve) => {
    socket.on('data', (bytes: Buffer) => {
      answers += bytes.toString('latin1').split('HTTP/1.1 503').length - 1;
      if (answers === count) resolve();
    });
  });
  socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
  await done;
  socket.destroy();
  t.deepEqual(
    agent.logged.map(({ path, status }) => `${path} ${status}`),
    paths.map((path) => `${path} 503`),
  );
});
