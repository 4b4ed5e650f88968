/**
 * The shapes of Envoy's well-known examples - front proxy, TLS, SNI, WebSocket, double proxy, TCP - written for loopback
 * and run by the agent between node's own clients and servers.
 */
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { freePorts } from '@chainmail/runtime/testing';
import test, { type ExecutionContext } from 'ava';
import { AgentProcess, address, extension, type Json, type JsonObject } from './examples/agent.ts';
import { Authority, type Leaf } from './examples/certificates.ts';

const authority = new Authority();
test.after.always(() => authority.remove());

const type = {
  hcm: extension('filters.network.http_connection_manager.v3.HttpConnectionManager'),
  router: extension('filters.http.router.v3.Router'),
  tcp: extension('filters.network.tcp_proxy.v3.TcpProxy'),
  stdout: extension('access_loggers.stream.v3.StdoutAccessLog'),
  inspector: extension('filters.listener.tls_inspector.v3.TlsInspector'),
  downstream: extension('transport_sockets.tls.v3.DownstreamTlsContext'),
  upstream: extension('transport_sockets.tls.v3.UpstreamTlsContext'),
};

const log: Json = [{ name: 'envoy.access_loggers.stdout', typed_config: { '@type': type.stdout } }];

function manager(routes: Json, more: JsonObject = {}): JsonObject {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': type.hcm,
      codec_type: 'AUTO',
      stat_prefix: 'ingress_http',
      access_log: log,
      route_config: { name: 'local_route', virtual_hosts: [{ name: 'backend', domains: ['*'], routes }] },
      http_filters: [{ name: 'envoy.filters.http.router', typed_config: { '@type': type.router } }],
      ...more,
    },
  };
}

const tcpProxy = (cluster: string): JsonObject => ({
  name: 'envoy.filters.network.tcp_proxy',
  typed_config: { '@type': type.tcp, stat_prefix: 'destination', cluster },
});

const route = (prefix: string, cluster: string): JsonObject => ({ match: { prefix }, route: { cluster } });

function cluster(name: string, port: number, more: JsonObject = {}, host = '127.0.0.1'): JsonObject {
  const endpoints = [{ lb_endpoints: [{ endpoint: { address: address(port, host) } }] }];
  return { name, type: 'STATIC', load_assignment: { cluster_name: name, endpoints }, ...more };
}

function downstreamTls(leaf: Leaf, more: JsonObject = {}, context: JsonObject = {}): JsonObject {
  const certificate = { certificate_chain: { filename: leaf.certificate }, private_key: { filename: leaf.key } };
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': type.downstream,
      common_tls_context: { tls_certificates: [certificate], ...more },
      ...context,
    },
  };
}

/** TLS to whoever answers, as in the TLS example. */
const anyTls: JsonObject = {
  transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: { '@type': type.upstream } },
};

const upstreamTls = (sni: string, common: JsonObject = {}): JsonObject => ({
  transport_socket: {
    name: 'envoy.transport_sockets.tls',
    typed_config: { '@type': type.upstream, sni, common_tls_context: common },
  },
});

interface Listener {
  readonly address: { readonly socket_address: { readonly port_value: number } };
}

const portsOf = (listeners: readonly Listener[]): readonly number[] =>
  listeners.map((l) => l.address.socket_address.port_value);

/** Of a listener by a name that none has, as the examples have it. */
const limits: JsonObject = {
  envoy: { resource_limits: { listener: { example_listener_name: { connection_limit: 10_000 } } } },
};

async function proxy(
  t: ExecutionContext,
  listeners: readonly (JsonObject & Listener)[],
  clusters: Json,
  more: JsonObject = {},
): Promise<AgentProcess> {
  const started = new AgentProcess({ static_resources: { listeners, clusters }, ...more });
  t.teardown(() => started.stop());
  return started.started(portsOf(listeners));
}

async function listening(t: ExecutionContext, server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
  });
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as net.AddressInfo).port;
}

/** An HTTP server that says who it is and what it was asked. */
const service = (t: ExecutionContext, name: string): Promise<number> =>
  listening(
    t,
    http.createServer((req, res) => res.end(`${name} ${req.url} ${req.headers['x-forwarded-proto']}`)),
  );

const secureService = (t: ExecutionContext, name: string, leaf: Leaf, options: tls.TlsOptions = {}): Promise<number> =>
  listening(
    t,
    https.createServer(
      { cert: fs.readFileSync(leaf.certificate), key: fs.readFileSync(leaf.key), ...options },
      (_, res) => res.end(name),
    ),
  );

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: http.IncomingHttpHeaders;
}

function get(port: number, path: string, secure?: https.RequestOptions): Promise<Answer> {
  const options = { host: '127.0.0.1', port, path, agent: false };
  return new Promise((resolve, reject) => {
    const take = (res: http.IncomingMessage): void => {
      let body = '';
      res.on('data', (chunk) => {
        body += String(chunk);
      });
      res.on('end', () => resolve({ status: res.statusCode ?? 0, body, headers: res.headers }));
    };
    const ca = fs.readFileSync(authority.file);
    const req = secure === undefined ? http.get(options, take) : https.get({ ca, ...options, ...secure }, take);
    req.on('error', reject);
  });
}

test('front proxy: two services by prefix through names, plain and with TLS', async (t) => {
  const [plain = 0, secure = 0] = await freePorts(2);
  const [one, two] = [await service(t, 'one'), await service(t, 'two')];
  const routes = [route('/service/1', 'service1'), route('/service/2', 'service2')];
  const dns = { type: 'STRICT_DNS', lb_policy: 'ROUND_ROBIN' };
  const front = await proxy(
    t,
    [
      { address: address(plain), filter_chains: [{ filters: [manager(routes)] }] },
      {
        address: address(secure),
        filter_chains: [
          { filters: [manager(routes)], transport_socket: downstreamTls(authority.leaf('front.example')) },
        ],
      },
    ],
    [cluster('service1', one, dns, 'localhost'), cluster('service2', two, dns, 'localhost')],
    { layered_runtime: { layers: [{ name: 'static_layer_0', static_layer: limits }] } },
  );
  t.is((await get(plain, '/service/1')).body, 'one /service/1 http');
  t.is((await get(plain, '/service/2?x')).body, 'two /service/2?x http');
  const missing = await get(plain, '/service/3');
  t.deepEqual([missing.status, missing.body, missing.headers.server], [404, '', 'envoy']);
  t.is((await get(secure, '/service/1', { servername: 'front.example' })).body, 'one /service/1 https');
  await front.says('"GET /service/2?x HTTP/1.1" 200 -');
  t.pass();
});

test('TLS: ended here, begun again to the upstream, or passed through', async (t) => {
  const [ended = 0, again = 0, through = 0, begun = 0] = await freePorts(4);
  const leaf = authority.leaf('backend.example');
  const plain = await service(t, 'plain');
  const secure = await secureService(t, 'secure', leaf);
  const validation = { trusted_ca: { filename: authority.file } };
  await proxy(
    t,
    [
      {
        address: address(ended),
        filter_chains: [{ filters: [manager([route('/', 'plain')])], transport_socket: downstreamTls(leaf) }],
      },
      {
        address: address(again),
        filter_chains: [{ filters: [manager([route('/', 'secure')])], transport_socket: downstreamTls(leaf) }],
      },
      { address: address(through), filter_chains: [{ filters: [tcpProxy('secure-bytes')] }] },
      { address: address(begun), filter_chains: [{ filters: [manager([route('/', 'unchecked')])] }] },
    ],
    [
      cluster('plain', plain),
      cluster('secure', secure, upstreamTls('backend.example', { validation_context: validation })),
      cluster('secure-bytes', secure),
      cluster('unchecked', secure, anyTls),
    ],
  );
  const options = { servername: 'backend.example' };
  t.is((await get(ended, '/', options)).body, 'plain / https');
  t.is((await get(again, '/', options)).body, 'secure');
  t.is((await get(through, '/', options)).body, 'secure');
  t.is((await get(begun, '/')).body, 'secure');
});

test('SNI: two names with certificates of their own, a third passed through, no other', async (t) => {
  const [port = 0] = await freePorts(1);
  const names = ['domain1.example.com', 'domain2.example.com', 'domain3.example.com'] as const;
  const [one, two, three] = names.map((name) => authority.leaf(name)) as [Leaf, Leaf, Leaf];
  const answer = (text: string): Json => [
    { match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: text } } },
  ];
  const chain = (name: string, filter: JsonObject, leaf?: Leaf): JsonObject => ({
    filter_chain_match: { server_names: [name] },
    filters: [filter],
    ...(leaf === undefined ? {} : { transport_socket: downstreamTls(leaf) }),
  });
  const backend = await secureService(t, 'three itself', three);
  await proxy(
    t,
    [
      {
        address: address(port),
        listener_filters: [{ name: 'envoy.filters.listener.tls_inspector', typed_config: { '@type': type.inspector } }],
        filter_chains: [
          chain(names[0], manager(answer('one')), one),
          chain(names[1], manager(answer('two')), two),
          chain(names[2], tcpProxy('three')),
        ],
      },
    ],
    [cluster('three', backend)],
  );
  const bodies = await Promise.all(names.map(async (servername) => (await get(port, '/', { servername })).body));
  t.deepEqual(bodies, ['one', 'two', 'three itself']);
  await t.throwsAsync(get(port, '/', { servername: 'other.example.com' }));
});

test('WebSocket: upgraded where it is configured, refused where it is not', async (t) => {
  const [upgrading = 0, plain = 0] = await freePorts(2);
  const server = http.createServer();
  server.on('upgrade', (_req, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n');
    socket.pipe(socket);
  });
  const backend = await listening(t, server);
  const routes = [route('/', 'ws')];
  await proxy(
    t,
    [
      {
        address: address(upgrading),
        filter_chains: [{ filters: [manager(routes, { upgrade_configs: [{ upgrade_type: 'websocket' }] })] }],
      },
      { address: address(plain), filter_chains: [{ filters: [manager(routes)] }] },
    ],
    [cluster('ws', backend)],
  );
  const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' };
  const ask = (port: number): http.ClientRequest => http.get({ host: '127.0.0.1', port, agent: false, headers });
  const [response, socket] = (await once(ask(upgrading), 'upgrade')) as [http.IncomingMessage, net.Socket];
  t.is(response.statusCode, 101);
  socket.write('echo');
  t.is(String((await once(socket, 'data'))[0]), 'echo');
  socket.destroy();
  const [refused] = (await once(ask(plain), 'response')) as [http.IncomingMessage];
  t.is(refused.statusCode, 403);
  refused.resume();
});

test('WebSocket: on one route, with TLS at both ends, beside an answer of its own', async (t) => {
  const [port = 0] = await freePorts(1);
  const leaf = authority.leaf('ws.example');
  const server = https.createServer({ cert: fs.readFileSync(leaf.certificate), key: fs.readFileSync(leaf.key) });
  server.on('upgrade', (_req, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n');
    socket.pipe(socket);
  });
  const upgraded = {
    match: { prefix: '/ws' },
    route: { cluster: 'wss', upgrade_configs: { upgrade_type: 'websocket' } },
  };
  const direct = {
    match: { prefix: '/' },
    direct_response: { status: 200, body: { inline_string: 'no WebSocket\n' } },
  };
  await proxy(
    t,
    [
      {
        address: address(port),
        filter_chains: [{ filters: [manager([upgraded, direct])], transport_socket: downstreamTls(leaf) }],
      },
    ],
    [cluster('wss', await listening(t, server), anyTls)],
  );
  t.is((await get(port, '/', { servername: 'ws.example' })).body, 'no WebSocket\n');
  const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' };
  const ca = fs.readFileSync(authority.file);
  const options = { host: '127.0.0.1', port, path: '/ws', agent: false, headers, ca, servername: 'ws.example' };
  const [, socket] = (await once(https.get(options), 'upgrade')) as [http.IncomingMessage, net.Socket];
  socket.write('echo');
  t.is(String((await once(socket, 'data'))[0]), 'echo');
  socket.destroy();
});

test('double proxy: TCP of a database over mutual TLS between two proxies, and for nobody else', async (t) => {
  const [front = 0, back = 0] = await freePorts(2);
  const database = await listening(
    t,
    net.createServer((socket) => {
      socket.write('ready\n');
      socket.on('data', (chunk) => socket.write(`got ${chunk}`));
    }),
  );
  const [client, server] = [authority.leaf('proxy-front.example'), authority.leaf('proxy-back.example')];
  // The notation of the examples: names without their type, one certificate without a list.
  const peer = (dnsName: string): JsonObject => ({
    validation_context: { trusted_ca: { filename: authority.file }, match_subject_alt_names: [{ exact: dnsName }] },
  });
  await proxy(
    t,
    [
      {
        address: address(back),
        listener_filters: [{ name: 'tls_inspector', typed_config: { '@type': type.inspector } }],
        filter_chains: [
          {
            filters: [tcpProxy('database')],
            transport_socket: downstreamTls(server, peer('proxy-front.example'), { require_client_certificate: true }),
          },
        ],
      },
    ],
    [
      cluster(
        'database',
        database,
        { connect_timeout: '1s', type: 'strict_dns', lb_policy: 'round_robin' },
        'localhost',
      ),
    ],
  );
  const certificate = { certificate_chain: { filename: client.certificate }, private_key: { filename: client.key } };
  await proxy(
    t,
    [{ address: address(front), filter_chains: [{ filters: [tcpProxy('back')] }] }],
    [
      cluster(
        'back',
        back,
        upstreamTls('proxy-back.example', { tls_certificates: certificate, ...peer('proxy-back.example') }),
      ),
    ],
  );
  const socket = net.connect(front, '127.0.0.1');
  t.is(String((await once(socket, 'data'))[0]), 'ready\n');
  socket.write('select');
  t.is(String((await once(socket, 'data'))[0]), 'got select');
  socket.destroy();
  const stranger = tls.connect({
    port: back,
    host: '127.0.0.1',
    ca: fs.readFileSync(authority.file),
    servername: 'proxy-back.example',
  });
  const heard: string[] = [];
  stranger.on('data', (chunk) => heard.push(String(chunk)));
  stranger.on('error', () => stranger.destroy());
  await new Promise((resolve) => stranger.once('close', resolve));
  t.deepEqual(heard, []);
});

test('TCP: weighted clusters, half-close, and a cluster that is not there', async (t) => {
  const [weighted = 0, nowhere = 0] = await freePorts(2);
  const echo = await listening(
    t,
    net.createServer({ allowHalfOpen: true }, (socket) => void socket.pipe(socket)),
  );
  const clusters = {
    clusters: [
      { name: 'none', weight: 0 },
      { name: 'echo', weight: 1 },
    ].filter((c) => c.weight > 0),
  };
  await proxy(
    t,
    [
      {
        address: address(weighted),
        filter_chains: [
          {
            filters: [
              {
                name: 'tcp',
                typed_config: { '@type': type.tcp, stat_prefix: 'w', weighted_clusters: clusters, access_log: log },
              },
            ],
          },
        ],
      },
      { address: address(nowhere), filter_chains: [{ filters: [tcpProxy('empty')] }] },
    ],
    [cluster('echo', echo), { name: 'empty', type: 'STATIC' }],
  );
  const socket = net.connect({ port: weighted, host: '127.0.0.1', allowHalfOpen: true });
  socket.end('all of it');
  let echoed = '';
  socket.on('data', (chunk) => {
    echoed += String(chunk);
  });
  await once(socket, 'end');
  t.is(echoed, 'all of it');
  const lost = net.connect(nowhere, '127.0.0.1');
  lost.on('error', () => lost.destroy());
  lost.resume();
  await once(lost, 'close');
  t.pass();
});
