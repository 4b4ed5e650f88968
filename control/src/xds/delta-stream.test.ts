import { create, fromBinary } from '@bufbuild/protobuf';
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from '@chainmail/xds/proto/envoy/service/discovery/v3/discovery';
import test from 'ava';
import { buildWorld } from '../model/build-world.ts';
import { type ResourceType, typeOfUrl, typeUrlOf } from '../snapshot/piece.ts';
import { Translator } from '../snapshot/snapshot.ts';
import { objectsOf, shop } from '../testing/world-files.ts';
import type { StreamEvents } from './agent-stream.ts';
import { DeltaStream } from './delta-stream.ts';

const events: StreamEvents = { pushed: () => {}, acknowledged: () => {}, rejected: () => {}, changed: () => {} };
const other = shop.replace('name: db, namespace: shop }\nspec', 'name: db2, namespace: shop }\nspec');
const endpointsOfDb = 'outbound|5432||db.shop.svc.cluster.local';
const endpointsOfDb2 = 'outbound|5432||db2.shop.svc.cluster.local';

function setUp() {
  const translator = new Translator(buildWorld('cluster.local', objectsOf(shop)), () => {});
  const snapshot = () => {
    const pod = translator.world.pods.get('shop/web-1');
    if (pod === undefined) throw new Error('no pod');
    return translator.snapshotFor(pod, 'none');
  };
  const sent: DeltaDiscoveryResponse[] = [];
  const stream = new DeltaStream(snapshot(), (b) => sent.push(fromBinary(DeltaDiscoveryResponseSchema, b)), events);
  const request = (type: ResourceType, subscribe: string[], nonce = '', error?: string): void =>
    stream.handle(
      create(DeltaDiscoveryRequestSchema, {
        typeUrl: typeUrlOf(type),
        resourceNamesSubscribe: subscribe,
        responseNonce: nonce,
        ...(error === undefined ? {} : { errorDetail: { message: error } }),
      }),
    );
  const last = (type: ResourceType): DeltaDiscoveryResponse => {
    const found = sent.findLast((r) => r.typeUrl === typeUrlOf(type));
    if (found === undefined) throw new Error(`nothing of ${type}`);
    return found;
  };
  const acknowledge = (type: ResourceType): void => request(type, [], last(type).nonce);
  const publish = (text: string): void => {
    translator.update(buildWorld('cluster.local', objectsOf(text)));
    stream.update(snapshot());
  };
  const log = (): (string | undefined)[] => sent.map((r) => typeOfUrl.get(r.typeUrl));
  const start = (): void => {
    request('cluster', []);
    acknowledge('cluster');
    request('endpoints', [endpointsOfDb]);
    acknowledge('endpoints');
    request('listener', []);
    acknowledge('listener');
    sent.length = 0;
  };
  return { stream, sent, request, acknowledge, publish, log, last, start };
}

test('endpoints of a new cluster are sent while the cluster is not acknowledged: Envoy waits for them', (t) => {
  const { start, publish, request, acknowledge, log, stream } = setUp();
  start();
  publish(other);
  t.deepEqual(log(), ['cluster']);
  request('endpoints', [endpointsOfDb2]);
  t.deepEqual(log(), ['cluster', 'endpoints']);
  acknowledge('cluster');
  t.deepEqual(log(), ['cluster', 'endpoints'], 'listeners wait for the endpoints too');
  acknowledge('endpoints');
  t.deepEqual(log(), ['cluster', 'endpoints', 'listener']);
  acknowledge('listener');
  acknowledge('cluster');
  acknowledge('endpoints');
  t.deepEqual(log(), ['cluster', 'endpoints', 'listener', 'cluster', 'endpoints']);
  t.true(stream.settled);
});

test('a cluster goes only after the listener that referred to it is acknowledged', (t) => {
  const { start, publish, request, acknowledge, last, sent } = setUp();
  start();
  publish(other);
  t.deepEqual(last('cluster').removedResources, []);
  request('endpoints', [endpointsOfDb2]);
  acknowledge('cluster');
  acknowledge('endpoints');
  acknowledge('listener');
  t.deepEqual(last('cluster').removedResources, [endpointsOfDb]);
  t.is(sent.length, 4);
  acknowledge('cluster');
  t.deepEqual(last('endpoints').removedResources, [endpointsOfDb]);
});

test('nothing is taken away from an agent that refused the listener', (t) => {
  const { start, publish, request, acknowledge, last, sent } = setUp();
  start();
  publish(other);
  request('endpoints', [endpointsOfDb2]);
  acknowledge('cluster');
  acknowledge('endpoints');
  request('listener', [], last('listener').nonce, 'no');
  t.is(sent.filter((r) => r.removedResources.length > 0).length, 0);
});

test('an answer to an older response settles nothing', (t) => {
  const { request, sent, stream } = setUp();
  request('cluster', []);
  request('cluster', [], 'not-a-nonce');
  t.is(sent.length, 1);
  t.true(stream.types[0]?.pending);
});

test('a type we have nothing of is answered once', (t) => {
  const { stream, sent } = setUp();
  const typeUrl = 'type.googleapis.com/envoy.service.runtime.v3.Runtime';
  stream.handle(create(DeltaDiscoveryRequestSchema, { typeUrl, resourceNamesSubscribe: ['a', '*'] }));
  t.deepEqual(sent[0]?.removedResources, ['a']);
  stream.handle(create(DeltaDiscoveryRequestSchema, { typeUrl, responseNonce: sent[0]?.nonce ?? '' }));
  t.is(sent.length, 1);
});
