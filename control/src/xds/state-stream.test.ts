import { create, fromBinary } from '@bufbuild/protobuf';
import {
  DiscoveryRequestSchema,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
} from '@chainmail/xds/proto/envoy/service/discovery/v3/discovery';
import test from 'ava';
import { buildWorld } from '../model/build-world.ts';
import { type ResourceType, typeUrlOf } from '../snapshot/piece.ts';
import { Translator } from '../snapshot/snapshot.ts';
import { catalogPolicy, objectsOf, shop } from '../testing/world-files.ts';
import type { StreamEvents } from './agent-stream.ts';
import { StateStream } from './state-stream.ts';

const events: StreamEvents = { pushed: () => {}, acknowledged: () => {}, rejected: () => {}, changed: () => {} };

function setUp() {
  const translator = new Translator(buildWorld('cluster.local', objectsOf(shop)), () => {});
  const snapshot = () => {
    const pod = translator.world.pods.get('shop/catalog-1');
    if (pod === undefined) throw new Error('no pod');
    return translator.snapshotFor(pod, 'none');
  };
  const sent: DiscoveryResponse[] = [];
  const stream = new StateStream(snapshot(), (bytes) => sent.push(fromBinary(DiscoveryResponseSchema, bytes)), events);
  const ask = (type: ResourceType, names: string[] = [], more: { nonce?: string; error?: string } = {}): void =>
    stream.handle(
      create(DiscoveryRequestSchema, {
        typeUrl: typeUrlOf(type),
        resourceNames: names,
        responseNonce: more.nonce ?? '',
        ...(more.error === undefined ? {} : { errorDetail: { message: more.error } }),
      }),
    );
  const publish = (...texts: string[]): void => {
    translator.update(buildWorld('cluster.local', objectsOf(...texts)));
    stream.update(snapshot());
  };
  return { stream, sent, ask, publish };
}

test('all resources of a type, once, until something of the type changes', (t) => {
  const { stream, sent, ask, publish } = setUp();
  ask('listener');
  t.is(sent.length, 1);
  t.is(sent[0]?.resources.length, 2);
  ask('listener', [], { nonce: sent[0]?.nonce ?? '' });
  t.is(sent.length, 1);
  t.true(stream.settled);
  publish(shop);
  t.is(sent.length, 1);
  publish(shop, catalogPolicy);
  t.is(sent.length, 2);
  t.not(sent[1]?.versionInfo, sent[0]?.versionInfo);
});

test('listeners wait until clusters are acknowledged; a refusal is kept and not repeated', (t) => {
  const { stream, sent, ask } = setUp();
  ask('cluster');
  ask('listener');
  t.deepEqual(
    sent.map((s) => s.typeUrl),
    [typeUrlOf('cluster')],
  );
  ask('cluster', [], { nonce: sent[0]?.nonce ?? '', error: 'no' });
  t.deepEqual(
    sent.map((s) => s.typeUrl),
    [typeUrlOf('cluster'), typeUrlOf('listener')],
  );
  t.is(stream.types.find((x) => x.type === 'cluster')?.rejection?.reason, 'no');
});

test('named resources, and another set of names', (t) => {
  const { sent, ask } = setUp();
  const catalog = 'outbound|80||catalog.shop.svc.cluster.local';
  ask('endpoints', [catalog]);
  t.is(sent[0]?.resources.length, 1);
  ask('endpoints', [catalog, 'outbound|5432||db.shop.svc.cluster.local'], { nonce: sent[0]?.nonce ?? '' });
  t.is(sent[1]?.resources.length, 2);
});
