import type net from 'node:net';
import test from 'ava';
import type { ClusterSpec } from '../model/cluster.ts';
import type { FilterChainSpec, ListenerSpec, ProxyProtocolSpec } from '../model/listener.ts';
import { writeProxyHeader } from '../net/proxy-protocol.ts';
import { listenerFilterStat, proxyProtoStat } from '../stats/layout.ts';
import { Client, Rig, serve, until } from './test-rig.ts';
import { anyMatch, chain, cluster, endpoints, listener, slotsAt } from './testing.ts';

const told = { remote: { ip: '203.0.113.9', port: 1000 }, local: { ip: '198.51.100.7', port: 2000 } };
const filter: ProxyProtocolSpec = {
  stats: slotsAt.proxyProto,
  errorStats: slotsAt.listenerFilters,
  allowWithout: false,
  disallowed: [],
};

async function rigWith(
  more: {
    readonly listener?: Partial<ListenerSpec>;
    readonly filter?: Partial<ProxyProtocolSpec>;
    readonly chains?: readonly FilterChainSpec[];
    readonly upstream?: Partial<ClusterSpec>;
  } = {},
): Promise<{ rig: Rig; count: (name: keyof typeof proxyProtoStat.at) => number; stop: () => void }> {
  const { server, port } = await serve((socket: net.Socket) => {
    socket.on('error', () => {});
    socket.once('data', (d: Buffer) => socket.end(`[${d.toString('latin1')}]`));
  });
  const rig = new Rig();
  const errors = rig.apply({
    clusters: [cluster('app', 0, more.upstream)],
    endpoints: [endpoints('app', port)],
    listeners: [
      listener(more.chains ?? [chain('a', 'app')], { proxyProtocol: { ...filter, ...more.filter }, ...more.listener }),
    ],
  });
  if (errors.length > 0) throw new Error(errors.join());
  return {
    rig,
    count: (name) => rig.slots[slotsAt.proxyProto + proxyProtoStat.at[name]] ?? 0,
    stop: () => {
      rig.stop();
      server.close();
    },
  };
}

for (const version of ['v1', 'v2'] as const) {
  test(`${version}: the header is taken off, one byte a packet, and the client is whom it names`, async (t) => {
    // The upstream repeats the addresses that the connection has: it is told by a header of its own.
    const { rig, count, stop } = await rigWith({ upstream: { proxyProtocol: 'v1' } });
    const client = new Client(rig.port);
    for (const byte of writeProxyHeader(version, told)) {
      client.socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    client.socket.write('DATA');
    await until('the answer', () => client.over);
    t.regex(client.received, /^\[PROXY TCP4 203\.0\.113\.9 198\.51\.100\.7 1000 2000\r\n/);
    t.is(count(`versions.${version}.found`), 1);
    t.is(rig.stat('downstream_pre_cx_active'), 0);
    client.socket.destroy();
    stop();
  });

  test(`${version} that is not allowed is closed`, async (t) => {
    const { rig, count, stop } = await rigWith({ filter: { disallowed: [version] } });
    const client = new Client(rig.port);
    client.socket.write(Buffer.concat([writeProxyHeader(version, told), Buffer.from('DATA')]));
    await until('close', () => client.over);
    t.is(client.received, '');
    t.is(count(`versions.${version}.disallowed`), 1);
    client.socket.destroy();
    stop();
  });
}

test('without a header: closed, or let through where that is allowed', async (t) => {
  for (const allowWithout of [false, true]) {
    const { rig, count, stop } = await rigWith({ filter: { allowWithout } });
    const client = new Client(rig.port);
    client.socket.write('DATA');
    await until('close', () => client.over);
    t.is(client.received, allowWithout ? '[DATA]' : '');
    t.is(count(allowWithout ? 'not_found_allowed' : 'not_found_disallowed'), 1);
    t.is(
      rig.slots[slotsAt.listenerFilters + listenerFilterStat.at.downstream_cx_proxy_proto_error],
      allowWithout ? 0 : 1,
    );
    client.socket.destroy();
    stop();
  }
});

test('half a header is cut off at the deadline, though others may go on then', async (t) => {
  const { rig, stop } = await rigWith({
    listener: { listenerFiltersTimeoutMs: 100, continueOnListenerFiltersTimeout: true },
  });
  const client = new Client(rig.port);
  client.socket.write('PROXY TCP4 1.2.');
  await until('close', () => client.over);
  t.is(client.received, '');
  t.is(rig.stat('downstream_pre_cx_timeout'), 1);
  t.is(rig.stat('downstream_pre_cx_active'), 0);
  client.socket.destroy();
  stop();
});

test('chains and rules go by the address in the header, direct_remote_ip by the socket', async (t) => {
  const rules = (kind: 'remote_ip' | 'direct_remote_ip', cidr: string) =>
    ({
      action: 'allow',
      policies: [{ name: 'x', permissions: [{ kind: 'any' }], principals: [{ kind, cidr }] }],
    }) as const;
  const rbac = (r: ReturnType<typeof rules>) => ({ statPrefix: 'p', stats: slotsAt.rbac, rules: r, shadowRules: null });
  const { rig, stop } = await rigWith({
    listener: { tlsInspector: true, httpInspector: true },
    chains: [
      chain('told', 'app', {
        match: { ...anyMatch, destinationPort: 2000, sourcePrefixRanges: ['203.0.113.0/24'] },
        rbac: [rbac(rules('remote_ip', '203.0.113.9/32')), rbac(rules('direct_remote_ip', '127.0.0.1/32'))],
      }),
    ],
  });
  const client = new Client(rig.port);
  client.socket.write(Buffer.concat([writeProxyHeader('v2', told), Buffer.from('DATA')]));
  await until('close', () => client.over);
  t.is(client.received, '[DATA]');
  client.socket.destroy();
  const other = new Client(rig.port);
  other.socket.write(writeProxyHeader('v2', { ...told, remote: { ip: '192.0.2.1', port: 1 } }));
  await until('close', () => other.over);
  t.is(rig.stat('no_filter_chain_match'), 1);
  other.socket.destroy();
  stop();
});
