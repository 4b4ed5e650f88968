import { create } from '@bufbuild/protobuf';
import { NodeSchema } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import test from 'ava';
import { buildWorld } from '../model/build-world.ts';
import { objectsOf, shop } from '../testing/world-files.ts';
import { admit, claimedPod, http2UseOf } from './node-identity.ts';

const claim = (id: string, metadata?: Record<string, string>): string | undefined =>
  claimedPod(create(NodeSchema, { id, ...(metadata === undefined ? {} : { metadata }) }));

test('the pod comes from the metadata, else from the id', (t) => {
  t.is(claim('x', { POD_NAME: 'web-1', POD_NAMESPACE: 'shop' }), 'shop/web-1');
  t.is(claim('sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local'), 'shop/web-1');
  t.is(claim('sidecar~10.0.0.1~a.b.shop~x'), 'shop/a.b', 'a pod name may have dots, a namespace may not');
  for (const id of ['', 'x', 'sidecar~10.0.0.1~web-1~x', 'sidecar~1~.shop~x', 'sidecar~1~web.~x'])
    t.is(claim(id), undefined, id);
});

test('only the service account of the pod is admitted', (t) => {
  const world = buildWorld('cluster.local', objectsOf(shop));
  t.is(admit(world, 'shop/web-1', 'spiffe://cluster.local/ns/shop/sa/web').verdict, 'admitted');
  t.is(admit(world, 'shop/web-1', 'spiffe://cluster.local/ns/shop/sa/catalog').verdict, 'refused');
  t.is(admit(world, 'shop/web-1', 'spiffe://other/ns/shop/sa/web').verdict, 'refused');
  t.is(admit(world, 'shop/web-9', 'spiffe://cluster.local/ns/shop/sa/web').verdict, 'unknown-pod');
});

test('HTTP/2 is for Envoy where it is declared, and for agents that say so between themselves too', (t) => {
  t.is(http2UseOf(create(NodeSchema, { userAgentName: 'envoy' })), 'declared');
  t.is(http2UseOf(create(NodeSchema, { clientFeatures: ['chainmail.http2'] })), 'mesh');
  t.is(http2UseOf(create(NodeSchema, { userAgentName: 'chainmail' })), 'none');
});
