/** The one place that knows which protocol a host is spoken to in. */
import type { Cluster, Host } from '../cluster/cluster.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { Http1Pool } from './http1-pool.ts';
import type { RequestPool } from './upstream-request.ts';

/** The pool that hangs on a host, made on first use. */
export function poolOf(cluster: Cluster, host: Host, runtime: WorkerRuntime): RequestPool {
  if (host.pool instanceof Http1Pool) return host.pool;
  const pool = new Http1Pool(cluster, host, runtime);
  host.pool = pool;
  return pool;
}
