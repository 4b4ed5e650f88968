/** The one place that knows which protocol a host is spoken to in. */
import type { Cluster, Host } from '../cluster/cluster.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { Http1Pool } from './http1-pool.ts';
import type { RequestPool } from './upstream-request.ts';

/** The pool that hangs on a host, made on first use. Requests of HIGH priority have one of their own, as in Envoy. */
export function poolOf(cluster: Cluster, host: Host, runtime: WorkerRuntime): RequestPool {
  const high = cluster.priority === 'high';
  const known = high ? host.highPool : host.pool;
  if (known instanceof Http1Pool) return known;
  const pool = new Http1Pool(cluster, host, runtime);
  if (high) host.highPool = pool;
  else host.pool = pool;
  return pool;
}
