/** The connections to one host that is spoken to in whatever each client speaks. */
import type { Cluster, Host } from '../cluster/cluster.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { Http1Pool } from './http1-pool.ts';
import { Http2Pool } from './http2-pool.ts';
import type { Acquired, RequestPool, UpstreamUser } from './upstream-request.ts';

export class DownstreamPool implements RequestPool {
  readonly #http1: Http1Pool;
  readonly #http2: Http2Pool;

  constructor(cluster: Cluster, host: Host, runtime: WorkerRuntime) {
    this.#http1 = new Http1Pool(cluster, host, runtime);
    this.#http2 = new Http2Pool(cluster, host, runtime, null);
  }

  acquire(user: UpstreamUser, fresh: boolean): Acquired {
    return user.downstreamProtocol === 'http2' ? this.#http2.acquire(user) : this.#http1.acquire(user, fresh);
  }

  cancel(user: UpstreamUser): void {
    this.#http1.cancel(user);
    this.#http2.cancel(user);
  }

  drain(): void {
    this.#http1.drain();
    this.#http2.drain();
  }
}
