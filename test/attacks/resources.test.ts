/**
 * Attempts to use up what the agent has: time (slowloris in head, body and handshake), memory (heads, connections,
 * readers that do not read, pipelines) and processor. Each ends on its own deadline, and resident memory stays flat.
 */
import { once } from 'node:events';
import net from 'node:net';
import test from 'ava';
import { startNaiveProxy } from '../fakes/naive-proxy.ts';
import { Agent } from './agent.ts';
import { startApp } from './app.ts';
import { send } from './wire.ts';

const MiB = 1024 * 1024;
const get = 'GET /x HTTP/1.1\r\nHost: a\r\n\r\n';
const never = { until: () => false, timeoutMs: 6000 };

const impatient = {
  request_headers_timeout: '1s',
  stream_idle_timeout: '1s',
  delayed_close_timeout: '0.2s',
  common_http_protocol_options: { idle_timeout: '1s' },
};

/** CVE-2007-6750 (slowloris) and slow POST. */
test('whoever stalls is ended by a deadline: in the head, in the body, between requests', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port, manager: impatient });
  t.teardown(() => agent.stop());
  const stalled: readonly [name: string, bytes: string, status: number | undefined][] = [
    ['nothing', '', undefined],
    ['half a line', 'GET /x HT', 408],
    ['a head without end', 'GET /x HTTP/1.1\r\nHost: a\r\nX: y', 408],
    ['a body that does not come', 'POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc', 408],
    ['a chunk that does not come', 'POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab', 408],
    ['a trailer that does not end', 'POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ', 408],
  ];
  const all = stalled.map(async ([name, bytes, status]) => {
    const { closed, statuses, tookMs } = await send(agent.port, bytes === '' ? [] : bytes, never);
    t.true(closed, name);
    t.is(statuses[0], status, name);
    t.true(tookMs < 5000, `${name}: ${tookMs} ms`);
  });
  // A byte now and then does not put the deadline of a head off.
  const dripping = new Promise<void>((resolve) => {
    const socket = net.connect(agent.port, '127.0.0.1');
    socket.write('GET /x HTTP/1.1\r\nHost: a\r\nX: ');
    const drip = setInterval(() => socket.writable && socket.write('y\r\nX: '), 200);
    socket.on('error', () => {});
    socket.on('data', () => {});
    socket.on('close', () => {
      clearInterval(drip);
      resolve();
    });
  });
  await Promise.all([...all, dripping]);
  t.is((await send(agent.port, get)).statuses[0], 200);
});

test('a head has an end: bytes and fields are counted', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port });
  t.teardown(() => agent.stop());
  const fields = (n: number, value = 'v'): string =>
    Array.from({ length: n }, (_, i) => `x${i}: ${value}\r\n`).join('');
  const head = (more: string): string => `GET /x HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
  const cases: readonly [name: string, bytes: string, status: number][] = [
    ['99 fields', head(fields(99)), 200],
    ['101 fields', head(fields(101)), 431],
    ['100,000 fields', head(fields(100_000)), 431],
    ['one field of 60 KiB', head(`x: ${'y'.repeat(61_440)}\r\n`), 431],
    ['one field of 4 MiB without an end', `GET /x HTTP/1.1\r\nHost: a\r\nx: ${'y'.repeat(4 * MiB)}`, 431],
    ['a target of 1 MiB', `GET /${'y'.repeat(MiB)} HTTP/1.1\r\nHost: a\r\n\r\n`, 431],
    ['a target without an end', `GET /${'y'.repeat(MiB)}`, 431],
    [
      'trailers of 1 MiB',
      `POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${fields(10, 'y'.repeat(100_000))}\r\n`,
      431,
    ],
    ['a method of 1 MiB', `${'A'.repeat(MiB)}`, 431],
  ];
  for (const [name, bytes, status] of cases) {
    app.reset();
    const { statuses } = await send(agent.port, bytes, { timeoutMs: 4000 });
    t.is(statuses[0], status, name);
    t.is(app.requests.length, status === 200 ? 1 : 0, name);
  }
});

/** Opens n connections, writes, and holds them until the function has run. */
async function holding<T>(port: number, n: number, bytes: string, run: () => Promise<T>): Promise<T> {
  const sockets = Array.from({ length: n }, () => {
    const socket = net.connect(port, '127.0.0.1').on('error', () => {});
    socket.pause();
    socket.write(bytes);
    return socket;
  });
  try {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    return await run();
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

/** The agent looks at its memory every 5 s, and gives back what it has no use for at most every 20 s. */
const givenBackMs = 45_000;
/** What 400,000 requests at once may leave to the collector, for a while. */
const garbageMiB = 40;

/** What is still there when the garbage is gone, or the time. */
async function remaining(grown: () => number, mostMiB: number): Promise<number> {
  const end = performance.now() + givenBackMs;
  let least = grown();
  while (least >= mostMiB && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    least = Math.min(least, grown());
  }
  return least;
}

test('memory: readers that do not read, half heads, empty connections, pipelines', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const big = Buffer.alloc(32 * MiB, 'z');
  app.answer = (seen, response) => response.end(seen.url === '/big' ? big : 'ok');
  const agent = await Agent.start({ appPort: app.port });
  t.teardown(() => agent.stop());
  await send(agent.port, get);
  const before = agent.rss();
  const grown = (): number => Math.round((agent.rss() - before) / MiB);
  const works = async (what: string): Promise<void> => {
    t.is((await send(agent.port, get)).statuses[0], 200, `${what}: others are served meanwhile`);
  };
  const cases: readonly [name: string, n: number, bytes: string, mostMiB: number][] = [
    ['10 answers of 32 MiB that nobody reads', 10, get.replace('/x', '/big'), 60],
    ['500 connections without a byte', 500, '', 40],
    ['300 half heads of 32 KiB', 300, `GET /x HTTP/1.1\r\nHost: a\r\nx: ${'y'.repeat(32_768)}`, 60],
    ['20 pipelines of 20,000 requests', 20, get.repeat(20_000), 50],
  ];
  for (const [name, n, bytes, most] of cases) {
    const grew = await holding(agent.port, n, bytes, async () => {
      await works(name);
      const now = grown();
      t.true(now < most + garbageMiB, `${name}: ${now} MiB more at once`);
      t.log(`${name}: ${now} MiB more at once`);
      return remaining(grown, most);
    });
    t.true(grew < most, `${name}: ${grew} MiB more`);
    t.log(`${name}: ${grew} MiB more in the end`);
  }
  await works('afterwards');
  t.true(agent.alive);
});

test('more connections than descriptors: it waits for free ones, lives and serves again', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port, descriptors: 150 });
  t.teardown(() => agent.stop());
  await holding(agent.port, 400, '', async () => {
    // Its own watch over memory reads files: that must not end it either.
    await new Promise((resolve) => setTimeout(resolve, 5000));
  });
  t.true(agent.alive, agent.stderr.slice(-500));
  const asked = async (): Promise<number | undefined> => (await send(agent.port, get, { timeoutMs: 3000 })).statuses[0];
  const end = performance.now() + 20_000;
  let status = await asked();
  while (status !== 200 && performance.now() < end) status = await asked();
  t.is(status, 200);
});

test('a proxy without limits takes a head of any size', async (t) => {
  let seen = 0;
  const sink = net.createServer((socket) => {
    socket.on('data', (chunk: Buffer) => {
      seen += chunk.length;
      if (seen > 150_000 && !socket.writableEnded) socket.end('seen');
    });
  });
  sink.listen(0, '127.0.0.1');
  await once(sink, 'listening');
  t.teardown(() => sink.close());
  const naive = await startNaiveProxy({ upstream: (sink.address() as net.AddressInfo).port });
  t.teardown(() => naive.close());
  const endless = `GET /x HTTP/1.1\r\nHost: a\r\nx: ${'y'.repeat(200_000)}`;
  await send(naive.port, endless, { until: (text) => text.includes('seen'), timeoutMs: 5000 });
  t.true(seen > 61_440);
});

/** CVE-2020-11080 class for HTTP/1: work that costs the sender nothing. Others are still answered at once. */
test('floods of cheap work do not stop the others', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port });
  t.teardown(() => agent.stop());
  const floods: readonly string[] = [
    '\r\n'.repeat(2_000_000),
    `POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${'1\r\na\r\n'.repeat(300_000)}`,
    `GET /${'../'.repeat(15_000)} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(20),
    `GET /${'%2e%2e%2f;'.repeat(4000)} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(20),
    `GET /x HTTP/1.1\r\nHost: a\r\nConnection: ${'a,'.repeat(20_000)}\r\n\r\n`.repeat(10),
  ];
  for (const [i, flood] of floods.entries()) {
    // A busy machine may spoil one measurement; a flood that stops the others spoils each.
    let least = Number.POSITIVE_INFINITY;
    for (let tried = 0; tried < 3 && least >= 1500; tried++) {
      const end = send(agent.port, flood, { until: () => false, timeoutMs: 1500 });
      const { statuses, tookMs } = await send(agent.port, get, { timeoutMs: 30_000 });
      t.is(statuses[0], 200, `flood ${i}`);
      least = Math.min(least, tookMs);
      await end;
    }
    t.true(least < 1500, `flood ${i}: ${least} ms`);
  }
  t.true(agent.alive);
});
