/** In a file of its own: other tests of a process may hold descriptors. */
import v8 from 'node:v8';
import vm from 'node:vm';
import { releaseDescriptors } from '@chainmail/xds';
import { registry } from '@chainmail/xds/registry';
import test from 'ava';
import { address, bootstrapOf } from './testing/compile.ts';

test('a compiled bootstrap lives on without the descriptors, and can be compiled again', async (t) => {
  const cluster = {
    name: 'a',
    load_assignment: { cluster_name: 'a', endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
  };
  const compiled = bootstrapOf({ static_resources: { clusters: [cluster] } });
  const descriptor = new WeakRef(registry.getMessage('envoy.config.bootstrap.v3.Bootstrap') ?? {});
  releaseDescriptors();
  await new Promise((resolve) => setImmediate(resolve));
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc') as (options: object) => void;
  collect({ type: 'major', flavor: 'last-resort' });
  t.is(descriptor.deref(), undefined);
  t.is(compiled.recompile().clusters[0]?.spec.name, 'a');
});
