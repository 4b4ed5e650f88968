/** The DNS proxy on loopback, with resolvers of the tests' own. */

import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { ManualClock } from '@chainmail/runtime';
import test, { type ExecutionContext } from 'ava';
import type { DnsForwardSpec, DnsListenerSpec } from '../model/dns.ts';
import { DnsProxy } from './dns-proxy.ts';
import { askTcp, askUdp, framed, query, readSeen, resolverAnswer } from './testing/queries.ts';

type Behaviour = (asked: Buffer, reply: (answer: Buffer) => void) => void;

interface Resolver {
  readonly port: number;
  readonly seen: { readonly message: Buffer; readonly port: number }[];
}

async function resolver(t: ExecutionContext, behave: Behaviour): Promise<Resolver> {
  const socket = dgram.createSocket('udp4');
  const seen: Resolver['seen'] = [];
  socket.on('message', (message, from) => {
    seen.push({ message, port: from.port });
    behave(message, (answer) => socket.send(answer, from.port, from.address));
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  return { port: socket.address().port, seen };
}

interface Rig {
  readonly proxy: DnsProxy;
  readonly clock: ManualClock;
  readonly port: number;
}

const domains = [
  { name: 'web.shop.svc.cluster.local', addresses: ['10.96.0.1', 'fd00::1'], ttlS: 30 },
  { name: 'v4.shop.svc.cluster.local', addresses: ['10.96.0.2'], ttlS: 30 },
  { name: 'headless.shop.svc.cluster.local', addresses: ['10.1.0.1', '10.1.0.2', '10.1.0.3'], ttlS: 30 },
];

async function rig(t: ExecutionContext, forward: Partial<DnsForwardSpec> | null = null): Promise<Rig> {
  const clock = new ManualClock();
  const spec: DnsListenerSpec = {
    name: 'dns',
    addresses: [{ ip: '127.0.0.1', port: 0 }],
    statPrefix: 'p',
    domains,
    forward: forward === null ? null : { resolvers: null, timeoutMs: 500, retries: 1, maxPending: 4, ...forward },
  };
  const proxy = new DnsProxy(spec, {
    clock,
    readResolvConf: () => 'search shop.svc.cluster.local svc.cluster.local\noptions ndots:5\n',
  });
  const [address] = await proxy.listen();
  t.teardown(() => proxy.close());
  return { proxy, clock, port: address?.port ?? 0 };
}

const at = (port: number) => [{ ip: '127.0.0.1', port }];

test('an address that is taken is refused, and nothing of it stays open', async (t) => {
  const { port } = await resolver(t, () => {});
  const spec: DnsListenerSpec = { name: 'dns', addresses: at(port), statPrefix: 'p', domains, forward: null };
  const proxy = new DnsProxy(spec, { clock: new ManualClock(), readResolvConf: () => '' });
  await t.throwsAsync(proxy.listen(), { code: 'EADDRINUSE' });
  const free = net.createServer().listen(port, '127.0.0.1');
  await t.notThrowsAsync(once(free, 'listening'));
  free.close();
});

test('names of the table: both families, a family without addresses, short names, turns', async (t) => {
  const { proxy, port } = await rig(t);
  const ask = async (name: string, type = 1) => readSeen(await askUdp(port, query(name, { type })));
  t.like(await ask('WEB.shop.svc.cluster.local'), { code: 0, authoritative: true, ttls: [30] });
  t.deepEqual((await ask('web.shop.svc.cluster.local')).addresses, ['10.96.0.1']);
  t.deepEqual((await ask('web', 28)).addresses, ['fd00:0000:0000:0000:0000:0000:0000:0001']);
  t.deepEqual((await ask('web.shop')).addresses, ['10.96.0.1']);
  t.like(await ask('v4.shop.svc.cluster.local', 28), { code: 0, addresses: [] });
  const firsts = new Set<string | undefined>();
  for (let i = 0; i < 3; i++) firsts.add((await ask('headless')).addresses[0]);
  t.is(firsts.size, 3);
  t.is(proxy.stats.value('local_a_record_answers'), 6);
  t.is(proxy.stats.value('local_aaaa_record_answers'), 1);
  t.is(proxy.stats.value('known_domain_queries'), 8);
});

test('without resolvers everything else is SERVFAIL; malformed and foreign kinds of questions have their codes', async (t) => {
  const { proxy, port } = await rig(t);
  t.is(readSeen(await askUdp(port, query('example.com'))).code, 2);
  t.is(readSeen(await askUdp(port, query('web.shop', { flags: 0x2000 }))).code, 4);
  const malformed = query('web');
  malformed[12] = 0xc0;
  t.like(readSeen(await askUdp(port, malformed)), { id: 0x1234, code: 1 });
  t.is(proxy.stats.value('unanswered_queries'), 1);
  t.is(proxy.stats.value('downstream_rx_invalid_queries'), 1);
  t.is(proxy.stats.value('unsupported_queries'), 1);
});

test('other names go to the resolver as they are, under ids and from ports of their own', async (t) => {
  const up = await resolver(t, (asked, reply) => reply(resolverAnswer(asked, ['192.0.2.1'])));
  const { proxy, port } = await rig(t, { resolvers: at(up.port) });
  for (let i = 0; i < 8; i++) {
    const answer = readSeen(await askUdp(port, query('Example.COM', { id: 77, edns: 1400 })));
    t.like(answer, { id: 77, code: 0 });
    t.deepEqual(answer.addresses, ['192.0.2.1']);
  }
  t.true(new Set(up.seen.map((s) => s.message.readUInt16BE(0))).size >= 7);
  t.true(new Set(up.seen.map((s) => s.port)).size >= 7);
  const [first] = up.seen;
  t.deepEqual(first?.message.subarray(2), query('Example.COM', { edns: 1400 }).subarray(2));
  t.is(proxy.stats.value('external_a_record_answers'), 8);
  t.is(readSeen(await askUdp(port, query('web.shop.svc.cluster.local', { type: 16 }))).code, 0, 'TXT of a known name');
  t.is(up.seen.length, 9);
});

test('a forged answer, with another id or question, is passed over', async (t) => {
  const up = await resolver(t, (asked, reply) => {
    const forged = resolverAnswer(asked, ['203.0.113.66']);
    forged.writeUInt16BE(asked.readUInt16BE(0) ^ 1, 0);
    reply(forged);
    const other = resolverAnswer(query('evil.com', { id: asked.readUInt16BE(0) }), ['203.0.113.66']);
    reply(other);
    reply(resolverAnswer(asked, ['192.0.2.1']));
  });
  const { proxy, port } = await rig(t, { resolvers: at(up.port) });
  t.deepEqual(readSeen(await askUdp(port, query('good.com'))).addresses, ['192.0.2.1']);
  t.is(proxy.stats.value('external_invalid_answers'), 2);
});

test('a resolver that is silent or fails gives way to the next, which is asked first from then on', async (t) => {
  const silent = await resolver(t, () => {});
  const failing = await resolver(t, (asked, reply) => reply(resolverAnswer(asked, [], 2)));
  const good = await resolver(t, (asked, reply) => reply(resolverAnswer(asked, ['192.0.2.9'])));
  const resolvers = [...at(silent.port), ...at(failing.port), ...at(good.port)];
  const { proxy, clock, port } = await rig(t, { resolvers, retries: 2 });
  const answer = askUdp(port, query('example.com'));
  while (silent.seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
  clock.advance(500);
  t.deepEqual(readSeen(await answer).addresses, ['192.0.2.9']);
  t.is(proxy.stats.value('external_timeouts'), 1);
  t.deepEqual(readSeen(await askUdp(port, query('example.org'))).addresses, ['192.0.2.9']);
  t.is(silent.seen.length, 1);
});

test('nobody answers: SERVFAIL after the tries; too many at once: SERVFAIL now', async (t) => {
  const silent = await resolver(t, () => {});
  const { proxy, clock, port } = await rig(t, { resolvers: at(silent.port), maxPending: 2 });
  const waiting = [askUdp(port, query('a.com')), askUdp(port, query('b.com'))];
  while (silent.seen.length < 2) await new Promise((resolve) => setImmediate(resolve));
  t.is(readSeen(await askUdp(port, query('c.com'))).code, 2);
  t.is(proxy.stats.value('external_overflow'), 1);
  clock.advance(500);
  while (silent.seen.length < 4) await new Promise((resolve) => setImmediate(resolve));
  clock.advance(500);
  for (const answer of await Promise.all(waiting)) t.is(readSeen(answer).code, 2);
  t.is(proxy.stats.value('external_timeouts'), 4);
});

test('over TCP: in any pieces, several on a connection, forwarded over TCP as well', async (t) => {
  const server = net.createServer((socket) => {
    socket.once('data', (chunk: Buffer) => socket.end(framed(resolverAnswer(chunk.subarray(2), ['192.0.2.5']))));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = await rig(t, { resolvers: at((server.address() as net.AddressInfo).port) });
  const bytes = Buffer.concat([framed(query('web', { id: 1 })), framed(query('far.com', { id: 2 }))]);
  for (const cut of [1, 2, 3, 20, bytes.length - 1]) {
    const answers = (await askTcp(port, [bytes.subarray(0, cut), bytes.subarray(cut)], 2)).map(readSeen);
    t.deepEqual(answers.find((a) => a.id === 1)?.addresses, ['10.96.0.1']);
    t.deepEqual(answers.find((a) => a.id === 2)?.addresses, ['192.0.2.5']);
  }
  await t.throwsAsync(askTcp(port, [framed(Buffer.from('junk'))], 1), { message: /closed/ });
});

test('a new table counts from then on, on the same sockets', async (t) => {
  const { proxy, port } = await rig(t);
  proxy.update({ ...proxy.spec, domains: [{ name: 'new.svc.cluster.local', addresses: ['10.96.0.77'], ttlS: 5 }] });
  t.deepEqual(readSeen(await askUdp(port, query('new'))).addresses, ['10.96.0.77']);
  t.is(readSeen(await askUdp(port, query('web'))).code, 2);
});
