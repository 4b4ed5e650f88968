/** The admin pages that show configuration: the same file and the same questions to both, and what each answered. */
import path from 'node:path';
import { freePorts } from '@chainmail/runtime/testing';
import { filterType, type Json, type JsonObject } from './case.ts';
import type { Judge } from './judge.ts';
import { endProxy, type ProxyName, startConfigured } from './proxy.ts';

const dump = '/config_dump';
const clusters = `${dump}?resource=static_clusters`;
const targets = [
  clusters,
  `${clusters}&mask=cluster.name`,
  `${clusters}&mask=cluster.name,last_updated`,
  `${clusters}&mask=cluster`,
  `${clusters}&mask=cluster.load_assignment.cluster_name,cluster.name`,
  `${clusters}&mask=cluster.load_assignment.endpoints.locality`,
  `${clusters}&mask=last_updated`,
  `${clusters}&mask=`,
  `${clusters}&name_regex=.*a`,
  `${clusters}&name_regex=alpha`,
  `${clusters}&name_regex=alp`,
  `${clusters}&name_regex=alpha&mask=cluster.connect_timeout`,
  `${dump}?resource=static_listeners&mask=listener.name,listener.address`,
  `${dump}?resource=static_route_configs`,
  `${dump}?resource=static_route_configs&name_regex=routes`,
  `${dump}?resource=static_route_configs&name_regex=other`,
  `${dump}?resource=dynamic_listeners`,
  `${dump}?resource=dynamic_active_clusters&mask=cluster.name`,
  `${dump}?resource=bootstrap`,
  `${dump}?resource=bootstrap&mask=bootstrap.node`,
  `${dump}?resource=nothing`,
  `${dump}?mask=bootstrap.node.id,bootstrap.node.locality`,
  `${dump}?mask=bootstrap.static_resources`,
  `${dump}?mask=bootstrap.static_resources.clusters`,
  `${dump}?mask=bootstrap.static_resources.clusters.name`,
  `${dump}?mask=bootstrap,last_updated`,
  `${dump}?mask=static_clusters`,
  `${dump}?mask=static_clusters&name_regex=beta`,
  `${dump}?mask=static_clusters.cluster`,
  `${dump}?mask=nothing`,
  `${dump}?mask=bootstrap.node.nothing`,
  `${dump}?name_regex=%5B`,
  `${dump}?name_regex=(a`,
  '/server_info',
  '/hot_restart_version',
];

const cluster = (name: string): JsonObject => ({
  ...{ name, connect_timeout: '1s', type: 'STATIC' },
  load_assignment: {
    cluster_name: name,
    endpoints: [{ lb_endpoints: [{ endpoint: { address: address(9) } }] }],
  },
});

const address = (port: number): JsonObject => ({ socket_address: { address: '127.0.0.1', port_value: port } });

function configuration(admin: number, port: number): JsonObject {
  const manager: JsonObject = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'in',
    route_config: {
      name: 'routes',
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'alpha' } }] },
      ],
    },
    http_filters: [{ name: 'router', typed_config: { '@type': filterType('router.v3.Router') } }],
  };
  return {
    node: { id: 'one', cluster: 'many', locality: { zone: 'here' }, metadata: { x: 1 } },
    admin: { address: address(admin) },
    static_resources: {
      listeners: [
        {
          name: 'front',
          address: address(port),
          filter_chains: [{ filters: [{ name: 'hcm', typed_config: manager }] }],
        },
      ],
      clusters: [cluster('alpha'), cluster('beta')],
    },
  };
}

/** What each of the two says of itself, and when. */
const own: ReadonlySet<string> = new Set([
  ...['user_agent_name', 'user_agent_version', 'user_agent_build_version', 'extensions', 'client_features'],
  ...['last_updated', 'uptime_current_epoch', 'uptime_all_epochs', 'port_value'],
]);

/** Its own words, of which only the type is compared. */
const words: ReadonlySet<string> = new Set(['version', 'config_path', 'log_format', 'drain_strategy']);

function comparable(value: Json): Json {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value as JsonObject).filter(([k]) => !own.has(k) || k === 'last_updated');
  const shown = ([k, v]: [string, Json]): [string, Json] =>
    words.has(k) || k === 'last_updated' ? [k, typeof v] : [k, comparable(v)];
  return Object.fromEntries(entries.map(shown).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function normalised(text: string): string {
  try {
    return JSON.stringify(comparable(JSON.parse(text)), null, 1);
  } catch {
    // Envoy's debug text of a message is meant not to be stable.
    return text.trim().replace(/^FieldMask [\s\S]* could not be successfully used\.$/, 'FieldMask could not be used');
  }
}

async function answersOf(name: ProxyName, dir: string): Promise<ReadonlyMap<string, string>> {
  const [admin = 0, port = 0] = await freePorts(2);
  const own = name === 'agent' ? ['--disable-hot-restart', '--use-dynamic-base-id'] : [];
  const child = await startConfigured(name, configuration(admin, port), path.join(dir, `admin-${name}`), admin, [
    '--service-zone',
    'here',
    '--drain-time-s',
    '7',
    ...own,
  ]);
  try {
    while (!(await fetch(`http://127.0.0.1:${admin}/ready`)).ok);
    const answers = new Map<string, string>();
    for (const target of targets) {
      const response = await fetch(`http://127.0.0.1:${admin}${target}`);
      answers.set(`admin${target}`, `${response.status}\n${normalised(await response.text())}`);
    }
    return answers;
  } finally {
    await endProxy(child);
  }
}

export async function compareAdmin(dir: string, judge: Judge): Promise<void> {
  const [ours, theirs] = await Promise.all([answersOf('agent', dir), answersOf('envoy', dir)]);
  for (const [key, mine] of ours) judge.compare(key, 'response', mine, theirs.get(key) ?? '');
}
