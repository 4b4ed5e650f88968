/**
 * TLS side by side: what the agent and the real Envoy make of the same ClientHello. Whole handshakes by SNI, ALPN and
 * version are compared by what was chosen; damaged hellos, generated from a fixed seed, by whether a server's first
 * message came back or the connection ended.
 */
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { freePorts } from '@chainmail/runtime/testing';
import { Authority, type Leaf } from '../e2e/examples/certificates.ts';
import type { JsonObject } from './case.ts';
import type { Judge } from './judge.ts';
import { endProxy, type ProxyName, startConfigured } from './proxy.ts';

const tlsType = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext';
const filters = 'type.googleapis.com/envoy.extensions.filters';
/** Damaged hellos of each sort. */
const damaged = 150;

interface Handshake {
  readonly name: string;
  readonly options: tls.ConnectionOptions;
}

const handshakes: readonly Handshake[] = [
  ...['one.example', 'ONE.example', 'a.two.example', 'x.a.two.example', 'two.example', 'none.example', ''].map(
    (servername) => ({ name: `SNI '${servername}'`, options: { servername } }),
  ),
  ...[['h2'], ['http/1.1'], ['h2', 'http/1.1'], ['http/1.1', 'h2'], ['spdy/3'], []].map((ALPNProtocols) => ({
    name: `ALPN ${ALPNProtocols.join()}`,
    options: { servername: 'one.example', ALPNProtocols },
  })),
  ...(['TLSv1.2', 'TLSv1.3'] as const).map((version) => ({
    name: version,
    options: { servername: 'one.example', minVersion: version, maxVersion: version },
  })),
  {
    name: 'TLSv1.1',
    options: {
      servername: 'one.example',
      minVersion: 'TLSv1.1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    },
  },
];

function chain(match: JsonObject, leaf: Leaf): JsonObject {
  const file = (filename: string): JsonObject => ({ filename });
  return {
    filter_chain_match: match,
    filters: [
      {
        name: 'hcm',
        typed_config: {
          '@type': `${filters}.network.http_connection_manager.v3.HttpConnectionManager`,
          stat_prefix: 'tls',
          route_config: { virtual_hosts: [] },
          http_filters: [{ name: 'router', typed_config: { '@type': `${filters}.http.router.v3.Router` } }],
        },
      },
    ],
    transport_socket: {
      name: 'tls',
      typed_config: {
        '@type': tlsType,
        common_tls_context: {
          alpn_protocols: ['h2', 'http/1.1'],
          tls_certificates: [{ certificate_chain: file(leaf.certificate), private_key: file(leaf.key) }],
        },
      },
    },
  };
}

function configuration(admin: number, port: number, one: Leaf, two: Leaf): JsonObject {
  const address = (value: number): JsonObject => ({
    socket_address: { address: '127.0.0.1', port_value: value },
  });
  const inspector = { name: 'tls', typed_config: { '@type': `${filters}.listener.tls_inspector.v3.TlsInspector` } };
  return {
    admin: { address: address(admin) },
    static_resources: {
      listeners: [
        {
          name: 'tls',
          address: address(port),
          listener_filters: [inspector],
          filter_chains: [
            chain({ server_names: ['one.example'] }, one),
            chain({ server_names: ['*.two.example'] }, two),
          ],
        },
      ],
    },
  };
}

/** Version, protocol and certificate that were chosen, or that the handshake failed. */
function shake(port: number, options: tls.ConnectionOptions): Promise<string> {
  return new Promise((done) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
    socket.setTimeout(5_000, () => socket.destroy(new Error('timeout')));
    socket.on('error', () => done('failed'));
    socket.on('secureConnect', () => {
      const { CN } = socket.getPeerCertificate().subject;
      done(`${socket.getProtocol()} ${socket.alpnProtocol || 'none'} ${String(CN)}`);
      socket.destroy();
    });
  });
}

/** The ClientHello of this process's own TLS, as bytes. */
function hello(options: tls.ConnectionOptions): Promise<Buffer> {
  return new Promise((done, fail) => {
    const server = net.createServer((socket) => {
      socket.once('data', (bytes: Buffer) => {
        socket.destroy();
        server.close();
        done(bytes);
      });
    });
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      tls.connect({ port, host: '127.0.0.1', ...options }).on('error', () => undefined);
    });
    server.on('error', fail);
  });
}

/** `server`: a handshake message came back. `refused`: an alert, or the end. `waits`: more is wanted. */
function answer(port: number, pieces: readonly Buffer[]): Promise<string> {
  return new Promise((done) => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const end = (what: string): void => {
      clearTimeout(timer);
      socket.destroy();
      done(what);
    };
    const timer = setTimeout(() => end('waits'), 1_500);
    socket.on('data', (bytes: Buffer) => end(bytes[0] === 22 ? 'server' : 'refused'));
    socket.on('end', () => end('refused'));
    socket.on('error', () => end('refused'));
    socket.on('connect', () => {
      const [first = Buffer.alloc(0), ...rest] = pieces;
      socket.write(first, () => {
        for (const piece of rest) setImmediate(() => socket.write(piece));
      });
    });
  });
}

function sequence(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 0x80000000;
  };
}

/** The handshake message in records of at most this many bytes. */
function refragmented(bytes: Buffer, size: number): Buffer {
  const message = bytes.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(records);
}

interface Damaged {
  readonly name: string;
  readonly pieces: readonly Buffer[];
}

function damage(bytes: Buffer): readonly Damaged[] {
  const random = sequence(7);
  const cases: Damaged[] = [{ name: 'whole', pieces: [bytes] }];
  for (const size of [1, 7, 64, 200]) cases.push({ name: `records of ${size}`, pieces: [refragmented(bytes, size)] });
  for (const at of [1, 5, 6, 43, 100, bytes.length - 1]) {
    cases.push({ name: `two packets at ${at}`, pieces: [bytes.subarray(0, at), bytes.subarray(at)] });
  }
  for (let i = 0; i < damaged; i++) {
    const changed = Buffer.from(bytes);
    const at = Math.floor(random() * bytes.length);
    changed[at] = Math.floor(random() * 256);
    cases.push({ name: `byte ${at} of ${i}`, pieces: [changed] });
  }
  for (let i = 0; i < damaged / 5; i++) {
    const at = 5 + Math.floor(random() * (bytes.length - 5));
    const cut = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + Math.floor(random() * 4))]);
    cut.writeUInt16BE(cut.length - 5, 3);
    cut.writeUIntBE(cut.length - 9, 6, 3);
    cases.push({ name: `bytes missing at ${at}`, pieces: [cut] });
  }
  return cases;
}

interface Asked {
  readonly damaged: readonly Damaged[];
  readonly dir: string;
  readonly leaves: readonly [Leaf, Leaf];
}

async function answersOf(
  name: ProxyName,
  { damaged: cases, dir, leaves }: Asked,
): Promise<ReadonlyMap<string, string>> {
  const [admin = 0, port = 0] = await freePorts(2);
  const child = await startConfigured(name, configuration(admin, port, ...leaves), path.join(dir, `tls-${name}`), port);
  try {
    const answers = new Map<string, string>();
    for (const { name: of, options } of handshakes) answers.set(`tls/${of}`, await shake(port, options));
    for (let i = 0; i < cases.length; i += 16) {
      const some = cases.slice(i, i + 16);
      const found = await Promise.all(some.map(({ pieces }) => answer(port, pieces)));
      for (const [j, what] of found.entries()) answers.set(`tls/${some[j]?.name}`, what);
    }
    return answers;
  } finally {
    await endProxy(child);
  }
}

export async function compareTls(dir: string, judge: Judge): Promise<void> {
  const authority = new Authority();
  try {
    const leaves = [authority.leaf('one.example'), authority.leaf('a.two.example')] as const;
    // One key share, of a kind in which every value is one: which of several a server looks at is its own affair.
    const ecdhCurve = 'X25519';
    const bytes = await hello({ servername: 'one.example', ALPNProtocols: ['h2', 'http/1.1'], ecdhCurve });
    const asked: Asked = { damaged: damage(bytes), dir, leaves };
    const [ours, theirs] = await Promise.all([answersOf('agent', asked), answersOf('envoy', asked)]);
    for (const [key, mine] of ours) judge.compare(key, 'connection', mine, theirs.get(key) ?? '');
  } finally {
    authority.remove();
  }
}
