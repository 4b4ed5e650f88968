/**
 * HTTP/2 between agents, from a peer of the mesh that has a proper identity and breaks the protocol: a message that is
 * wrong ends its stream, a frame that is wrong its connection, either is counted, and nobody else notices.
 */
import http from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { Agent } from './agent.ts';
import { type App, startApp } from './app.ts';
import { type Material, Signer } from './certificates.ts';
import { flags, frame, headers, indexed, literal, number, request, settings, types } from './h2-frames.ts';
import { RawPeer, rawServer } from './h2-peer.ts';

const root = Signer.root();
test.after.always(() => root.remove());
const idOf = (account: string): string => `spiffe://cluster.local/ns/shop/sa/${account}`;
const serverIdentity = root.issue({ san: `URI:${idOf('server')}` });
const web = root.issue({ san: `URI:${idOf('web')}` });
const evil = root.issue({ san: `URI:${idOf('evil')}` });

const protocolError = 1;
const flowControlError = 3;
const frameSizeError = 6;
const compressionError = 9;

const pem = (text: string): object => ({ inline_string: text });
const named = (account: string): object => ({ san_type: 'URI', matcher: { exact: idOf(account) } });
const common = (own: Material, peers: readonly string[]): object => ({
  alpn_protocols: ['h2'],
  tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
  tls_certificates: [{ certificate_chain: pem(own.chainPem), private_key: pem(own.keyPem) }],
  validation_context: { trusted_ca: pem(root.pem), match_typed_subject_alt_names: peers.map(named) },
});
const tlsContext = (kind: string, own: Material, ...peers: readonly string[]): Record<string, unknown> => ({
  '@type': `type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.${kind}`,
  ...(kind === 'DownstreamTlsContext' ? { require_client_certificate: true } : {}),
  common_tls_context: common(own, peers),
});
/** As control sends it. */
const http2 = { override_stream_error_on_invalid_http_message: true };
const optionsType = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const toServer = {
  transport_socket: { name: 'tls', typed_config: tlsContext('UpstreamTlsContext', web, 'server') },
  typed_extension_protocol_options: {
    [optionsType]: {
      '@type': `type.googleapis.com/${optionsType}`,
      explicit_http_config: { http2_protocol_options: http2 },
    },
  },
};

/** The agent in front of the application: for peers of the mesh only. */
async function serverAgent(t: ExecutionContext, app: App): Promise<Agent> {
  const tls = tlsContext('DownstreamTlsContext', serverIdentity, 'web', 'evil');
  const agent = await Agent.start({ appPort: app.port, tls, manager: { http2_protocol_options: http2 } });
  t.teardown(() => agent.stop());
  return agent;
}

async function appOf(t: ExecutionContext): Promise<App> {
  const app = await startApp();
  t.teardown(() => app.close());
  return app;
}

/** The sum of counters by the ends of their names. */
async function count(agent: Agent, ...ends: readonly string[]): Promise<number> {
  const { body } = await agent.admin('/stats');
  const lines = body.split('\n').map((line) => line.split(': '));
  return lines.reduce((n, [name = '', value]) => (ends.some((e) => name.endsWith(e)) ? n + Number(value) : n), 0);
}

const get = (port: number, path: string): Promise<number> =>
  new Promise((resolve) => {
    const asked = http.get({ port, host: '127.0.0.1', path, agent: false }, (response) => {
      response.resume().on('close', () => resolve(response.statusCode ?? 0));
    });
    asked.on('error', () => resolve(0));
  });

/** A request through the two agents that the application answers when it is told to. */
function held(app: App, port: number): { readonly arrived: Promise<() => void>; readonly status: Promise<number> } {
  const arrived = new Promise<() => void>((resolve) => {
    app.answer = (seen, response) => {
      if (seen.url === '/held') resolve(() => response.end('held'));
      else response.end('ok');
    };
  });
  return { arrived, status: get(port, '/held') };
}

interface Wrong {
  readonly name: string;
  /** Stream 3 where it is a message, else the connection. */
  readonly bytes: Buffer;
  readonly code: number;
  readonly counted: string;
}

const block = request('GET', '/x');
const message = (name: string, head: Buffer, more: Buffer = Buffer.alloc(0)): Wrong => ({
  name,
  bytes: Buffer.concat([headers(3, head, more.length > 0 ? flags.endHeaders : undefined), more]),
  code: protocolError,
  // As in Envoy a body that is not as long as it said is counted by its reset alone.
  counted: more.length > 0 ? 'http2.tx_reset' : 'http2.rx_messaging_error',
});
const post = request('POST', '/x', literal('content-length', '5'));
const wrongMessages: readonly Wrong[] = [
  message('a name in upper case', request('GET', '/x', literal('X-A', 'b'))),
  message('connection', request('GET', '/x', literal('connection', 'close'))),
  message('transfer-encoding', request('GET', '/x', literal('transfer-encoding', 'chunked'))),
  message('te other than trailers', request('GET', '/x', literal('te', 'gzip'))),
  message('a line end in a value', request('GET', '/x', literal('x-a', 'b\r\nx-admin: 1'))),
  message('no path', Buffer.concat([indexed(2), indexed(6), literal(':authority', 'a.example')])),
  message('two paths', request('GET', '/x', literal(':path', '/admin'))),
  message('a pseudo-header behind a field', request('GET', '/x', literal('x', 'y'), literal(':scheme', 'http'))),
  message('less than content-length', post, frame(types.data, flags.endStream, 3, Buffer.from('abc'))),
  message('more than content-length', post, frame(types.data, flags.endStream, 3, Buffer.from('abcdefgh'))),
];
const wrongFrames: readonly Wrong[] = (
  [
    ['DATA on a stream that never was', frame(types.data, 0, 9, Buffer.from('x')), protocolError],
    ['a block that is no HPACK', headers(3, Buffer.concat([block, indexed(200)])), compressionError],
    ['a block inside another one', Buffer.concat([headers(3, block, 0), headers(5, block)]), protocolError],
    ['a frame above the largest size', frame(types.data, 0, 1, Buffer.alloc(20_000)), frameSizeError],
    ['SETTINGS of five bytes', frame(types.settings, 0, 0, Buffer.alloc(5)), frameSizeError],
    ['a window that overflows', frame(types.windowUpdate, 0, 0, number(0x7fffffff)), flowControlError],
    ['a largest frame below 16,384', settings([5, 100]), protocolError],
    ['padding longer than its frame', frame(types.data, flags.padded, 1, Buffer.from([9, 0])), protocolError],
  ] as const
).map(([name, bytes, code]) => ({ name, bytes, code, counted: 'http2.goaway_sent' }));

/** A server's agent in the middle of a good peer's request, which goes on with release(). */
async function servedBeside(t: ExecutionContext) {
  const app = await appOf(t);
  const server = await serverAgent(t, app);
  const client = await Agent.start({ appPort: server.port, cluster: toServer });
  t.teardown(() => client.stop());
  const { arrived, status } = held(app, client.port);
  return { app, server, client, release: await arrived, status };
}

test('a wrong message of a peer ends its stream; the next stream and the other peers go on', async (t) => {
  const { app, server, client, release, status } = await servedBeside(t);
  for (const { name, bytes, code, counted } of wrongMessages) {
    const before = await count(server, counted);
    const peer = await RawPeer.connect(server.port, evil);
    peer.write(headers(1, request('POST', '/x'), flags.endHeaders), bytes);
    await peer.until(`${name}: RST_STREAM`, () => peer.resetOf(3) !== undefined || peer.isClosed);
    t.is(peer.resetOf(3), code, name);
    peer.write(frame(types.data, flags.endStream, 1, Buffer.from('the rest')), headers(5, block));
    await peer.until(`${name}: the others end`, () => (peer.hasEnded(1) && peer.hasEnded(5)) || peer.isClosed);
    t.is(peer.goaway, undefined, `${name}: ${peer.told}`);
    t.is(await count(server, counted), before + 1, `${name}: counted`);
    peer.close();
  }
  t.false(app.requests.some((r) => r.headers.some(([name]) => /^(x-a|x-admin|te)$/.test(name))));
  release();
  t.is(await status, 200);
  t.is(await count(client, 'cluster.app.upstream_cx_total'), 1, 'the good peer kept its connection');
});

test('a wrong frame of a peer ends its connection with the reason, and no other one', async (t) => {
  const { server, client, release, status } = await servedBeside(t);
  const beside = await RawPeer.connect(server.port, evil);
  t.teardown(() => beside.close());
  for (const { name, bytes, code, counted } of wrongFrames) {
    const before = await count(server, counted);
    const peer = await RawPeer.connect(server.port, evil);
    peer.write(headers(1, request('POST', '/x'), flags.endHeaders), bytes);
    await peer.until(`${name}: the end`, () => peer.isClosed);
    t.is(peer.goaway, code, `${name}: ${peer.told}`);
    t.is(await count(server, counted), before + 1, `${name}: counted`);
  }
  beside.write(headers(1, block));
  await beside.until('another connection of the same peer', () => beside.hasEnded(1) || beside.isClosed);
  t.true(beside.hasEnded(1), beside.told);
  release();
  t.is(await status, 200);
  t.is(await count(client, 'cluster.app.upstream_cx_total'), 1, 'the good peer kept its connection');
  t.true(server.alive && client.alive);
});

const ok = indexed(8);
const right = (stream: number): Buffer => headers(stream, ok);
/** Answers whose stream is wrong. */
const wrongAnswers: Readonly<Record<string, Buffer>> = {
  'a name in upper case': Buffer.concat([ok, literal('X-A', 'b')]),
  'a status of letters': literal(':status', 'ok'),
  'no status': literal('x-a', 'b'),
  'a line end in a value': Buffer.concat([ok, literal('x-a', 'b\r\nset-cookie: a=b')]),
  connection: Buffer.concat([ok, literal('connection', 'close')]),
};
/** Answers that are the end of their connection. */
const brokenAnswers: Readonly<Record<string, readonly [bytes: Buffer, code: number]>> = {
  'DATA on a stream that never was': [frame(types.data, 0, 999, Buffer.from('x')), protocolError],
  'a push promise': [frame(5, flags.endHeaders, 1, Buffer.concat([number(2), block])), protocolError],
  'a block that is no HPACK': [headers(1, indexed(200)), compressionError],
  'a PING of seven bytes': [frame(types.ping, 0, 0, Buffer.alloc(7)), frameSizeError],
};

test('a server of the mesh that answers wrong is a 5xx of its own requests, counted at its cluster', async (t) => {
  const app = await appOf(t);
  const good = await serverAgent(t, app);
  let answer: (stream: number) => Buffer = right;
  const bad = await rawServer(serverIdentity, root.pem, (peer) => {
    peer.onFrame = (f) => {
      if (f.type === types.headers) peer.write(answer(f.stream));
    };
  });
  t.teardown(() => bad.close());
  const ask = (how: (stream: number) => Buffer): Promise<number> => {
    answer = how;
    return get(client.port, '/x');
  };
  const address = { socket_address: { address: '127.0.0.1', port_value: good.port } };
  const endpoints = [{ lb_endpoints: [{ endpoint: { address } }] }];
  const other = { name: 'other', ...toServer, load_assignment: { cluster_name: 'other', endpoints } };
  const client = await Agent.start({
    ...{ appPort: bad.port, cluster: toServer, clusters: [other] },
    routes: [
      { match: { path: '/held' }, route: { cluster: 'other' } },
      { match: { prefix: '/' }, route: { cluster: 'app' } },
    ],
  });
  t.teardown(() => client.stop());
  const { arrived, status } = held(app, client.port);
  const release = await arrived;
  t.is(await ask(right), 200);
  for (const [name, head] of Object.entries(wrongAnswers)) {
    const before = await count(client, 'cluster.app.http2.rx_messaging_error');
    t.is(await ask((stream) => headers(stream, head)), 502, name);
    t.is(await count(client, 'cluster.app.http2.rx_messaging_error'), before + 1, name);
  }
  t.is(await ask(right), 200);
  t.is(bad.peers.length, 1, 'a wrong message ends its stream only');
  for (const [name, [bytes, code]] of Object.entries(brokenAnswers)) {
    const before = await count(client, 'cluster.app.upstream_cx_protocol_error');
    t.is(await ask(() => bytes), 502, name);
    const peer = bad.peers.at(-1);
    await peer?.until(`${name}: the end`, () => peer.isClosed);
    t.is(peer?.goaway, code, `${name}: ${peer?.told}`);
    t.is(await count(client, 'cluster.app.upstream_cx_protocol_error'), before + 1, name);
    t.is(await ask(right), 200, 'on a new connection');
  }
  release();
  t.is(await status, 200);
  t.is(await count(client, 'cluster.other.upstream_cx_total'), 1, 'the other cluster kept its connection');
});
