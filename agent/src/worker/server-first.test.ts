import type net from 'node:net';
import test from 'ava';
import { managerSpec } from '../http/testing/specs.ts';
import type { FilterChainMatchSpec } from '../model/listener.ts';
import { Client, Rig, serve, until } from './test-rig.ts';
import { anyMatch, chain, cluster, endpoints, listener, slotsAt } from './testing.ts';

const match = (m: Partial<FilterChainMatchSpec>): FilterChainMatchSpec => ({ ...anyMatch, ...m });
const http = match({ applicationProtocols: ['http/1.0', 'http/1.1', 'h2c'] });

/** An undeclared port: HTTP to one cluster, everything else to the application. */
async function undeclared(
  application: (socket: net.Socket) => void,
  more: { readonly timeoutMs?: number; readonly guarded?: boolean; readonly principals?: 'mesh' } = {},
): Promise<{ rig: Rig; dialled: () => number; stop: () => void }> {
  let dialled = 0;
  const { server, port } = await serve((socket) => {
    dialled++;
    socket.on('error', () => {});
    application(socket);
  });
  const web = await serve((socket) => socket.end('http'));
  const rules = {
    action: 'allow',
    policies: [{ name: 'mesh', permissions: [{ kind: 'any' }], principals: [{ kind: 'authenticated', name: null }] }],
  } as const;
  const guard = { kind: 'rbac', name: 'rbac', stats: slotsAt.rbac, rules, shadowRules: null } as const;
  const rig = new Rig();
  const errors = rig.apply({
    clusters: [cluster('app', 0), cluster('web', 1)],
    endpoints: [endpoints('app', port), endpoints('web', web.port)],
    listeners: [
      listener(
        [
          more.guarded === true
            ? chain('h', 'web', { match: http, terminal: managerSpec({ filters: [guard, { kind: 'router' }] }) })
            : chain('h', 'web', { match: http }),
          chain('o', 'app', {
            rbac:
              more.principals === undefined ? [] : [{ statPrefix: 'p', stats: slotsAt.rbac, rules, shadowRules: null }],
          }),
        ],
        {
          tlsInspector: true,
          httpInspector: true,
          listenerFiltersTimeoutMs: more.timeoutMs ?? 60_000,
          continueOnListenerFiltersTimeout: true,
        },
      ),
    ],
  });
  if (errors.length > 0) throw new Error(errors.join());
  const stop = (): void => {
    rig.stop();
    server.close();
    web.server.close();
  };
  return { rig, dialled: () => dialled, stop };
}

test('a server that speaks first is heard long before the deadline, and the talk goes on', async (t) => {
  const { rig, dialled, stop } = await undeclared((socket) => {
    socket.write('220 mail\r\n');
    socket.on('data', (d: Buffer) => socket.write(`250 ${d}`)).on('end', () => socket.end());
  });
  const client = new Client(rig.port);
  await client.receive('220 mail\r\n');
  client.socket.end('HELO x');
  await until('close', () => client.closed);
  t.is(client.received, '220 mail\r\n250 HELO x');
  t.is(dialled(), 1, 'the connection of the guess is the one that is used');
  t.is(rig.clusterStat(0, 'upstream_cx_total'), 1);
  t.is(rig.clusterStat(0, 'upstream_cx_active'), 0);
  t.is(rig.stat('downstream_cx_active'), 0);
  t.is(rig.stat('downstream_pre_cx_active'), 0);
  stop();
});

test('a large greeting is passed whole', async (t) => {
  const size = 3 << 20;
  const { rig, stop } = await undeclared((socket) => socket.end(Buffer.alloc(size, 'g')));
  const client = new Client(rig.port);
  await until('all of it', () => client.ended);
  t.is(client.received.length, size);
  client.socket.destroy();
  stop();
});

test('HTTP after a pause still goes to the HTTP chain; the guess is dropped', async (t) => {
  let closed = false;
  const { rig, dialled, stop } = await undeclared((socket) => {
    socket.resume().on('end', () => {
      closed = true;
    });
  });
  const client = new Client(rig.port);
  await until('the guess', () => dialled() === 1);
  client.socket.write('GET / HT');
  client.socket.write('TP/1.1\r\n');
  await client.receive('http');
  await until('the guess is closed', () => closed);
  t.is(rig.clusterStat(0, 'upstream_cx_active'), 0);
  client.socket.destroy();
  stop();
});

test('opaque bytes after a pause use the connection of the guess', async (t) => {
  const { rig, dialled, stop } = await undeclared((socket) => socket.pipe(socket));
  const client = new Client(rig.port);
  await until('the guess', () => dialled() === 1 && rig.clusterStat(0, 'upstream_cx_active') === 1);
  client.socket.end('\x00binary');
  await until('close', () => client.closed);
  t.is(client.received, '\x00binary');
  t.is(dialled(), 1);
  stop();
});

test('a server that hangs up without a word decides nothing', async (t) => {
  const { rig, dialled, stop } = await undeclared((socket) => socket.end());
  const client = new Client(rig.port);
  await until('the guess is over', () => dialled() === 1 && rig.clusterStat(0, 'upstream_cx_destroy') === 1);
  client.socket.write('GET / HTTP/1.1\r\n');
  await client.receive('http');
  t.is(rig.clusterStat(0, 'upstream_cx_active'), 0);
  client.socket.destroy();
  stop();
});

test('a client that leaves takes the guess with it', async (t) => {
  let closed = false;
  const { rig, dialled, stop } = await undeclared((socket) => {
    socket.resume().on('end', () => {
      closed = true;
    });
  });
  const client = new Client(rig.port);
  await until('the guess', () => dialled() === 1);
  client.socket.destroy();
  await until('closed', () => closed);
  t.is(rig.clusterStat(0, 'upstream_cx_active'), 0);
  t.is(rig.stat('downstream_pre_cx_active'), 0);
  stop();
});

test('where a policy looks at requests, silence to the deadline is closed and nobody is dialled', async (t) => {
  const { rig, dialled, stop } = await undeclared((socket) => socket.write('secret'), {
    guarded: true,
    timeoutMs: 150,
  });
  const client = new Client(rig.port);
  await until('close', () => client.over);
  t.is(client.received, '');
  t.is(dialled(), 0);
  t.is(rig.stat('downstream_pre_cx_timeout'), 1);
  client.socket.destroy();
  stop();
});

test('nobody is dialled for a client that network RBAC refuses', async (t) => {
  const { rig, dialled, stop } = await undeclared((socket) => socket.write('secret'), {
    principals: 'mesh',
    timeoutMs: 150,
  });
  const client = new Client(rig.port);
  await until('close', () => client.over);
  t.is(client.received, '');
  t.is(dialled(), 0);
  client.socket.destroy();
  stop();
});
