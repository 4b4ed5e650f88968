import { randomBytes } from 'node:crypto';
import test from 'ava';
import { catalog, echo, exchange, meshPair, Rig, serve, web } from './test-rig.ts';
import { chain, cluster, endpoints, listener, TestCa } from './testing.ts';

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
