/**
 * One xDS resource before it is encoded: the plain data it follows from, and how to make it. Equal data make equal
 * bytes, so the data serve as the key under which the bytes are kept and shared.
 */
import type { DescMessage, Message } from '@bufbuild/protobuf';
import { ClusterSchema } from '@chainmail/xds/proto/envoy/config/cluster/v3/cluster';
import { ClusterLoadAssignmentSchema } from '@chainmail/xds/proto/envoy/config/endpoint/v3/endpoint';
import { ListenerSchema } from '@chainmail/xds/proto/envoy/config/listener/v3/listener';
import { RouteConfigurationSchema } from '@chainmail/xds/proto/envoy/config/route/v3/route';

/** In the order in which they must reach an agent: what is referred to comes before what refers to it. */
export const resourceTypes = ['cluster', 'endpoints', 'listener', 'route'] as const;
export type ResourceType = (typeof resourceTypes)[number];

export const schemas = {
  cluster: ClusterSchema,
  endpoints: ClusterLoadAssignmentSchema,
  listener: ListenerSchema,
  route: RouteConfigurationSchema,
} as const satisfies Record<ResourceType, DescMessage>;

export const typeUrlOf = (type: ResourceType): string => `type.googleapis.com/${schemas[type].typeName}`;

export const typeOfUrl: ReadonlyMap<string, ResourceType> = new Map(resourceTypes.map((t) => [typeUrlOf(t), t]));

export interface Piece {
  readonly type: ResourceType;
  readonly name: string;
  /** JSON-able; everything that make() depends on. */
  readonly model: unknown;
  make(): Message;
}
