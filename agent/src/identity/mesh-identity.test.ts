import test from 'ava';
import { TestCa } from '../xds/testing/ads-server.ts';
import { secretsOf } from './mesh-identity.ts';

test('the identity becomes the two secrets that discovery refers to', async (t) => {
  const identity = await (await TestCa.create()).identity('shop', 'web');
  t.teardown(() => identity.stop());
  const material = identity.current();
  if (material === undefined) return t.fail();
  const [own, trust] = secretsOf(material);
  t.deepEqual(own, { name: 'default', kind: 'certificate', chainPem: material.chainPem, keyPem: material.keyPem });
  t.deepEqual(trust, { name: 'trust-bundle', kind: 'trust', bundlePem: material.bundlePem });
});
