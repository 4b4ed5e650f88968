/**
 * Header blocks that repeat, on one connection: HTTP/2 lets a client say a request in a few indexes, and the agent
 * remembers what they meant. Invariant: the tenth is judged as the first is, and goes on as the first does.
 */
import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { Agent, type AgentSetup } from './agent.ts';
import { headers, indexed, literal, request } from './h2-frames.ts';
import { RawPeer } from './h2-peer.ts';

type Fields = readonly (readonly [name: string, value: string])[];

/** The first fills the table, two are seen, the next are remembered: more than enough of them. */
const times = 8;
const rounds = Array.from({ length: times }, (_, i) => i);
const newest = 62;

const fieldsOf = (method: string, scheme: string, authority: string, path: string): Fields => [
  [':method', method],
  [':scheme', scheme],
  [':authority', authority],
  [':path', path],
];
const literals = (fields: Fields, inTable: boolean): Buffer =>
  Buffer.concat(fields.map(([name, value]) => literal(name, value, inTable)));
const indexes = (fields: Fields): Buffer =>
  Buffer.concat(fields.map((_, i) => indexed(newest + fields.length - 1 - i)));

/** The blocks of the same request again and again, as encoders may say them; each form for a connection of its own. */
const forms: Readonly<Record<string, (fields: Fields, round: number) => Buffer>> = {
  'indexes of the table': (fields, i) => (i === 0 ? literals(fields, true) : indexes(fields)),
  'indexes, and a literal that differs': (fields, i) =>
    Buffer.concat([i === 0 ? literals(fields, true) : indexes(fields), literal('x-id', String(i))]),
  'indexes, and a literal that does not': (fields, i) =>
    Buffer.concat([i === 0 ? literals(fields, true) : indexes(fields), literal('x-id', 'same')]),
  'literals that enter no table': (fields) => literals(fields, false),
};
const allowed = request('GET', '/public');

const any = [{ any: true }];
const header = (name: string, exact: string): object => ({ header: { name, string_match: { exact } } });
const path = (prefix: string): object => ({ url_path: { path: { prefix } } });
const rules = (action: 'ALLOW' | 'DENY', ...permissions: readonly object[]): NonNullable<AgentSetup['rbac']> => ({
  action,
  policies: { p: { permissions, principals: any } },
});

interface Upstream {
  readonly port: number;
  /** Merged into the agent's cluster. */
  readonly cluster: Readonly<Record<string, unknown>>;
  /** Method, scheme where there is one, and path of what came. */
  readonly seen: string[];
}

async function listen(t: ExecutionContext, server: net.Server | http2.Http2Server): Promise<number> {
  const sockets: net.Socket[] = [];
  server.on('connection', (socket: net.Socket) => sockets.push(socket));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Reads lines, since Node's server of HTTP/1.1 knows only the methods on its list. */
async function http1Upstream(t: ExecutionContext): Promise<Upstream> {
  const seen: string[] = [];
  const server = net.createServer((socket) => {
    let text = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      const heads = (text + chunk.toString('latin1')).split('\r\n\r\n');
      text = heads.pop() ?? '';
      for (const head of heads) {
        seen.push(/^(.*) HTTP\/1\.1\r\n/.exec(head)?.[1] ?? head);
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      }
    });
  });
  return { port: await listen(t, server), cluster: {}, seen };
}

const optionsType = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const protocol = {
  '@type': `type.googleapis.com/${optionsType}`,
  explicit_http_config: { http2_protocol_options: {} },
};

async function http2Upstream(t: ExecutionContext): Promise<Upstream> {
  const seen: string[] = [];
  const server = http2.createServer((asked, answer) => {
    seen.push(`${asked.method} ${asked.scheme} ${asked.url}`);
    answer.end();
  });
  return {
    port: await listen(t, server),
    cluster: { typed_extension_protocol_options: { [optionsType]: protocol } },
    seen,
  };
}

async function agentOf(t: ExecutionContext, app: Upstream, rbac: AgentSetup['rbac']): Promise<Agent> {
  const agent = await Agent.start({ appPort: app.port, cluster: app.cluster, ...(rbac === undefined ? {} : { rbac }) });
  t.teardown(() => agent.stop());
  return agent;
}

/** Sends the blocks one after the other over one connection, each when the last was answered; the statuses. */
async function askAll(port: number, blocks: readonly Buffer[]): Promise<number[]> {
  const peer = await RawPeer.connectPlain(port);
  const statuses: number[] = [];
  for (const [i, block] of blocks.entries()) {
    const stream = 2 * i + 1;
    peer.write(headers(stream, block));
    await peer.until(`an answer on ${stream}`, () => peer.hasEnded(stream) || peer.isClosed);
    statuses.push(peer.statusOf(stream) ?? 0);
  }
  peer.close();
  return statuses;
}

const always = <T>(value: T): T[] => rounds.map(() => value);

/** What no rule may lose. */
const denied: readonly { readonly what: string; readonly fields: Fields; readonly rule: object }[] = [
  { what: 'a method', fields: fieldsOf('FROB', 'http', 'a', '/x'), rule: header(':method', 'FROB') },
  {
    what: 'a method with a foreign scheme',
    fields: fieldsOf('FROB', 'coap', 'a', '/x'),
    rule: header(':method', 'FROB'),
  },
  { what: 'a foreign scheme', fields: fieldsOf('GET', 'coap', 'a', '/x'), rule: header(':scheme', 'coap') },
  { what: 'a scheme in capitals', fields: fieldsOf('GET', 'HTTPS', 'a', '/x'), rule: header(':scheme', 'https') },
  { what: 'a host', fields: fieldsOf('GET', 'http', 'secret', '/x'), rule: header(':authority', 'secret') },
  {
    what: 'a host with a foreign scheme',
    fields: fieldsOf('FROB', 'coap', 'secret', '/x'),
    rule: header(':authority', 'secret'),
  },
  { what: 'a path', fields: fieldsOf('GET', 'http', 'a', '/secret/x'), rule: path('/secret') },
  { what: 'a path with a foreign scheme', fields: fieldsOf('FROB', 'coap', 'a', '/secret/x'), rule: path('/secret') },
];

for (const { what, fields, rule } of denied) {
  test(`DENY of ${what} answers each repetition, however it is said`, async (t) => {
    const app = await http1Upstream(t);
    const agent = await agentOf(t, app, rules('DENY', rule));
    for (const [form, blockOf] of Object.entries(forms)) {
      app.seen.length = 0;
      const repeated = rounds.map((i) => blockOf(fields, i));
      const statuses = await askAll(agent.port, [...repeated, allowed, blockOf(fields, times)]);
      t.deepEqual(statuses, [...always(403), 200, 403], form);
      t.deepEqual(app.seen, ['GET /public'], form);
    }
    const lines = await agent.logged((times + 2) * Object.keys(forms).length);
    const refused = lines.filter((line) => line['code'] === 403);
    t.deepEqual([...new Set(refused.map((line) => line['method']))], [fields[0]?.[1]], 'and the log names it');
  });
}

test('a DENY holds while the same connection repeats what is allowed, out of the same table', async (t) => {
  const app = await http1Upstream(t);
  const agent = await agentOf(t, app, rules('DENY', header(':method', 'FROB')));
  // Newest first once both are in the table: PURR, /x, a, http, FROB.
  const rest = [65, 64, 63].map(indexed);
  const filling = [
    literals(fieldsOf('FROB', 'http', 'a', '/x'), true),
    Buffer.concat([literal(':method', 'PURR', true), ...rest]),
  ];
  // In runs, as each is remembered from the second time on, until another takes its place.
  const run = [66, 62].flatMap((method) => always(Buffer.concat([indexed(method), ...rest])));
  const statuses = await askAll(agent.port, [...filling, ...run, ...run]);
  const judged = [...always(403), ...always(200)];
  t.deepEqual(statuses, [403, 200, ...judged, ...judged]);
  t.deepEqual(app.seen, ['PURR /x', ...always('PURR /x'), ...always('PURR /x')]);
});

const upstreams = { 'HTTP/1.1': http1Upstream, 'HTTP/2': http2Upstream };

for (const [version, start] of Object.entries(upstreams)) {
  test(`ALLOW of a method lets each repetition through, and an upstream of ${version} gets it by its name`, async (t) => {
    const app = await start(t);
    const agent = await agentOf(t, app, rules('ALLOW', header(':method', 'FROB')));
    for (const scheme of ['http', 'coap']) {
      const fields = fieldsOf('FROB', scheme, 'a', '/x');
      for (const [form, blockOf] of Object.entries(forms)) {
        app.seen.length = 0;
        const statuses = await askAll(agent.port, [...rounds.map((i) => blockOf(fields, i)), allowed]);
        t.deepEqual(statuses, [...always(200), 403], `${scheme}: ${form}`);
        t.deepEqual(app.seen, always(version === 'HTTP/2' ? `FROB ${scheme} /x` : 'FROB /x'), `${scheme}: ${form}`);
      }
    }
  });
}
