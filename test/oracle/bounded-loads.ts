/** Bounded loads: requests of one hash that all stay, one after the other, and which host each of them has gone to. */
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { freePorts } from '@chainmail/runtime/testing';
import { filterType, type JsonObject } from './case.ts';
import type { Judge } from './judge.ts';
import { endProxy, type ProxyName, startConfigured } from './proxy.ts';

const address = (port: number): JsonObject => ({ socket_address: { address: '127.0.0.1', port_value: port } });
const policies: Readonly<Record<string, JsonObject>> = {
  ring: { lb_policy: 'RING_HASH' },
  maglev: { lb_policy: 'MAGLEV' },
};
const factors = [100, 150, 400];
const names = Object.keys(policies).flatMap((policy) => factors.map((factor) => `${policy} ${factor}`));
const hosts = 5;
const requests = 24;

function cluster(name: string, ports: readonly number[]): JsonObject {
  const [policy = '', factor = ''] = name.split(' ');
  const endpoints = ports.map((port, i) => ({
    endpoint: { address: address(port) },
    load_balancing_weight: i === 0 ? 3 : 1,
    metadata: { filter_metadata: { 'envoy.lb': { hash_key: `host-${i}` } } },
  }));
  return {
    name,
    type: 'STATIC',
    ...policies[policy],
    common_lb_config: { consistent_hashing_lb_config: { hash_balance_factor: Number(factor) } },
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: endpoints }] },
  };
}

function configuration(admin: number, port: number, upstreams: readonly number[]): JsonObject {
  const routes = names.map((name, i) => ({
    match: { prefix: `/${i}` },
    route: { cluster: name, hash_policy: [{ header: { header_name: 'x-key' } }] },
  }));
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'bounded',
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
    http_filters: [{ name: 'router', typed_config: { '@type': filterType('router.v3.Router') } }],
  };
  return {
    admin: { address: address(admin) },
    static_resources: {
      listeners: [
        { name: 'main', address: address(port), filter_chains: [{ filters: [{ name: 'h', typed_config: manager }] }] },
      ],
      clusters: names.map((name) => cluster(name, upstreams)),
    },
  };
}

/** Takes requests and never answers; tells which host each has come to. */
class Silent {
  readonly #servers: readonly net.Server[];
  readonly #sockets = new Set<net.Socket>();
  #taken: (host: number) => void = () => undefined;

  constructor() {
    this.#servers = Array.from({ length: hosts }, (_, i) =>
      net.createServer((socket) => {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.once('data', () => this.#taken(i));
      }),
    );
  }

  async listen(): Promise<readonly number[]> {
    const ports: number[] = [];
    for (const server of this.#servers) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      ports.push((server.address() as net.AddressInfo).port);
    }
    return ports;
  }

  next(): Promise<number> {
    return new Promise((done) => {
      this.#taken = done;
    });
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    for (const server of this.#servers) server.close();
  }
}

async function findings(proxy: ProxyName, dir: string): Promise<ReadonlyMap<string, string>> {
  const silent = new Silent();
  const upstreams = await silent.listen();
  const [admin = 0, port = 0] = await freePorts(2);
  const child = await startConfigured(
    proxy,
    configuration(admin, port, upstreams),
    path.join(dir, `bounded-${proxy}`),
    port,
  );
  const clients: net.Socket[] = [];
  try {
    const found = new Map<string, string>();
    for (const [i, name] of names.entries()) {
      const order: number[] = [];
      for (let n = 0; n < requests; n++) {
        const next = silent.next();
        const client = net.connect(port, '127.0.0.1');
        client.on('error', () => undefined);
        client.write(`GET /${i} HTTP/1.1\r\nHost: a\r\nx-key: ${name}\r\n\r\n`);
        clients.push(client);
        order.push(await next);
      }
      found.set(`bounded loads/${name}`, order.join(' '));
    }
    return found;
  } finally {
    for (const client of clients) client.destroy();
    await endProxy(child);
    silent.close();
  }
}

export async function compareBoundedLoads(dir: string, judge: Judge): Promise<void> {
  const [ours, theirs] = await Promise.all([findings('agent', dir), findings('envoy', dir)]);
  for (const [key, mine] of ours) judge.compare(key, 'upstream', mine, theirs.get(key) ?? '');
}
