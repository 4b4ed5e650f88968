/** The TLS port as bytes: the wrong protocol, downgrades, lies in the ClientHello, resumption, silence. */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import test from 'ava';
import { startNaiveProxy } from '../fakes/naive-proxy.ts';
import { Agent } from './agent.ts';
import { startApp } from './app.ts';
import { Signer } from './certificates.ts';
import { send } from './wire.ts';

const root = Signer.root();
test.after.always(() => root.remove());
const server = root.issue({ san: 'URI:spiffe://cluster.local/ns/shop/sa/server,DNS:a' });
const client = root.issue({ san: 'URI:spiffe://cluster.local/ns/shop/sa/web' });
const pem = (text: string): object => ({ inline_string: text });
const strict = (more: object = {}): Record<string, unknown> => ({
  '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
  require_client_certificate: true,
  common_tls_context: {
    tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
    tls_certificates: [{ certificate_chain: pem(server.chainPem), private_key: pem(server.keyPem) }],
    validation_context: { trusted_ca: pem(root.pem) },
    alpn_protocols: ['chainmail'],
    ...more,
  },
});
const own = { cert: client.chainPem, key: client.keyPem, rejectUnauthorized: false };
const request = 'GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const inspector = {
  name: 'tls_inspector',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector' },
};

/** As the control plane sends STRICT: one chain for TLS, none for plaintext. */
const strictListener = { listener_filters: [inspector], listener_filters_timeout: '1s' };
const strictChain = { filter_chain_match: { transport_protocol: 'tls' }, transport_socket_connect_timeout: '1s' };

/** Bytes that are no ClientHello, or none that anybody should take up. */
const wrong: readonly { readonly name: string; readonly bytes: Buffer }[] = [
  { name: 'HTTP', bytes: Buffer.from(request) },
  { name: 'HTTP/2 preface', bytes: Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n') },
  { name: 'SSLv2 hello', bytes: Buffer.from('802e0100020015000000100100800700c0', 'hex') },
  { name: 'SSLv3 record', bytes: Buffer.from('16030000050100000100', 'hex') },
  { name: 'a record of 65535 bytes', bytes: Buffer.concat([Buffer.from('160301ffff', 'hex'), Buffer.alloc(65_535)]) },
  { name: 'a handshake of 16 MiB announced', bytes: Buffer.from('160301000401ffffff', 'hex') },
  { name: 'application data first', bytes: Buffer.concat([Buffer.from('1703030100', 'hex'), Buffer.alloc(256, 'x')]) },
  { name: 'an alert first', bytes: Buffer.from('15030300020100', 'hex') },
  { name: 'empty records', bytes: Buffer.from('1603010000'.repeat(200), 'hex') },
  { name: 'a hello cut short', bytes: Buffer.from('16030100050100000100', 'hex') },
  { name: 'noise', bytes: Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 131) & 255)) },
];

test('plaintext and noise on a STRICT port are closed before a byte reaches the application', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const setup = { appPort: app.port, tls: strict(), listener: strictListener };
  const agent = await Agent.start({ ...setup, chain: strictChain });
  t.teardown(() => agent.stop());
  // A chain changes the listener as a whole: the setup's own filters stay.
  for (const { name, bytes } of wrong) {
    for (const pieces of [[bytes], [bytes.subarray(0, 3), bytes.subarray(3)]]) {
      const { statuses, closed } = await send(agent.port, pieces, { timeoutMs: 3000, until: () => false });
      t.true(closed, name);
      t.deepEqual(statuses, [], name);
    }
  }
  t.is(app.raw(), '');
  t.is((await send(agent.port, request, { tls: own })).statuses[0], 200, 'the port still works');
});

test('TLS on a plaintext port is answered as the broken HTTP it is', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port });
  t.teardown(() => agent.stop());
  const { statuses, error } = await send(agent.port, request, { tls: own });
  t.deepEqual(statuses, []);
  t.not(error, '');
  t.is(app.raw(), '');
});

test('no downgrade: TLS 1.2 and below, and weak suites, are refused', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const agent = await Agent.start({ appPort: app.port, tls: strict() });
  t.teardown(() => agent.stop());
  for (const options of [
    { maxVersion: 'TLSv1.2' },
    { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' },
  ] as const) {
    const { statuses, error } = await send(agent.port, request, { tls: { ...own, ...options } });
    t.deepEqual(statuses, [], error);
  }
  t.is(app.raw(), '');
});

/** ALPN and SNI are hints of a stranger: whatever they say, the port's own rules apply. */
test('a lie about ALPN or SNI gains nothing', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const rbac = {
    action: 'DENY',
    policies: { p: { permissions: [{ url_path: { path: { prefix: '/x' } } }], principals: [{ any: true }] } },
  } as const;
  const agent = await Agent.start({
    appPort: app.port,
    rbac,
    tls: strict(),
    listener: { listener_filters: [inspector] },
  });
  t.teardown(() => agent.stop());
  const lies: readonly tls.ConnectionOptions[] = [
    { ALPNProtocols: ['h2'] },
    { ALPNProtocols: ['tcp', 'istio', 'raw', 'http/1.0'] },
    { ALPNProtocols: Array.from({ length: 200 }, (_, i) => `p${i}`) },
    { servername: 'outbound_.80_._.admin.kube-system.svc.cluster.local' },
    { servername: `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(60)}` },
    { servername: '"},{"admin":"' },
    { servername: 'A.' },
  ];
  let n = 0;
  for (const lie of lies) {
    const { statuses } = await send(agent.port, request, { tls: { ...own, ...lie } });
    t.true(statuses[0] === 403 || statuses.length === 0, JSON.stringify(lie));
    n += statuses.length;
  }
  t.is(app.raw(), '');
  t.true(n > 0);
  for (const line of await agent.logged(n)) t.false('admin' in line);
});

const sessionOf = (port: number, session?: Buffer): Promise<{ readonly tickets: Buffer[]; readonly reused: boolean }> =>
  new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', ...own, ...(session === undefined ? {} : { session }) });
    const tickets: Buffer[] = [];
    socket.on('session', (ticket: Buffer) => tickets.push(ticket));
    socket.on('error', reject);
    socket.on('data', () => socket.end());
    let reused = false;
    socket.once('secureConnect', () => {
      reused = socket.isSessionReused();
      socket.write(request);
    });
    socket.on('close', () => resolve({ tickets, reused }));
  });

/** CVE-2022-21654, CVE-2025-23419: a resumed session would skip the check of a certificate that has expired since. */
test('nothing can be resumed', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const naive = await startNaiveProxy({
    upstream: app.port,
    tls: { cert: server.chainPem, key: server.keyPem, ca: root.pem, requestCert: true, allow: 'sa/web' },
  });
  t.teardown(() => naive.close());
  const [ticket] = (await sessionOf(naive.port)).tickets;
  t.truthy(ticket, 'Node gives tickets out');
  t.true((await sessionOf(naive.port, ticket)).reused, 'and takes them');
  const agent = await Agent.start({ appPort: app.port, tls: strict() });
  t.teardown(() => agent.stop());
  t.deepEqual((await sessionOf(agent.port)).tickets, []);
  t.false((await sessionOf(agent.port, ticket)).reused);
});

test('a handshake byte by byte is a handshake; one that stalls is ended', async (t) => {
  const app = await startApp();
  t.teardown(() => app.close());
  const chain = { transport_socket_connect_timeout: '1s' };
  const agent = await Agent.start({
    appPort: app.port,
    tls: strict(),
    listener: { listener_filters: [inspector], listener_filters_timeout: '1s' },
    chain,
  });
  t.teardown(() => agent.stop());
  const relay = net.createServer((left) => {
    const right = net.connect(agent.port, '127.0.0.1').setNoDelay(true);
    left.on('data', (chunk: Buffer) => {
      for (const byte of chunk) right.write(Buffer.from([byte]));
    });
    right.pipe(left);
    left.on('error', () => right.destroy());
    right.on('error', () => left.destroy());
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  t.teardown(() => relay.close());
  const { port } = relay.address() as net.AddressInfo;
  t.is((await send(port, request, { tls: own })).statuses[0], 200);
  const hello = Buffer.from('1603010200010001fc0303', 'hex');
  for (const bytes of [[], [hello.subarray(0, 1)], [hello]]) {
    const { closed, tookMs } = await send(agent.port, bytes, { timeoutMs: 4000, until: () => false });
    t.true(closed, `after ${bytes.length}`);
    t.true(tookMs < 3500, `${tookMs} ms`);
  }
});
