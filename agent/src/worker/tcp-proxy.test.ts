import type net from 'node:net';
import test from 'ava';
import type { TcpProxySpec } from '../model/listener.ts';
import type { AccessLogSpec } from '../model/log.ts';
import { tcpStat } from '../stats/layout.ts';
import { Client, echo, meshPair, Rig, serve, until } from './test-rig.ts';
import { chain, cluster, endpoints, listener, slotsAt, TestCa, tcpProxy } from './testing.ts';

const ca = new TestCa();
test.after.always(() => ca.remove());

const log: readonly AccessLogSpec[] = [{ path: '/dev/null', format: { kind: 'text', format: 'x' } }];

async function proxied(more: Partial<TcpProxySpec>): Promise<{ rig: Rig; stop: () => void }> {
  const { server, port } = await serve(echo);
  const rig = new Rig();
  rig.apply({
    clusters: [cluster('app', 0)],
    endpoints: [endpoints('app', port)],
    listeners: [listener([chain('a', 'app', { terminal: tcpProxy('app', more) })])],
  });
  return {
    rig,
    stop: () => {
      rig.stop();
      server.close();
    },
  };
}

test('a connection ends after its longest duration, busy or not', async (t) => {
  const { rig, stop } = await proxied({ maxConnectionDurationMs: 500, accessLog: log });
  const client = new Client(rig.port);
  const talk = setInterval(() => client.socket.write('x'), 10);
  await until('close', () => client.over);
  clearInterval(talk);
  t.true(client.received.length > 0);
  t.is(rig.slots[slotsAt.tcp + tcpStat.at.max_downstream_connection_duration], 1);
  t.is(rig.logged.at(-1)?.flags, 'DT');
  t.is(rig.clusterStat(0, 'upstream_cx_active'), 0);
  client.socket.destroy();
  stop();
});

test('a line when connected, one at each interval, and one at the end', async (t) => {
  const { rig, stop } = await proxied({ flushLogOnConnected: true, logIntervalMs: 50, accessLog: log });
  const client = new Client(rig.port);
  await until('connected', () => rig.logged.length > 0);
  t.is(rig.logged[0]?.bytesReceived, 0);
  client.socket.write('hello');
  await client.receive('hello');
  await until('two more', () => rig.logged.length >= 3);
  t.is(rig.logged.at(-1)?.bytesReceived, 5);
  client.socket.end();
  await until('close', () => client.closed);
  const count = rig.logged.length;
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve, 5));
  t.is(rig.logged.length, count, 'nothing after the end');
  stop();
});

test('without options there is one line', async (t) => {
  const { rig, stop } = await proxied({ accessLog: log });
  const client = new Client(rig.port);
  client.socket.end('hello');
  await until('close', () => client.closed);
  t.is(rig.logged.length, 1);
  stop();
});

test('over mutual TLS: FIN of the client goes on, and the answer still comes back', async (t) => {
  const pair = await meshPair(ca, {
    application: (socket) => {
      socket.on('data', () => {}).on('end', () => socket.end('bye'));
    },
  });
  const client = new Client(pair.client.port);
  client.socket.end('question');
  await until('close', () => client.closed);
  t.is(client.received, 'bye');
  t.is(client.errorCode, '');
  pair.stop();
});

test('over mutual TLS: FIN of the server goes on, and the client may still send', async (t) => {
  let heard = '';
  const pair = await meshPair(ca, {
    application: (socket) => {
      socket.end('banner');
      socket.on('data', (d: Buffer) => {
        heard += d.toString();
      });
    },
  });
  const client = new Client(pair.client.port);
  await until('end', () => client.ended);
  t.is(client.received, 'banner');
  client.socket.end('late words');
  await until('late words', () => heard === 'late words');
  await until('close', () => client.closed);
  pair.stop();
});

test('over mutual TLS: RST of the client is RST at the application, not an end', async (t) => {
  let application: net.Socket | null = null;
  let code = '';
  let ended = false;
  const pair = await meshPair(ca, {
    application: (socket) => {
      application = socket;
      socket.resume().on('end', () => {
        ended = true;
      });
      socket.on('error', (e: NodeJS.ErrnoException) => {
        code = e.code ?? '';
      });
    },
  });
  const client = new Client(pair.client.port);
  client.socket.write('x');
  await until('the connection', () => application !== null);
  client.socket.resetAndDestroy();
  await until('reset', () => code !== '' || ended);
  t.is(code, 'ECONNRESET');
  t.false(ended);
  pair.stop();
});
