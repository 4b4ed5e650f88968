/** An engine on loopback inside the test's own process, turned while promises are awaited, and peers for it. */
import net from 'node:net';
import type { LogRecord } from '../http/request-view.ts';
import type { ConfigUpdate } from '../model/update.ts';
import { Loop } from '../net/loop.ts';
import { clusterStat, listenerStat, slotCount } from '../stats/layout.ts';
import { Engine } from './engine.ts';
import {
  chain,
  cluster,
  emptyUpdate,
  endpoints,
  listener,
  meshTls,
  slotsAt,
  type TestCa,
  upstreamTls,
} from './testing.ts';

export const web = 'spiffe://cluster.local/ns/shop/sa/web';
export const catalog = 'spiffe://cluster.local/ns/shop/sa/catalog';

/** An engine on loopback that turns while promises are awaited. */
export class Rig {
  readonly loop = new Loop();
  readonly slots = new Float64Array(new SharedArrayBuffer(slotCount * 8));
  readonly reports: string[] = [];
  readonly logged: LogRecord[] = [];
  readonly engine: Engine;
  #running = true;

  constructor() {
    this.engine = new Engine(this.loop, {
      slots: this.slots,
      log: { write: (_sinks, record) => this.logged.push(record), writeLine: () => {}, publish: () => {} },
      random: () => 0.5,
      drainMs: 1000,
      report: (_level, msg, fields) => this.reports.push(`${msg} ${JSON.stringify(fields)}`),
    });
    const turn = (): void => {
      if (!this.#running) return;
      this.loop.run(0);
      setImmediate(turn);
    };
    turn();
  }

  apply(update: Partial<ConfigUpdate>): readonly string[] {
    return this.engine.apply({ ...emptyUpdate, ...update });
  }

  get port(): number {
    return this.engine.portsOf('test')[0] ?? 0;
  }

  stat(name: keyof typeof listenerStat.at): number {
    return this.slots[slotsAt.listener + listenerStat.at[name]] ?? 0;
  }

  clusterStat(index: number, name: keyof typeof clusterStat.at): number {
    const { stats } = cluster('x', index);
    return this.slots[stats + clusterStat.at[name]] ?? 0;
  }

  stop(): void {
    this.engine.close();
    this.#running = false;
    this.loop.close();
  }
}

export async function serve(handler: (socket: net.Socket) => void): Promise<{ server: net.Server; port: number }> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => handler(socket.unref())).unref();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as net.AddressInfo).port };
}

export const echo = (socket: net.Socket): void => {
  socket.on('error', () => {});
  socket.pipe(socket);
};

/** Sends all, half-closes, and gives what came back. */
export function exchange(port: number, data: Uint8Array): Promise<{ readonly bytes: Buffer; readonly error: boolean }> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let error = false;
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('data', (d: Buffer) => parts.push(d));
    socket.on('error', () => {
      error = true;
    });
    socket.on('close', () => resolve({ bytes: Buffer.concat(parts), error }));
    socket.end(data);
  });
}

/** Two engines: the first takes plaintext and speaks mTLS to the second, which speaks plaintext to the echo server. */
export async function meshPair(
  ca: TestCa,
  options: {
    readonly clientSan?: string;
    readonly serverSan?: string;
    readonly expired?: boolean;
    readonly careless?: boolean;
    readonly withoutSecrets?: boolean;
    readonly application?: (socket: net.Socket) => void;
  } = {},
): Promise<{ client: Rig; server: Rig; stop: () => void }> {
  const { server: app, port } = await serve(options.application ?? echo);
  const server = new Rig();
  const serverErrors = server.apply({
    secrets: options.withoutSecrets ? [] : [ca.trust, ca.leaf(options.serverSan ?? `URI:${catalog}`)],
    clusters: [cluster('app', 0)],
    endpoints: [endpoints('app', port)],
    listeners: [
      listener(
        [
          chain('in', 'app', {
            match: { ...chain('x', 'y').match, transportProtocol: 'tls' },
            tls: { ...meshTls, requireClientCertificate: true },
          }),
        ],
        { tlsInspector: true },
      ),
    ],
  });
  const client = new Rig();
  const clientErrors = client.apply({
    secrets: [ca.trust, ca.leaf(options.clientSan ?? `URI:${web}`, { expired: options.expired ?? false })],
    clusters: [cluster('catalog', 0, { tls: upstreamTls('catalog', catalog, { requireSvid: !options.careless }) })],
    endpoints: [endpoints('catalog', server.port)],
    listeners: [listener([chain('out', 'catalog')], { direction: 'outbound' })],
  });
  if (serverErrors.length + clientErrors.length > 0) throw new Error([...serverErrors, ...clientErrors].join());
  return {
    client,
    server,
    stop: () => {
      client.stop();
      server.stop();
      app.close();
    },
  };
}

/** Waits until the condition holds; the engines turn meanwhile. */
export async function until(what: string, holds: () => boolean, timeoutMs = 60_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A client connection with what it has received. */
export class Client {
  readonly socket: net.Socket;
  received = '';
  ended = false;
  closed = false;
  errorCode = '';

  constructor(port: number) {
    this.socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }).unref();
    this.socket.on('data', (d: Buffer) => {
      this.received += d.toString('latin1');
    });
    this.socket.on('end', () => {
      this.ended = true;
    });
    this.socket.on('error', (e: NodeJS.ErrnoException) => {
      this.errorCode = e.code ?? 'unknown';
    });
    this.socket.on('close', () => {
      this.closed = true;
    });
  }

  /** The other side has ended or cut the connection. */
  get over(): boolean {
    return this.ended || this.closed;
  }

  async receive(text: string): Promise<void> {
    await until(`receive ${text}`, () => this.received.includes(text));
  }
}
