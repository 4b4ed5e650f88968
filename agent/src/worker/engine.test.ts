import { randomBytes } from 'node:crypto';
import net from 'node:net';
import test from 'ava';
import type { ConfigUpdate } from '../model/update.ts';
import { Loop } from '../net/loop.ts';
import { clusterStat, listenerStat, slotCount } from '../stats/layout.ts';
import { Engine } from './engine.ts';
import { chain, cluster, emptyUpdate, endpoints, listener, meshTls, slotsAt, TestCa, upstreamTls } from './testing.ts';

const web = 'spiffe://cluster.local/ns/shop/sa/web';
const catalog = 'spiffe://cluster.local/ns/shop/sa/catalog';

/** An engine on loopback that turns while promises are awaited. */
class Rig {
  readonly loop = new Loop();
  readonly slots = new Float64Array(new SharedArrayBuffer(slotCount * 8));
  readonly reports: string[] = [];
  readonly engine: Engine;
  #running = true;

  constructor() {
    this.engine = new Engine(this.loop, {
      slots: this.slots,
      log: { write: () => {} },
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

async function serve(handler: (socket: net.Socket) => void): Promise<{ server: net.Server; port: number }> {
  const server = net.createServer({ allowHalfOpen: true }, handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as net.AddressInfo).port };
}

const echo = (socket: net.Socket): void => {
  socket.on('error', () => {});
  socket.pipe(socket);
};

/** Sends all, half-closes, and gives what came back. */
function exchange(port: number, data: Uint8Array): Promise<{ readonly bytes: Buffer; readonly error: boolean }> {
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

test('tcp_proxy carries 50 MB both ways and a half-close', async (t) => {
  const { server, port } = await serve(echo);
  const rig = new Rig();
  t.deepEqual(
    rig.apply({
      clusters: [cluster('app', 0)],
      endpoints: [endpoints('app', port)],
      listeners: [listener([chain('a', 'app')])],
    }),
    [],
  );
  const data = randomBytes(50 << 20);
  const { bytes } = await exchange(rig.port, data);
  t.true(bytes.equals(data));
  t.is(rig.stat('downstream_cx_total'), 1);
  t.is(rig.stat('downstream_cx_active'), 0);
  t.is(rig.clusterStat(0, 'upstream_cx_rx_bytes_total'), data.length);
  rig.stop();
  server.close();
});

/** Two engines: the first takes plaintext and speaks mTLS to the second, which speaks plaintext to the echo server. */
async function meshPair(
  ca: TestCa,
  options: {
    readonly clientSan?: string;
    readonly serverSan?: string;
    readonly expired?: boolean;
    readonly careless?: boolean;
  } = {},
): Promise<{ client: Rig; server: Rig; stop: () => void }> {
  const { server: app, port } = await serve(echo);
  const server = new Rig();
  const serverErrors = server.apply({
    secrets: [ca.trust, ca.leaf(options.serverSan ?? `URI:${catalog}`)],
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

const ca = new TestCa();
test.after.always(() => ca.remove());

test('two engines speak mutual TLS 1.3, and both know whom they talk to', async (t) => {
  const pair = await meshPair(ca);
  const data = randomBytes(5 << 20);
  const { bytes } = await exchange(pair.client.port, data);
  t.true(bytes.equals(data));
  const [inbound] = pair.server.engine.edges.takeChanges() ?? [];
  t.like(inbound, { direction: 'inbound', local: catalog, peer: web, tls: 'TLSv1.3', connections: 1 });
  const [outbound] = pair.client.engine.edges.takeChanges() ?? [];
  t.like(outbound, { direction: 'outbound', local: web, peer: catalog, target: 'catalog', tls: 'TLSv1.3' });
  t.is(pair.server.stat('ssl.handshake'), 1);
  pair.stop();
});

test('the client refuses a server with another SPIFFE ID before it sends a byte', async (t) => {
  const pair = await meshPair(ca, { serverSan: 'URI:spiffe://cluster.local/ns/shop/sa/other' });
  const { bytes } = await exchange(pair.client.port, Buffer.from('secret'));
  t.is(bytes.length, 0);
  t.is(pair.client.clusterStat(0, 'ssl.fail_verify_san'), 1);
  t.is(pair.server.stat('ssl.connection_error'), 1);
  t.is(pair.server.clusterStat(0, 'upstream_cx_total'), 0);
  pair.stop();
});

for (const [what, options] of [
  ['two URI SANs', { clientSan: `URI:${web},URI:${catalog}` }],
  ['a foreign trust domain', { clientSan: 'URI:spiffe://elsewhere/ns/shop/sa/web', careless: true }],
  ['no URI SAN', { clientSan: 'DNS:web', careless: true }],
  ['an expired certificate', { expired: true }],
] as const) {
  test(`the server refuses a client with ${what}`, async (t) => {
    const pair = await meshPair(ca, options);
    const { bytes } = await exchange(pair.client.port, Buffer.from('hello'));
    t.is(bytes.length, 0);
    t.is(pair.server.stat('ssl.fail_verify_error'), 1);
    t.is(pair.server.clusterStat(0, 'upstream_cx_total'), 0);
    pair.stop();
  });
}

test('plaintext to a chain that wants TLS is closed before a byte is read', async (t) => {
  const pair = await meshPair(ca);
  const { bytes } = await exchange(pair.server.port, Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  t.is(bytes.length, 0);
  t.is(pair.server.stat('no_filter_chain_match'), 1);
  t.is(pair.server.clusterStat(0, 'upstream_cx_total'), 0);
  pair.stop();
});
