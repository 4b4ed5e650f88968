/** What a pod would get, as Envoy's JSON: for golden files and for a real Envoy. */
import { type JsonObject, type MessageShape, toJson } from '@bufbuild/protobuf';
import { registry } from '@chainmail/xds/registry';
import type { Http2Use } from '../model/http2-use.ts';
import type { World } from '../model/world.ts';
import { type Piece, type ResourceType, resourceTypes, schemas } from '../snapshot/piece.ts';
import { audienceOf, ownPieces, sharedPieces } from '../snapshot/pieces.ts';

export type Rendered = Readonly<Record<ResourceType, readonly JsonObject[]>>;

export function piecesFor(world: World, podKey: string, http2: Http2Use = 'mesh'): Piece[] {
  const pod = world.pods.get(podKey);
  if (pod === undefined) throw new Error(`no pod ${podKey}`);
  return [...ownPieces(world, pod, http2), ...sharedPieces(world, audienceOf(pod, http2))];
}

export function renderFor(world: World, podKey: string, http2: Http2Use = 'mesh'): Rendered {
  const pieces = piecesFor(world, podKey, http2);
  const of = (type: ResourceType): JsonObject[] => {
    const schema = schemas[type];
    return pieces
      .filter((p) => p.type === type)
      .map(
        (p) =>
          toJson(schema, p.make() as MessageShape<typeof schema>, { registry, useProtoFieldName: true }) as JsonObject,
      );
  };
  return Object.fromEntries(resourceTypes.map((t) => [t, of(t)])) as unknown as Rendered;
}
