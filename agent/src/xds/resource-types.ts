/** The resource types the agent subscribes to, by the names of their discovery services. */

export const resourceTypes = {
  cds: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  eds: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  lds: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  rds: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  rtds: 'type.googleapis.com/envoy.service.runtime.v3.Runtime',
} as const;

/** Those that are subscribed to by name. */
export type NamedKind = 'eds' | 'rds' | 'rtds';

export type ResourceKind = keyof typeof resourceTypes;

export function kindOf(typeUrl: string): ResourceKind | undefined {
  return (Object.keys(resourceTypes) as ResourceKind[]).find((kind) => resourceTypes[kind] === typeUrl);
}
