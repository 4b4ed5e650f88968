/** How an HTTP/1.1 connection is closed behind an answer, for a client that sends on. */
import { once } from 'node:events';
import net from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { LoopbackAgent } from './testing/loopback-agent.ts';
import { endpoint } from './testing/specs.ts';

interface Talk {
  readonly answer: string;
  /** What became of bytes that were sent behind the agent's FIN. */
  readonly error: string;
}

/** Sends a request, waits for the end of the answer, and sends on for a while. */
async function talk(t: ExecutionContext, request: string): Promise<Talk> {
  const agent = new LoopbackAgent({ endpoints: [endpoint(1)] });
  t.teardown(() => agent.close());
  const socket = net.connect({ port: agent.port, host: '127.0.0.1', allowHalfOpen: true });
  let [answer, error] = ['', ''];
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1');
  });
  socket.on('error', (e: NodeJS.ErrnoException) => {
    error = e.code ?? e.message;
  });
  socket.write(request);
  await once(socket, 'end');
  for (let i = 0; i < 30 && !socket.destroyed; i++) await new Promise((done) => socket.write('more', done));
  const closed = once(socket, 'close');
  socket.end();
  if (!socket.closed) await closed;
  return { answer, error };
}

test('a refused client that sends on is listened to, so that its answer is not lost to a reset', async (t) => {
  const { answer, error } = await talk(
    t,
    'POST / HTTP/1.1\r\nHost: a\r\nConnection: host\r\nContent-Length: 0\r\n\r\n',
  );
  t.regex(answer, /^HTTP\/1\.1 400 /);
  t.is(error, '');
});

test('nobody waits for a client that asked for the close', async (t) => {
  const { answer, error } = await talk(t, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  t.regex(answer, /^HTTP\/1\.1 503 /);
  t.not(error, '');
});
