/** Limits of connections: the same connections to the agent and to the real Envoy, which were closed and what was counted. */
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { freePorts } from '@chainmail/runtime/testing';
import type { Json, JsonObject } from './case.ts';
import type { Judge } from './judge.ts';
import { endProxy, type ProxyName, startConfigured } from './proxy.ts';

const network = (name: string): string => `type.googleapis.com/envoy.extensions.filters.network.${name}`;
const address = (port: number): JsonObject => ({ socket_address: { address: '127.0.0.1', port_value: port } });

/** Each kind of limit in front of an opaque proxy and of a connection manager. */
const limits: Readonly<Record<string, JsonObject>> = {
  plain: {},
  delayed: { delay: '2s' },
  'switched off': { runtime_enabled: { default_value: false, runtime_key: 'limits.on' } },
  'on by runtime': { runtime_enabled: { default_value: false, runtime_key: 'limits.really' } },
};

const names = Object.keys(limits).flatMap((name) => [`${name} tcp`, `${name} http`]);
const prefixOf = (name: string): string => name.replaceAll(' ', '_');

function terminal(name: string): JsonObject {
  if (name.endsWith(' tcp')) {
    return { '@type': network('tcp_proxy.v3.TcpProxy'), stat_prefix: prefixOf(name), cluster: 'up' };
  }
  const route = { match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'x' } } };
  return {
    '@type': network('http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: prefixOf(name),
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route] }] },
    http_filters: [
      {
        name: 'router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
  };
}

function listener(name: string, port: number): Json {
  const kind = name.replace(/ (tcp|http)$/, '');
  const limit = {
    '@type': network('connection_limit.v3.ConnectionLimit'),
    stat_prefix: prefixOf(name),
    max_connections: 2,
    ...limits[kind],
  };
  const filters = [
    { name: 'limit', typed_config: limit },
    { name: 'terminal', typed_config: terminal(name) },
  ];
  return {
    name,
    address: address(port),
    max_connections_to_accept_per_socket_event: 1,
    filter_chains: [{ filters }],
  };
}

function configuration(admin: number, upstream: number, ports: readonly number[]): JsonObject {
  return {
    admin: { address: address(admin) },
    layered_runtime: { layers: [{ name: 'base', static_layer: { limits: { really: true } } }] },
    static_resources: {
      listeners: names.map((name, i) => listener(name, ports[i] ?? 0)),
      clusters: [
        {
          name: 'up',
          type: 'STATIC',
          load_assignment: {
            cluster_name: 'up',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstream) } }] }],
          },
        },
      ],
    },
  };
}

interface Client {
  readonly socket: net.Socket;
  /** What it was told first, and when. */
  readonly found: Promise<'served' | 'closed' | 'closed later' | 'silent'>;
}

/** Much less than the delay of a delayed close, and much more than a busy machine makes of none. */
const laterMs = 1_500;

function client(port: number): Client {
  const socket = net.connect({ port, host: '127.0.0.1' });
  const begun = performance.now();
  socket.on('error', () => undefined);
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const found = new Promise<Awaited<Client['found']>>((done) => {
    const timer = setTimeout(() => done('silent'), 10_000);
    const settle = (what: 'served' | 'closed' | 'closed later'): void => {
      clearTimeout(timer);
      done(what);
    };
    socket.once('data', () => settle('served'));
    socket.once('close', () => settle(performance.now() - begun < laterMs ? 'closed' : 'closed later'));
  });
  return { socket, found };
}

/** Not of a filter that is off: Envoy still takes its connections off when they end, and counts below zero. */
async function numbers(admin: number, name: string): Promise<string> {
  if (name.startsWith('switched off')) return '';
  const prefix = `connection_limit.${prefixOf(name)}.`;
  const response = await fetch(`http://127.0.0.1:${admin}/stats`);
  return (await response.text())
    .split('\n')
    .filter((l) => l.startsWith(prefix))
    .map((l) => l.slice(prefix.length))
    .sort()
    .join(', ');
}

const isThere = (admin: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${admin}/stats?filter=none`).then(
    () => true,
    () => false,
  );

/** Waits until the numbers say so: a proxy hears of an end a moment later than the client has made it. */
async function settled(admin: number, name: string, wanted: RegExp): Promise<string> {
  const end = Date.now() + 5_000;
  let seen = await numbers(admin, name);
  while (!wanted.test(seen) && seen !== '' && Date.now() < end) seen = await numbers(admin, name);
  return seen;
}

async function connectionsTo(name: string, port: number, admin: number): Promise<string> {
  const steps: string[] = [];
  const first = client(port);
  steps.push(await first.found);
  const second = client(port);
  steps.push(await second.found);
  const third = client(port);
  // A connection whose close waits counts as long as it is there.
  if (name.startsWith('delayed')) steps.push(await settled(admin, name, /^active_connections: 3/));
  steps.push(await third.found, await settled(admin, name, /^active_connections: 2/));
  third.socket.destroy();
  first.socket.destroy();
  steps.push(await settled(admin, name, /^active_connections: [01]/));
  const fourth = client(port);
  steps.push(await fourth.found, await numbers(admin, name));
  second.socket.destroy();
  fourth.socket.destroy();
  return steps.join('\n');
}

async function findings(proxy: ProxyName, dir: string): Promise<ReadonlyMap<string, string>> {
  const upstream = net.createServer((socket) => socket.on('error', () => undefined).pipe(socket));
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const [admin = 0, ...ports] = await freePorts(1 + names.length);
  const config = configuration(admin, (upstream.address() as net.AddressInfo).port, ports);
  const child = await startConfigured(proxy, config, path.join(dir, `connections-${proxy}`), ports.at(-1) ?? 0);
  try {
    // The agent's admin interface opens behind its listeners; and the probe for readiness was a connection as well.
    while (!(await isThere(admin)));
    await settled(admin, names.at(-1) ?? '', /^active_connections: 0/);
    const found = await Promise.all(
      names.map(async (name, i) => [`connections/${name}`, await connectionsTo(name, ports[i] ?? 0, admin)] as const),
    );
    return new Map(found);
  } finally {
    await endProxy(child);
    upstream.close();
  }
}

export async function compareConnections(dir: string, judge: Judge): Promise<void> {
  const [ours, theirs] = await Promise.all([findings('agent', dir), findings('envoy', dir)]);
  for (const [key, mine] of ours) judge.compare(key, 'connection', mine, theirs.get(key) ?? '');
}
