/** Runtime layers in files: what the agent and the real Envoy read out of the same tree, before and after it is exchanged. */
import fs from 'node:fs';
import path from 'node:path';
import { freePorts } from '@chainmail/runtime/testing';
import { filterType, type JsonObject } from './case.ts';
import type { Judge } from './judge.ts';
import { endProxy, type ProxyName, startConfigured } from './proxy.ts';

export const address = (port: number): JsonObject => ({ socket_address: { address: '127.0.0.1', port_value: port } });

/** Files by tree; a key is a route whose fraction it says, the default is the opposite of what is expected first. */
const trees: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  one: {
    'app/proxies/generation': '1',
    'app/proxies/whole': '100\n',
    'app/proxies/none': '0',
    'app/proxies/deep/in/it': '  100  ',
    'app/proxies/commented': '# why\n100\n',
    'app/proxies/fraction': '{"numerator": 1000000, "denominator": "MILLION"}',
    'app/proxies/yaml': 'numerator: 100\n',
    'app/proxies/text': 'yes',
    'app/proxies/quoted': '"100"',
    'app/proxies/bool': 'true',
    'app/proxies/half': '100.5',
    'app/proxies/large': '1e20',
    'app/proxies/overridden': '100',
    'app/proxies/hidden': '100',
    'app/elsewhere': '100',
  },
  two: { 'app/proxies/generation': '2', 'app/proxies/whole': '0', 'app/proxies/overridden': '0', 'app/x': '1' },
};
const keys = [
  'whole',
  'none',
  'deep.in.it',
  'commented',
  'fraction',
  'yaml',
  'text',
  'overridden',
  'hidden',
  'absent',
  'quoted',
  'bool',
  'half',
  'large',
];

/** A listener whose routes each ask for a key, over these layers. */
export function runtimeConfiguration(admin: number, port: number, layers: readonly JsonObject[]): JsonObject {
  const routes = keys.map((key) => ({
    match: { prefix: `/${key}`, runtime_fraction: { runtime_key: key, default_value: { numerator: 0 } } },
    direct_response: { status: 200, body: { inline_string: key } },
  }));
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'runtime',
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
    http_filters: [{ name: 'router', typed_config: { '@type': filterType('router.v3.Router') } }],
  };
  return {
    admin: { address: address(admin) },
    node: { id: 'one', cluster: 'proxies' },
    layered_runtime: { layers },
    static_resources: {
      listeners: [
        { name: 'main', address: address(port), filter_chains: [{ filters: [{ name: 'h', typed_config: manager }] }] },
      ],
    },
  };
}

function layersOf(link: string): readonly JsonObject[] {
  const files = { symlink_root: link, subdirectory: 'app', append_service_cluster: true };
  return [
    { name: 'base', static_layer: { overridden: 0, absent: 0 } },
    { name: 'files', disk_layer: files },
    { name: 'nowhere', disk_layer: { symlink_root: `${link}-absent`, subdirectory: 'app' } },
    { name: 'top', static_layer: { hidden: 0 } },
    { name: 'admin', admin_layer: {} },
  ];
}

function exchange(dir: string, link: string, tree: string): void {
  fs.symlinkSync(path.join(dir, tree), `${link}.next`);
  fs.renameSync(`${link}.next`, link);
}

interface Shown {
  readonly layers: readonly string[];
  readonly entries: Readonly<
    Record<string, { readonly layer_values: readonly string[]; readonly final_value: string }>
  >;
}

/** A fraction's text, and that of a number of many digits, is each proxy's own. */
const values = ({ layers, entries }: Shown): string =>
  JSON.stringify([
    layers,
    Object.entries(entries)
      .filter(([key]) => key !== 'fraction' && key !== 'large')
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { layer_values, final_value }]) => [key, final_value, layer_values]),
  ]);

/**
 * What the admin interface shows of a generation, and how each route answers.
 * @param until a key, and the status that its route has then: the listener is told a moment after the values are shown
 */
export async function state(
  admin: number,
  port: number,
  generation: string,
  until: readonly [key: string, status: number],
): Promise<string> {
  const end = Date.now() + 30_000;
  const shown = async (): Promise<Shown | null> =>
    fetch(`http://127.0.0.1:${admin}/runtime`).then(
      async (r) => (await r.json()) as Shown,
      () => null,
    );
  let now = await shown();
  while (now?.entries['generation']?.final_value !== generation && Date.now() < end) now = await shown();
  const statusOf = async (key: string): Promise<number> => (await fetch(`http://127.0.0.1:${port}/${key}`)).status;
  while ((await statusOf(until[0])) !== until[1] && Date.now() < end);
  const statuses: string[] = [];
  for (const key of keys) statuses.push(`${key}: ${await statusOf(key)}`);
  return [now === null ? '' : values(now), ...statuses].join('\n');
}

async function findings(proxy: ProxyName, parent: string): Promise<ReadonlyMap<string, string>> {
  const dir = path.join(parent, `runtime-${proxy}`);
  for (const [tree, files] of Object.entries(trees)) {
    for (const [name, text] of Object.entries(files)) {
      const file = path.join(dir, tree, name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, text);
    }
  }
  const link = path.join(dir, 'now');
  exchange(dir, link, 'one');
  const [admin = 0, port = 0] = await freePorts(2);
  const child = await startConfigured(
    proxy,
    runtimeConfiguration(admin, port, layersOf(link)),
    path.join(dir, 'config'),
    port,
  );
  try {
    const first = await state(admin, port, '1', ['whole', 200]);
    exchange(dir, link, 'two');
    const second = await state(admin, port, '2', ['whole', 404]);
    await fetch(`http://127.0.0.1:${admin}/runtime_modify?generation=3&none=100`, { method: 'POST' });
    const third = await state(admin, port, '3', ['none', 200]);
    return new Map([
      ['runtime files/first', first],
      ['runtime files/exchanged', second],
      ['runtime files/by hand', third],
    ]);
  } finally {
    await endProxy(child);
  }
}

export async function compareRuntime(dir: string, judge: Judge): Promise<void> {
  const [ours, theirs] = await Promise.all([findings('agent', dir), findings('envoy', dir)]);
  for (const [key, mine] of ours) judge.compare(key, 'response', mine, theirs.get(key) ?? '');
}
