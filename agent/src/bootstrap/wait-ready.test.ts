import http from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import { waitUntilReady } from './wait-ready.ts';

test('ends when the agent says it is ready, however late it comes up', async (t) => {
  const statuses = [503, 503, 200];
  const server = http.createServer((request, response) => {
    response.writeHead(request.url === '/ready' ? (statuses.shift() ?? 200) : 404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  t.is(await waitUntilReady((server.address() as AddressInfo).port, 30_000), 0);
  t.deepEqual(statuses, []);
});

test('nobody there for too long is a failure', async (t) => {
  t.is(await waitUntilReady(1, 50), 1);
});
