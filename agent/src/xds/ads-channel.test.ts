import { create } from '@bufbuild/protobuf';
import type { WorkloadIdentity } from '@chainmail/pki';
import { silentLogger, systemClock } from '@chainmail/runtime';
import { NodeSchema } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import test, { type ExecutionContext } from 'ava';
import { sidecarBootstrap } from '../bootstrap/sidecar-bootstrap.ts';
import { sidecarSettings } from '../bootstrap/sidecar-settings.ts';
import { adsSource, bootstrapOf, environment } from '../config/testing/compile.ts';
import { adsChannel } from './ads-channel.ts';
import { AdsClient } from './ads-client.ts';
import { adsEndpoint } from './ads-credentials.ts';
import { LiveConfig } from './live-config.ts';
import { AdsServer, TestCa } from './testing/ads-server.ts';

/** The client with the bootstrap of a sidecar, as in a pod. */
function connect(t: ExecutionContext, port: number, identity: WorkloadIdentity) {
  const { clusters } = bootstrapOf(
    sidecarBootstrap(
      sidecarSettings({
        POD_NAME: 'web-1',
        POD_NAMESPACE: 'shop',
        POD_IP: '10.0.0.1',
        SERVICE_ACCOUNT: 'web',
        CHAINMAIL_TRUST_DOMAIN: 'cluster.local',
        CHAINMAIL_CONTROL_ADDRESS: `127.0.0.1:${port}`,
        CHAINMAIL_CA_ADDRESS: '127.0.0.1:1',
      }),
    ),
  );
  const [cluster] = clusters;
  if (cluster === undefined) throw new Error('no cluster');
  const live = new LiveConfig({
    env: environment(),
    clock: systemClock,
    cds: true,
    lds: true,
    ownClusters: new Set(),
    publish: () => undefined,
  });
  const client = new AdsClient({
    open: adsChannel(adsEndpoint(cluster, [], identity)),
    target: live,
    node: create(NodeSchema, { id: 'web-1' }),
    clock: systemClock,
    log: silentLogger,
    cds: true,
    lds: true,
  });
  client.start();
  t.teardown(() => client.stop());
  return { live, client };
}

async function setUp(t: ExecutionContext, serverAccount = 'chainmail-control') {
  const ca = await TestCa.create();
  const server = await AdsServer.start(await ca.identity('chainmail-system', serverAccount));
  t.teardown(() => server.close());
  return { ca, server, identity: await ca.identity('shop', 'web') };
}

test('configuration over mutual TLS: applied, refused, removed, and kept while the server is away', async (t) => {
  const { server, identity } = await setUp(t);
  const { live, client } = connect(t, server.port, identity);
  await server.until(() => server.streams[0]?.requests.length === 1);
  const [first] = server.streams;
  t.regex(first?.peer ?? '', /shop.*web/);
  t.is(first?.requests[0]?.node?.id, 'web-1');
  first?.send('cds', '1', {
    a: { name: 'a' },
    e: { name: 'e', type: 'EDS', eds_cluster_config: { eds_config: adsSource } },
  });
  await server.until(() => first?.requests.length === 4);
  t.deepEqual(first?.requests[2]?.resourceNamesSubscribe, ['e']);
  t.deepEqual([...live.held.clusters.keys()], ['a']);
  first?.send('eds', '2', { e: { cluster_name: 'e' } });
  first?.send('cds', '3', { b: { name: 'b', common_lb_config: { close_connections_on_host_set_change: true } } }, [
    'a',
  ]);
  await server.until(() => first?.requests.length === 6);
  t.regex(
    first?.requests[5]?.errorDetail?.message ?? '',
    /^b: common_lb_config\.close_connections_on_host_set_change: /,
  );
  t.deepEqual([...live.held.clusters.keys()], ['e']);
  first?.end();
  await server.until(() => (server.streams[1]?.requests.length ?? 0) >= 3);
  t.deepEqual(server.streams[1]?.requests[0]?.initialResourceVersions, { e: '1' });
  t.deepEqual([...live.held.clusters.keys()], ['e']);
  t.is(client.stats.attempts, 2);
});

test('a server that is not the control plane is not spoken to', async (t) => {
  const { server, identity } = await setUp(t, 'impostor');
  const { client } = connect(t, server.port, identity);
  while (client.stats.lastCloseReason === '') await new Promise((resolve) => setImmediate(resolve));
  t.regex(client.stats.lastCloseReason, /certificate is refused/);
  t.is(server.streams.length, 0);
});

test('without a certificate of our own nothing is sent', async (t) => {
  const { server, identity } = await setUp(t);
  identity.stop();
  const { client } = connect(t, server.port, identity);
  while (client.stats.lastCloseReason === '') await new Promise((resolve) => setImmediate(resolve));
  t.regex(client.stats.lastCloseReason, /no valid certificate/);
  t.is(server.streams.length, 0);
});
