/**
 * Run inside a network namespace of its own, whose loopback takes packets in order and with a delay. A request goes to the
 * agent; right behind it in the queue comes the FIN of the application's idle connection, so that the agent sends the
 * request on and then reads the end, and the reset that answers the request is still to come. Prints what came of it.
 */
import { execFileSync } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { Agent } from '../../attacks/agent.ts';

export interface Race {
  /** The client's statuses, in order. */
  readonly statuses: readonly number[];
  /** What the application saw. */
  readonly seen: readonly string[];
  /** Connections to the application that ended under a request. */
  readonly cut: number;
  readonly retries: number;
}

const mtu = 1500;
const queue = ['tbf', 'rate', '100kbit', 'burst', '1600', 'limit', '100000'];
/** Datagrams that keep the queue busy for some 300 ms. */
const ballast = 4;

const run = (command: string, ...args: readonly string[]): unknown => execFileSync(command, args, { stdio: 'pipe' });

async function fillQueue(): Promise<void> {
  const socket = dgram.createSocket('udp4');
  for (let i = 0; i < ballast; i++) {
    await new Promise((resolve) => socket.send(Buffer.alloc(mtu - 100), 9, '127.0.0.1', resolve));
  }
  socket.close();
}

async function application() {
  const seen: string[] = [];
  const sockets = new Set<net.Socket>();
  const server = http.createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    request.resume().on('end', () => response.end('ok'));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { seen, sockets, port: (server.address() as AddressInfo).port };
}

/** A client with one connection. */
async function clientOf(port: number) {
  const socket = net.connect({ port, host: '127.0.0.1' });
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  await once(socket, 'connect');
  const statuses = (): readonly number[] => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((m) => Number(m[1]));
  return {
    statuses,
    post: (path: string) => socket.write(`POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n`),
    async answers(n: number): Promise<void> {
      while (statuses().length < n) await once(socket, 'data');
    },
  };
}

run('ip', 'link', 'set', 'lo', 'mtu', String(mtu), 'up');
const app = await application();
const agent = await Agent.start({ appPort: app.port });
const client = await clientOf(agent.port);
client.post('/first');
await client.answers(1);

run('tc', 'qdisc', 'add', 'dev', 'lo', 'root', ...queue);
await fillQueue();
client.post('/second');
for (const socket of app.sockets) socket.destroy();
await client.answers(2);
run('tc', 'qdisc', 'del', 'dev', 'lo', 'root');

const { body } = await agent.admin('/stats?filter=cluster.app.upstream');
const count = (name: string): number => Number(new RegExp(`${name}: (\\d+)`).exec(body)?.[1]);
await agent.stop();
const race: Race = {
  ...{ statuses: client.statuses(), seen: app.seen },
  cut: count('upstream_cx_destroy_with_active_rq'),
  retries: count('upstream_rq_retry'),
};
process.stdout.write(JSON.stringify(race));
process.exit(0);
