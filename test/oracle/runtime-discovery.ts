/** Runtime layers of an xDS server: the same layers to the agent and to the real Envoy, exchanged, refused and taken away. */
import path from 'node:path';
import { freePorts } from '@chainmail/runtime/testing';
import type { JsonObject } from './case.ts';
import type { Judge } from './judge.ts';
import { endProxy, type ProxyName, startConfigured } from './proxy.ts';
import { address, runtimeConfiguration, state } from './runtime.ts';
import { RuntimeServer } from './runtime-server.ts';

/** The same keys as of files, by layer; `upper` lies over `lower`. */
const lower: JsonObject = {
  generation: 1,
  whole: 100,
  none: 0,
  deep: { in: { it: 100 } },
  fraction: { numerator: 1_000_000, denominator: 'MILLION' },
  yaml: 'numerator: 100\n',
  text: 'yes',
  quoted: '100',
  bool: true,
  half: 100.5,
  large: 1e20,
  overridden: 100,
  hidden: 100,
};
const upper: JsonObject = { hidden: 0 };

function configuration(admin: number, port: number, server: number): JsonObject {
  const ads: JsonObject = { ads: {}, resource_api_version: 'V3' };
  const http2 = {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: {} },
  };
  const cluster: JsonObject = {
    name: 'xds',
    type: 'STATIC',
    typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': http2 },
    load_assignment: {
      cluster_name: 'xds',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(server) } }] }],
    },
  };
  const { static_resources: resources, ...rest } = runtimeConfiguration(admin, port, [
    { name: 'base', static_layer: { overridden: 0, absent: 0 } },
    { name: 'low', rtds_layer: { name: 'lower', rtds_config: ads } },
    { name: 'high', rtds_layer: { name: 'upper', rtds_config: ads } },
    { name: 'admin', admin_layer: {} },
  ]);
  const grpc = { envoy_grpc: { cluster_name: 'xds' } };
  return {
    ...rest,
    dynamic_resources: { ads_config: { api_type: 'DELTA_GRPC', transport_api_version: 'V3', grpc_services: [grpc] } },
    static_resources: { ...(resources as JsonObject), clusters: [cluster] },
  };
}

async function findings(proxy: ProxyName, parent: string): Promise<ReadonlyMap<string, string>> {
  const server = new RuntimeServer();
  const source = await server.listen();
  await server.put('lower', lower);
  await server.put('upper', upper);
  const [admin = 0, port = 0] = await freePorts(2);
  const child = await startConfigured(
    proxy,
    configuration(admin, port, source),
    path.join(parent, `runtime-discovery-${proxy}`),
    port,
  );
  const found = new Map<string, string>();
  const step = async (name: string, said: string, generation: string, until: readonly [string, number]) =>
    found.set(`runtime discovery/${name}`, [said, await state(admin, port, generation, until)].join('\n'));
  try {
    await step('first', server.names.join(), '1', ['whole', 200]);
    const exchanged = await server.put('lower', { generation: 2, whole: 0, overridden: 0 });
    await step('exchanged', exchanged, '2', ['whole', 404]);
    await step('the upper one', await server.put('upper', { generation: 3, hidden: 100 }), '3', ['hidden', 200]);
    await step('refused', await server.put('upper', { generation: 4, hidden: [0] }), '3', ['hidden', 200]);
    await step('taken away', await server.put('upper', null), '2', ['hidden', 404]);
    await step('back', await server.put('upper', { generation: 5, whole: 100 }), '5', ['whole', 200]);
    return found;
  } finally {
    await endProxy(child);
    server.close();
  }
}

export async function compareRuntimeDiscovery(dir: string, judge: Judge): Promise<void> {
  const [ours, theirs] = await Promise.all([findings('agent', dir), findings('envoy', dir)]);
  for (const [key, mine] of ours) judge.compare(key, 'response', mine, theirs.get(key) ?? '');
}
