/** The one place that knows which class carries which type of cluster. */
import type { ClusterSpec } from '../model/cluster.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import type { Cluster } from './cluster.ts';
import { EndpointCluster } from './endpoint-cluster.ts';
import { OriginalDstCluster } from './original-dst-cluster.ts';

/** Makes a cluster without endpoints; they come by setEndpoints, except for original_dst, which needs none. */
export function createCluster(spec: ClusterSpec, runtime: WorkerRuntime): Cluster {
  return spec.type === 'original_dst' ? new OriginalDstCluster(spec, runtime) : new EndpointCluster(spec, runtime);
}
