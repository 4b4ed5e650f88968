import type net from 'node:net';
import test from 'ava';
import type { FilterChainMatchSpec, FilterChainSpec } from '../model/listener.ts';
import { listenerHistogram, rbacStat } from '../stats/layout.ts';
import { Client, echo, Rig, serve, until } from './test-rig.ts';
import { anyMatch, chain, cluster, endpoints, listener, slotsAt, tcpProxy } from './testing.ts';

/** A rig with one chain to one application. */
async function rigTo(
  handler: (socket: net.Socket) => void,
  more: Partial<FilterChainSpec> = {},
): Promise<{ rig: Rig; stop: () => void }> {
  const { server, port } = await serve(handler);
  const rig = new Rig();
  const errors = rig.apply({
    clusters: [cluster('app', 0)],
    endpoints: [endpoints('app', port)],
    listeners: [listener([chain('a', 'app', more)])],
  });
  if (errors.length > 0) throw new Error(errors.join());
  const stop = (): void => {
    rig.stop();
    server.close();
  };
  return { rig, stop };
}

test('a peer that does not read stops the sender, and nothing is lost', async (t) => {
  let application: net.Socket | null = null;
  let received = 0;
  const { rig, stop } = await rigTo((socket) => {
    application = socket.pause();
    socket.on('data', (d: Buffer) => {
      received += d.length;
    });
  });
  const client = new Client(rig.port);
  const total = 64 << 20;
  client.socket.end(Buffer.alloc(total, 'x'));
  await until('the connection', () => application !== null);
  let before = -1;
  while (client.socket.bytesWritten - client.socket.writableLength !== before) {
    before = client.socket.bytesWritten - client.socket.writableLength;
    for (let i = 0; i < 300; i++) await new Promise((resolve) => setImmediate(resolve));
  }
  t.true(rig.engine.queuedBytes < 2 << 20, `${rig.engine.queuedBytes} bytes are queued`);
  (application as net.Socket | null)?.resume();
  await until('all bytes', () => received === total);
  client.socket.destroy();
  stop();
});

test('FIN of the client goes on, and the answer still comes back', async (t) => {
  const { rig, stop } = await rigTo((socket) => {
    socket.on('data', () => {}).on('end', () => socket.end('bye'));
  });
  const client = new Client(rig.port);
  client.socket.end('question');
  await until('close', () => client.closed);
  t.is(client.received, 'bye');
  t.is(client.errorCode, '');
  stop();
});

test('FIN of the server goes on, and the client may still send', async (t) => {
  let heard = '';
  const { rig, stop } = await rigTo((socket) => {
    socket.end('banner');
    socket.on('data', (d: Buffer) => {
      heard += d.toString();
    });
  });
  const client = new Client(rig.port);
  await until('end', () => client.ended);
  t.is(client.received, 'banner', 'the server spoke first');
  client.socket.end('late words');
  await until('late words', () => heard === 'late words');
  await until('close', () => client.closed);
  stop();
});

test('RST of the client is RST at the server', async (t) => {
  let code = '';
  let application: net.Socket | null = null;
  const { rig, stop } = await rigTo((socket) => {
    application = socket;
    socket.on('error', (e: NodeJS.ErrnoException) => {
      code = e.code ?? '';
    });
  });
  const client = new Client(rig.port);
  await until('the connection', () => application !== null);
  client.socket.resetAndDestroy();
  await until('reset', () => code !== '');
  t.is(code, 'ECONNRESET');
  stop();
});

test('RST of the server is RST at the client', async (t) => {
  const { rig, stop } = await rigTo((socket) => {
    socket.on('data', () => socket.resetAndDestroy());
  });
  const client = new Client(rig.port);
  client.socket.write('x');
  await until('reset', () => client.closed);
  t.is(client.errorCode, 'ECONNRESET');
  t.is(rig.stat('downstream_cx_active'), 0);
  stop();
});

test('a host that refuses is passed over', async (t) => {
  const { server, port } = await serve(echo);
  const dead = await serve(() => {});
  await new Promise((resolve) => dead.server.close(resolve));
  const rig = new Rig();
  rig.apply({
    clusters: [cluster('app', 0)],
    endpoints: [endpoints('app', dead.port, port)],
    listeners: [listener([chain('a', 'app', { terminal: tcpProxy('app', { maxConnectAttempts: 2 }) })])],
  });
  for (let i = 0; i < 4; i++) {
    const client = new Client(rig.port);
    client.socket.end('hello');
    await until('close', () => client.closed);
    t.is(client.received, 'hello');
  }
  t.true(rig.clusterStat(0, 'upstream_cx_connect_fail') >= 1);
  t.is(rig.clusterStat(0, 'upstream_cx_active'), 0);
  rig.stop();
  server.close();
});

test('without a host the connection is closed', async (t) => {
  const rig = new Rig();
  rig.apply({ clusters: [cluster('app', 0)], listeners: [listener([chain('a', 'app')])] });
  const client = new Client(rig.port);
  await until('close', () => client.over);
  t.is(client.received, '');
  client.socket.destroy();
  rig.stop();
});

test('an idle connection is closed after its time', async (t) => {
  const { rig, stop } = await rigTo(echo, { terminal: tcpProxy('app', { idleTimeoutMs: 300 }) });
  const client = new Client(rig.port);
  client.socket.write('x');
  await client.receive('x');
  await until('close', () => client.ended);
  t.is(rig.stat('downstream_cx_active'), 0);
  client.socket.destroy();
  stop();
});

test('network RBAC refuses before a host is dialled', async (t) => {
  let calls = 0;
  const rules = {
    action: 'allow',
    policies: [
      {
        name: 'mesh',
        permissions: [{ kind: 'any' }],
        principals: [{ kind: 'authenticated', name: null }],
      },
    ],
  } as const;
  const { rig, stop } = await rigTo(() => calls++, {
    rbac: [{ statPrefix: 'p', stats: slotsAt.rbac, rules, shadowRules: null }],
  });
  const client = new Client(rig.port);
  client.socket.write('x');
  await until('close', () => client.over);
  client.socket.destroy();
  t.is(calls, 0);
  t.is(rig.slots[slotsAt.rbac + rbacStat.at.denied], 1);
  stop();
});

const match = (m: Partial<FilterChainMatchSpec>): FilterChainMatchSpec => ({ ...anyMatch, ...m });
const greeting = (name: string) => (socket: net.Socket) => {
  socket.on('error', () => {});
  socket.end(name);
};

test('an undeclared port: HTTP one byte a packet, other bytes, and silence', async (t) => {
  const http = await serve(greeting('http'));
  const opaque = await serve(greeting('opaque'));
  const rig = new Rig();
  rig.apply({
    clusters: [cluster('http', 0), cluster('opaque', 1)],
    endpoints: [endpoints('http', http.port), endpoints('opaque', opaque.port)],
    listeners: [
      listener([chain('h', 'http', { match: match({ applicationProtocols: ['http/1.1'] }) }), chain('o', 'opaque')], {
        tlsInspector: true,
        httpInspector: true,
        listenerFiltersTimeoutMs: 1000,
        continueOnListenerFiltersTimeout: true,
      }),
    ],
  });
  const slow = new Client(rig.port);
  slow.socket.setNoDelay(true);
  for (const byte of 'GET / HTTP/1.1\r\n') {
    slow.socket.write(byte);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await slow.receive('http');
  const binary = new Client(rig.port);
  binary.socket.write(Buffer.from([0, 1, 2, 3]));
  await binary.receive('opaque');
  const silent = new Client(rig.port);
  await silent.receive('opaque');
  t.is(rig.stat('http_inspector.http11_found'), 1);
  t.is(rig.stat('http_inspector.http_not_found'), 1);
  t.is(rig.stat('downstream_pre_cx_active'), 0);
  for (const c of [slow, binary, silent]) c.socket.destroy();
  rig.stop();
  http.server.close();
  opaque.server.close();
});

test('undecided at the deadline means closed unless told otherwise', async (t) => {
  const rig = new Rig();
  rig.apply({
    listeners: [
      listener([chain('h', 'app', { match: match({ transportProtocol: 'tls' }) })], {
        tlsInspector: true,
        listenerFiltersTimeoutMs: 60,
      }),
    ],
  });
  const client = new Client(rig.port);
  client.socket.write(Buffer.from([0x16, 3]));
  await until('close', () => client.over);
  client.socket.destroy();
  t.is(rig.stat('downstream_pre_cx_timeout'), 1);
  rig.stop();
});

test('a connection that was not redirected is closed', async (t) => {
  const { server, port } = await serve(echo);
  const rig = new Rig();
  rig.apply({
    clusters: [cluster('app', 0)],
    endpoints: [endpoints('app', port)],
    listeners: [listener([chain('a', 'app')], { originalDst: true })],
  });
  const client = new Client(rig.port);
  client.socket.write('x');
  await until('close', () => client.over);
  client.socket.destroy();
  t.is(rig.stat('downstream_cx_not_redirected'), 1);
  t.is(rig.stat('downstream_cx_total'), 0);
  rig.stop();
  server.close();
});

test('a turn accepts no more than is configured, also when that changes, and says how many it were', async (t) => {
  const { rig, stop } = await rigTo(echo);
  const at = slotsAt.listener + listenerHistogram.connections_accepted_per_socket_event;
  const turns = (): readonly number[] => [...rig.slots.slice(at, at + 2)];
  const connect = async (count: number): Promise<void> => {
    const before = rig.stat('downstream_cx_total');
    for (let i = 0; i < count; i++) new Client(rig.port);
    await until('all are accepted', () => rig.stat('downstream_cx_total') === before + count);
  };
  await connect(3);
  const [usual = 0, sum = 0] = turns();
  t.is(sum, 3);
  t.true(usual >= 1 && usual <= 3);
  rig.apply({ listeners: [listener([chain('a', 'app')], { acceptsPerTurn: 1 })] });
  await connect(5);
  t.deepEqual(turns(), [usual + 5, 8], 'each in a turn of its own');
  stop();
});
