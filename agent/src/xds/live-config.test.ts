import { type Message, toBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { ManualClock } from '@chainmail/runtime';
import { parseEnvoyJson, typeNameOf } from '@chainmail/xds';
import { registry } from '@chainmail/xds/registry';
import test from 'ava';
import {
  address,
  adsSource,
  bootstrapOf,
  environment,
  hcm,
  type Json,
  listenerWith,
  tcpProxy,
} from '../config/testing/compile.ts';
import type { ConfigUpdate } from '../model/update.ts';
import { blocksInUse } from './blocks-in-use.ts';
import { type DiscoveredResource, LiveConfig } from './live-config.ts';
import { type ResourceKind, resourceTypes } from './resource-types.ts';

function setUp(options: { cds?: boolean; lds?: boolean } = {}) {
  const clock = new ManualClock();
  const updates: ConfigUpdate[] = [];
  const live = new LiveConfig({
    env: environment(),
    clock,
    cds: options.cds ?? true,
    lds: options.lds ?? true,
    ownClusters: new Set(),
    publish: (update) => updates.push(update),
  });
  return { clock, updates, live };
}

function resource(kind: ResourceKind, name: string, json: Json, version = '1'): DiscoveredResource {
  const schema = registry.getMessage(typeNameOf(resourceTypes[kind]));
  if (schema === undefined) throw new Error(kind);
  const message: Message = parseEnvoyJson(schema, json);
  const any = { $typeName: 'google.protobuf.Any', typeUrl: resourceTypes[kind], value: toBinary(schema, message) };
  return { name, version, resource: any as unknown as Any };
}

const edsCluster = (name: string): Json => ({
  name,
  type: 'EDS',
  connect_timeout: '1s',
  eds_cluster_config: { eds_config: adsSource },
});
const endpoints = (name: string, port: number): Json => ({
  cluster_name: name,
  endpoints: [
    { lb_endpoints: [{ endpoint: { address: { socket_address: { address: '10.0.0.1', port_value: port } } } }] },
  ],
});
const tcpListener = (name: string): Json => ({ ...listenerWith([tcpProxy()]), name });
const rdsListener = (name: string): Json => ({
  name,
  address,
  filter_chains: [{ filters: [hcm({ rds: { route_config_name: 'r', config_source: adsSource } })] }],
});
const routes = { name: 'r', virtual_hosts: [{ name: 'v', domains: ['*'] }] };
const names = (parts: readonly { readonly name: string }[]): readonly string[] => parts.map((p) => p.name);

test('a cluster waits for its endpoints, a listener for its routes; then each comes in one update', (t) => {
  const { live, updates } = setUp();
  t.deepEqual(live.apply('cds', [resource('cds', 'a', edsCluster('a'))], []).errors, []);
  t.deepEqual([...live.wanted('eds')], ['a']);
  t.is(updates.length, 0);
  live.apply('eds', [resource('eds', 'a', endpoints('a', 1))], []);
  t.deepEqual(names(updates[0]?.clusters ?? []), ['a']);
  t.is(updates[0]?.endpoints[0]?.endpoints[0]?.address.port, 1);
  live.apply('lds', [resource('lds', 'l', rdsListener('l'))], []);
  t.deepEqual([...live.wanted('rds')], ['r']);
  t.is(updates.length, 1);
  t.false(live.isInitialised);
  live.apply('rds', [resource('rds', 'r', routes)], []);
  t.deepEqual(names(updates[1]?.routes ?? []), ['r']);
  t.deepEqual(names(updates[1]?.listeners ?? []), ['l']);
  t.true(live.isInitialised);
});

test('whoever waits too long starts without; listeners come after the clusters', (t) => {
  const { live, updates, clock } = setUp();
  live.apply('cds', [resource('cds', 'a', edsCluster('a'))], []);
  live.apply('lds', [resource('lds', 'l', tcpListener('l'))], []);
  t.is(updates.length, 0);
  clock.advance(14_999);
  t.is(updates.length, 0);
  clock.advance(1);
  t.deepEqual(names(updates[0]?.clusters ?? []), ['a']);
  t.deepEqual(updates[0]?.endpoints, []);
  t.deepEqual(names(updates[0]?.listeners ?? []), ['l']);
});

test('a name the server does not know is not waited for', (t) => {
  const { live, updates } = setUp();
  live.apply('cds', [resource('cds', 'a', edsCluster('a'))], []);
  live.apply('eds', [], ['a']);
  t.deepEqual(names(updates[0]?.clusters ?? []), ['a']);
});

test('a bad resource is refused with its reason and the old one stays; good ones beside it take effect', (t) => {
  const { live, updates } = setUp({ lds: false });
  live.apply('cds', [resource('cds', 'a', { name: 'a', connect_timeout: '1s' })], []);
  const { errors, accepted } = live.apply(
    'cds',
    [
      resource(
        'cds',
        'a',
        { name: 'a', connect_timeout: '2s', common_lb_config: { close_connections_on_host_set_change: true } },
        '2',
      ),
      resource('cds', 'b', { name: 'b' }, '2'),
      resource('cds', 'c', { name: 'other' }, '2'),
    ],
    [],
  );
  t.is(errors.length, 2);
  t.true(errors[0]?.startsWith('a: common_lb_config.close_connections_on_host_set_change:'));
  t.is(errors[1], "c: the message inside is named 'other'");
  t.deepEqual([...accepted], [['b', '2']]);
  t.is(live.held.clusters.get('a')?.connectTimeoutMs, 1_000);
  t.deepEqual(names(updates[1]?.clusters ?? []), ['b']);
});

test('a rule of the proto that is broken is refused, and so is what cannot be decoded', (t) => {
  const { live } = setUp();
  const broken = resource('cds', 'a', { name: 'a', connect_timeout: '0s' });
  t.deepEqual(live.apply('cds', [broken], []).errors, ['a: connect_timeout: must be > 0s']);
  const junk = { ...broken, resource: { ...broken.resource, value: new Uint8Array([0xff, 0xff]) } };
  t.is(live.apply('cds', [junk], []).errors.length, 1);
});

test('the same again changes nothing; a removal takes clusters, endpoints and routes with it', (t) => {
  const { live, updates } = setUp();
  live.apply('cds', [resource('cds', 'a', edsCluster('a'))], []);
  live.apply('eds', [resource('eds', 'a', endpoints('a', 1))], []);
  live.apply('lds', [resource('lds', 'l', rdsListener('l'))], []);
  live.apply('rds', [resource('rds', 'r', routes)], []);
  const before = updates.length;
  live.apply('cds', [resource('cds', 'a', edsCluster('a'))], []);
  t.is(updates.length, before);
  live.apply('lds', [], ['l']);
  t.deepEqual(updates.at(-1)?.removeListeners, ['l']);
  t.deepEqual(updates.at(-1)?.removeRoutes, ['r']);
  live.apply('cds', [], ['a']);
  t.deepEqual(updates.at(-1)?.removeClusters, ['a']);
  t.is(live.resources.assignments.size, 0);
});

test('an active cluster serves on while its successor warms', (t) => {
  const { live, clock } = setUp({ lds: false });
  live.apply('cds', [resource('cds', 'a', { name: 'a', connect_timeout: '1s' })], []);
  live.apply('cds', [resource('cds', 'a', edsCluster('a'), '2')], []);
  t.is(live.held.clusters.get('a')?.type, 'static');
  t.is(live.resources.warming.clusters, 1);
  clock.advance(15_000);
  t.is(live.held.clusters.get('a')?.type, 'eds');
});

test('endpoints that change reach the workers alone', (t) => {
  const { live, updates } = setUp({ lds: false });
  live.apply('cds', [resource('cds', 'a', edsCluster('a'))], []);
  live.apply('eds', [resource('eds', 'a', endpoints('a', 1))], []);
  live.apply('eds', [resource('eds', 'a', endpoints('a', 2), '2')], []);
  const last = updates.at(-1);
  t.is(last?.endpoints[0]?.endpoints[0]?.address.port, 2);
  t.deepEqual([last?.clusters, last?.listeners, last?.secrets], [[], [], []]);
});

test('rotated secrets reach the workers alone', (t) => {
  const { live, updates } = setUp({ cds: false, lds: false });
  live.setSecrets([{ name: 'default', kind: 'certificate', chainPem: 'a', keyPem: 'b' }]);
  live.setSecrets([{ name: 'default', kind: 'certificate', chainPem: 'c', keyPem: 'd' }]);
  t.is(updates.length, 2);
  t.deepEqual(names(updates[1]?.secrets ?? []), ['default']);
});

test('statistics of routes, by RDS and inside a listener, stay as long as the routes do', (t) => {
  const { live } = setUp({ cds: false });
  const of = (name: string): Json => ({
    name,
    virtual_hosts: [
      {
        name,
        domains: ['*'],
        virtual_clusters: [{ name: 'v' }],
        routes: [{ match: { prefix: '/' }, direct_response: { status: 200 }, stat_prefix: 'p' }],
      },
    ],
  });
  const { stats } = environment();
  const blocks = (name: string): readonly number[] => [
    stats.virtualHost(name, 'vcluster', 'v'),
    stats.virtualHost(name, 'vcluster', 'other'),
    stats.virtualHost(name, 'route', 'p'),
  ];
  const inline = { ...listenerWith([hcm({ route_config: of('inline') })]), name: 'i' };
  live.apply('lds', [resource('lds', 'l', rdsListener('l')), resource('lds', 'i', inline)], []);
  live.apply('rds', [resource('rds', 'r', of('r'))], []);
  const held = blocksInUse(live.resources);
  for (const base of [...blocks('r'), ...blocks('inline')]) t.true(held.has(base));
  live.apply('lds', [], ['l', 'i']);
  const left = blocksInUse(live.resources);
  for (const base of [...blocks('r'), ...blocks('inline')]) t.false(left.has(base));
});

test('a discovered layer of the runtime: awaited, applied to what is there, refused whole, and gone when removed', (t) => {
  const clock = new ManualClock();
  const updates: ConfigUpdate[] = [];
  const { runtime } = bootstrapOf({
    layered_runtime: {
      layers: [
        { name: 'base', static_layer: { 'circuit_breakers.a.default.max_requests': 5 } },
        { name: 'found', rtds_layer: { name: 'rt', rtds_config: adsSource } },
      ],
    },
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
      },
    },
    static_resources: { clusters: [{ name: 'xds' }] },
  });
  const live: LiveConfig = new LiveConfig({
    env: environment({ runtime }),
    clock,
    cds: true,
    lds: true,
    ownClusters: new Set(),
    publish: (update) => updates.push(update),
    onRuntime: () => live.recompile([], []),
  });
  const limit = (): number | undefined => live.held.clusters.get('a')?.circuit.maxRequests;
  const layer = (maxRequests: unknown): Json => ({
    name: 'rt',
    layer: { circuit_breakers: { a: { default: { max_requests: maxRequests } } } },
  });
  t.deepEqual([...live.wanted('rtds')], ['rt']);
  live.apply('cds', [resource('cds', 'a', { name: 'a', circuit_breakers: { thresholds: [{}] } })], []);
  live.apply('lds', [resource('lds', 'l', tcpListener('l'))], []);
  t.is(limit(), 5);
  t.is(live.held.listeners.size, 0, 'listeners wait for the runtime');
  t.deepEqual(live.apply('rtds', [resource('rtds', 'rt', layer(7))], []).errors, []);
  t.is(limit(), 7);
  t.is(live.held.listeners.size, 1);
  t.true(live.isInitialised);
  t.deepEqual(live.apply('rtds', [resource('rtds', 'rt', layer([1]))], []).errors, [
    'rt: layer: Invalid runtime entry value for circuit_breakers.a.default.max_requests',
  ]);
  t.is(limit(), 7, 'what was there stays');
  t.deepEqual(live.apply('rtds', [resource('rtds', 'other', { name: 'other' })], []).errors, [
    'other: no rtds_layer asks for it',
  ]);
  t.deepEqual(runtime.layerNames, ['base', 'found']);
  live.apply('rtds', [], ['rt']);
  t.is(limit(), 5);
});
