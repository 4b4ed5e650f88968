import { registry } from '@chainmail/xds/registry';
import test from 'ava';
import { maskedEntry, maskedMessage, maskPaths } from './field-mask.ts';

function descOf(name: string) {
  const desc = registry.getMessage(name);
  if (desc === undefined) throw new Error(name);
  return desc;
}
const bootstrapDump = descOf('envoy.admin.v3.BootstrapConfigDump');
const staticCluster = descOf('envoy.admin.v3.ClustersConfigDump.StaticCluster');
const resource = (typeUrl: string) => registry.getMessage(typeUrl.slice(typeUrl.indexOf('/') + 1));

const dump = {
  '@type': 'type.googleapis.com/envoy.admin.v3.BootstrapConfigDump',
  bootstrap: {
    node: { id: 'one', cluster: 'many', metadata: { x: 1 } },
    static_resources: { clusters: [{ name: 'a' }] },
    flags_path: '/f',
  },
  last_updated: '2026-01-01T00:00:00Z',
};
const type = { '@type': dump['@type'] };

const masked = (mask: string) => maskedMessage(bootstrapDump, dump, maskPaths(mask));

test('fields are kept, down to single messages', (t) => {
  t.deepEqual(masked('last_updated'), { ...type, last_updated: dump.last_updated });
  t.deepEqual(masked('bootstrap.node.id,,bootstrap.flags_path'), {
    ...type,
    bootstrap: { node: { id: 'one' }, flags_path: '/f' },
  });
  t.deepEqual(masked('bootstrap.node.id,bootstrap.node'), { ...type, bootstrap: { node: dump.bootstrap.node } });
  t.deepEqual(masked('bootstrap.static_resources.clusters'), {
    ...type,
    bootstrap: { static_resources: dump.bootstrap.static_resources },
  });
  t.deepEqual(masked('bootstrap.admin'), { ...type, bootstrap: {} });
});

test('a message whose JSON does not show its fields stays whole', (t) => {
  t.deepEqual(masked('last_updated.seconds'), { ...type, last_updated: dump.last_updated });
  t.deepEqual(masked('bootstrap.node.metadata.fields'), { ...type, bootstrap: { node: { metadata: { x: 1 } } } });
});

for (const mask of [
  'nothing',
  'bootstrap.nothing',
  'bootstrap.',
  '.',
  'last_updated,nothing',
  'bootstrap.static_resources.clusters.name',
  'bootstrap.node.id.x',
  'bootstrap.staticResources',
  'constructor.prototype',
  '__proto__',
  '@type',
]) {
  test(`no such field: ${mask}`, (t) => {
    t.is(masked(mask), undefined);
  });
}

test('the mask of an entry goes on in its resource', (t) => {
  const cluster = { '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster', name: 'a', connect_timeout: '1s' };
  const entry = { cluster, last_updated: 'then' };
  const of = (mask: string) => maskedEntry(staticCluster, entry, maskPaths(mask), resource);
  const name = { cluster: { '@type': cluster['@type'], name: 'a' } };
  t.deepEqual(of('cluster.name'), name);
  t.deepEqual(of('last_updated,cluster.name'), { ...name, last_updated: 'then' });
  t.deepEqual(of('last_updated'), { last_updated: 'then' });
  for (const bad of ['cluster', 'cluster.nothing', 'nothing', 'cluster.load_assignment.endpoints.locality']) {
    t.is(of(bad), undefined, bad);
  }
  t.deepEqual(maskedEntry(staticCluster, { last_updated: 'then' }, ['cluster', 'last_updated'], resource), {
    last_updated: 'then',
  });
});
