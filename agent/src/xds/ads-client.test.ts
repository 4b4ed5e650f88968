import { create } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { ManualClock, silentLogger } from '@chainmail/runtime';
import { NodeSchema } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import {
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from '@chainmail/xds/proto/envoy/service/discovery/v3/discovery';
import test from 'ava';
import { AdsClient, type AdsStreamEvents } from './ads-client.ts';
import type { ApplyResult } from './live-config.ts';
import { type ResourceKind, resourceTypes } from './resource-types.ts';

/** The other end of the stream, played by the test; the configuration is a table of what is wanted and refused. */
function setUp() {
  const clock = new ManualClock();
  const streams: { events: AdsStreamEvents; sent: DeltaDiscoveryRequest[]; ended: boolean }[] = [];
  const wanted = { eds: new Set<string>(), rds: new Set<string>(), rtds: new Set<string>() };
  const refuse = new Map<string, string>();
  const gaveUp: ResourceKind[] = [];
  const client = new AdsClient({
    open: (events) => {
      const stream = { events, sent: [] as DeltaDiscoveryRequest[], ended: false };
      streams.push(stream);
      return {
        send: (request) => stream.sent.push(request),
        end: () => {
          stream.ended = true;
        },
      };
    },
    target: {
      apply: (_kind, resources): ApplyResult => ({
        accepted: new Map(resources.filter((r) => !refuse.has(r.name)).map((r) => [r.name, r.version])),
        errors: resources.flatMap((r) => refuse.get(r.name) ?? []),
      }),
      wanted: (kind) => wanted[kind],
      giveUpWaiting: (kind) => gaveUp.push(kind),
    },
    node: create(NodeSchema, { id: 'n' }),
    clock,
    log: silentLogger,
    cds: true,
    lds: true,
    random: () => 0.5,
  });
  return { clock, streams, wanted, refuse, gaveUp, client };
}

function response(
  kind: ResourceKind,
  names: readonly string[],
  nonce: string,
  removed: string[] = [],
): DeltaDiscoveryResponse {
  return create(DeltaDiscoveryResponseSchema, {
    typeUrl: resourceTypes[kind],
    nonce,
    systemVersionInfo: `v-${nonce}`,
    resources: names.map((name) => ({ name, version: nonce, resource: create(AnySchema) })),
    removedResources: removed,
  });
}

const kinds = (sent: readonly DeltaDiscoveryRequest[]): readonly string[] =>
  sent.map((r) => (Object.keys(resourceTypes) as ResourceKind[]).find((k) => resourceTypes[k] === r.typeUrl) ?? '?');

test('clusters first, with the node once; then an ACK, endpoints by reference, listeners', (t) => {
  const { client, streams, wanted } = setUp();
  client.start();
  const [stream] = streams;
  if (stream === undefined) return t.fail();
  t.deepEqual(kinds(stream.sent), ['cds']);
  t.is(stream.sent[0]?.node?.id, 'n');
  wanted.eds.add('a');
  stream.events.onResponse(response('cds', ['a'], '1'));
  t.deepEqual(kinds(stream.sent), ['cds', 'cds', 'eds', 'lds']);
  t.is(stream.sent[1]?.responseNonce, '1');
  t.is(stream.sent[1]?.errorDetail, undefined);
  t.is(stream.sent[1]?.node, undefined);
  t.deepEqual(stream.sent[2]?.resourceNamesSubscribe, ['a']);
  wanted.rds.add('r');
  wanted.eds.clear();
  stream.events.onResponse(response('lds', ['l'], '2'));
  t.deepEqual(kinds(stream.sent.slice(4)), ['lds', 'eds', 'rds']);
  t.deepEqual(stream.sent[5]?.resourceNamesUnsubscribe, ['a']);
  t.true(client.stats.isConnected);
  client.stop();
  t.true(stream.ended);
});

test('what is refused is a NACK with the reason', (t) => {
  const { client, streams, refuse } = setUp();
  client.start();
  refuse.set('bad', 'bad: lb_policy: not implemented');
  streams[0]?.events.onResponse(response('cds', ['good', 'bad'], '1'));
  const nack = streams[0]?.sent[1];
  t.is(nack?.responseNonce, '1');
  t.is(nack?.errorDetail?.code, 3);
  t.is(nack?.errorDetail?.message, 'bad: lb_policy: not implemented');
  client.stop();
});

test('it comes back with the versions it holds, after a wait that grows', (t) => {
  const { client, streams, refuse, wanted, clock } = setUp();
  client.start();
  refuse.set('bad', 'no');
  wanted.eds.add('a');
  streams[0]?.events.onResponse(response('cds', ['a', 'bad', 'gone'], '1'));
  streams[0]?.events.onResponse(response('eds', ['a'], '2'));
  streams[0]?.events.onResponse(response('cds', [], '3', ['gone']));
  streams[0]?.events.onClosed('reset');
  streams[0]?.events.onClosed('twice');
  streams[0]?.events.onResponse(response('cds', ['late'], '4'));
  t.false(client.stats.isConnected);
  t.is(streams.length, 1);
  clock.advance(149);
  t.is(streams.length, 1);
  clock.advance(1);
  t.is(streams.length, 2);
  const again = streams[1]?.sent ?? [];
  t.deepEqual(kinds(again), ['cds', 'eds', 'lds']);
  t.is(again[0]?.node?.id, 'n');
  t.deepEqual(again[0]?.initialResourceVersions, { a: '1' });
  t.deepEqual(again[1]?.initialResourceVersions, { a: '2' });
  streams[1]?.events.onClosed('reset');
  clock.advance(150);
  t.is(streams.length, 2);
  clock.advance(150);
  t.is(streams.length, 3);
  client.stop();
  clock.advance(100_000);
  t.is(streams.length, 3);
});

test('a server that does not answer is given up on for the start, not for good', (t) => {
  const { client, streams, gaveUp, clock } = setUp();
  client.start();
  clock.advance(15_000);
  t.deepEqual(gaveUp, ['cds']);
  t.deepEqual(kinds(streams[0]?.sent ?? []), ['cds', 'lds']);
  clock.advance(15_000);
  t.deepEqual(gaveUp, ['cds', 'lds']);
  client.stop();
});

test('the runtime is asked for before all else, and not waited for beyond its time', (t) => {
  const { client, streams, wanted, clock, gaveUp } = setUp();
  wanted.rtds.add('layer');
  client.start();
  const [stream] = streams;
  if (stream === undefined) return t.fail();
  t.deepEqual(kinds(stream.sent), ['rtds', 'cds']);
  t.deepEqual(stream.sent[0]?.resourceNamesSubscribe, ['layer']);
  t.is(stream.sent[0]?.node?.id, 'n');
  clock.advance(15_000);
  t.true(gaveUp.includes('rtds'));
  stream.events.onResponse(response('rtds', ['layer'], '7'));
  t.is(stream.sent.at(-1)?.responseNonce, '7');
  stream.events.onClosed('gone');
  clock.advance(10_000);
  t.deepEqual(streams[1]?.sent[0]?.initialResourceVersions, { layer: '7' });
});
