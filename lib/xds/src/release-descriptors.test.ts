import v8 from 'node:v8';
import vm from 'node:vm';
import type { DescMessage } from '@bufbuild/protobuf';
import test from 'ava';
import { parseEnvoyJson } from './json.ts';
import { registry } from './registry.ts';
import { holdsDescriptors, releaseDescriptors } from './release-descriptors.ts';
import { validateMessage } from './validate.ts';

const text = {
  name: 'x',
  connect_timeout: '1s',
  transport_socket: {
    name: 'tls',
    typed_config: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext' },
  },
};

function clusterSchema(): DescMessage {
  const schema = registry.getMessage('envoy.config.cluster.v3.Cluster');
  if (schema === undefined) throw new Error('no descriptor of Cluster');
  return schema;
}

test.serial('descriptors are collected after a release, though messages made with them live on', async (t) => {
  const message = parseEnvoyJson(clusterSchema(), text);
  t.deepEqual(validateMessage(clusterSchema(), message), []);
  const old = new WeakRef(clusterSchema());
  await new Promise((resolve) => setImmediate(resolve));
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc') as (options: object) => void;
  collect({ type: 'major', flavor: 'last-resort' });
  t.not(old.deref(), undefined, 'kept while nobody released it');
  releaseDescriptors();
  await new Promise((resolve) => setImmediate(resolve));
  collect({ type: 'major', flavor: 'last-resort' });
  t.is(old.deref(), undefined);
  t.is((message as unknown as { name: string }).name, 'x');
});

test.serial('what was released is there again when it is asked for, and works with older messages', (t) => {
  const message = parseEnvoyJson(clusterSchema(), text);
  releaseDescriptors();
  t.false(holdsDescriptors());
  t.deepEqual(validateMessage(clusterSchema(), message), []);
  const wrong = parseEnvoyJson(clusterSchema(), { connect_timeout: '0s' });
  t.deepEqual(
    validateMessage(clusterSchema(), wrong).map((p) => p.path),
    ['name', 'connect_timeout'],
  );
  t.true(holdsDescriptors());
});
