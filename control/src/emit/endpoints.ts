/** Endpoints of a Service's port; the metadata names the identity that the connection must prove. */
import { create, type JsonObject } from '@bufbuild/protobuf';
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from '@chainmail/xds/proto/envoy/config/endpoint/v3/endpoint';
import type { MeshEndpoint } from '../model/world.ts';
import { socketAddress } from './address.ts';

/** The key under which Envoy looks for what chooses among a cluster's transport sockets. */
const transportSocketMatch = 'envoy.transport_socket_match';

function metadata(identity: string | undefined): { metadata?: { filterMetadata: Record<string, JsonObject> } } {
  return identity === undefined ? {} : { metadata: { filterMetadata: { [transportSocketMatch]: { identity } } } };
}

export function loadAssignment(clusterName: string, endpoints: readonly MeshEndpoint[]): ClusterLoadAssignment {
  const lbEndpoints = endpoints.map((e) => ({
    hostIdentifier: { case: 'endpoint', value: { address: socketAddress(e.address, e.port) } } as const,
    ...metadata(e.identity),
  }));
  return create(ClusterLoadAssignmentSchema, {
    clusterName,
    endpoints: lbEndpoints.length === 0 ? [] : [{ lbEndpoints }],
  });
}
