/** The one place that knows which protocol a host is spoken to in. */
import type { Cluster, Host } from '../cluster/cluster.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { AutoPool } from './auto-pool.ts';
import { DownstreamPool } from './downstream-pool.ts';
import { Http1Pool } from './http1-pool.ts';
import { Http2Pool } from './http2-pool.ts';
import type { RequestPool } from './upstream-request.ts';

type Protocol = Cluster['spec']['protocol'];

/** The pool that hangs on a host, made on first use. Requests of HIGH priority have one of their own, as in Envoy. */
export function poolOf(cluster: Cluster, host: Host, runtime: WorkerRuntime): RequestPool {
  const high = cluster.priority === 'high';
  const known = high ? host.highPool : host.pool;
  const { protocol } = cluster.spec;
  if (known !== null && (high ? host.highPoolProtocol : host.poolProtocol) === protocol) return known as RequestPool;
  known?.drain();
  const pool = makePool(protocol, cluster, host, runtime);
  if (high) {
    host.highPool = pool;
    host.highPoolProtocol = protocol;
  } else {
    host.pool = pool;
    host.poolProtocol = protocol;
  }
  return pool;
}

function makePool(protocol: Protocol, cluster: Cluster, host: Host, runtime: WorkerRuntime): RequestPool {
  switch (protocol) {
    case 'http1':
      return new Http1Pool(cluster, host, runtime);
    case 'http2':
      return new Http2Pool(cluster, host, runtime, null);
    case 'downstream':
      return new DownstreamPool(cluster, host, runtime);
    case 'auto':
      // Without TLS there is nobody to agree with.
      return host.tls === null ? new Http1Pool(cluster, host, runtime) : new AutoPool(cluster, host, runtime);
  }
}
