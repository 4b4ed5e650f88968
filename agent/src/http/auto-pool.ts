/**
 * The connections to one host whose protocol is agreed on by ALPN: HTTP/2 where the peer speaks it, HTTP/1.1 otherwise.
 * An upgrade (WebSocket) always has an HTTP/1.1 connection of its own, so that its bytes ride as they are.
 * Invariant: what was dialled for one protocol and speaks the other is used for that one, and its requests with it.
 */
import type { Cluster, Host } from '../cluster/cluster.ts';
import type { Stream } from '../net/stream.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { Http1Pool } from './http1-pool.ts';
import type { Http2Dial } from './http2-dial.ts';
import { Http2Pool, type Negotiation } from './http2-pool.ts';
import type { Acquired, RequestPool, UpstreamUser } from './upstream-request.ts';

export class AutoPool implements RequestPool, Negotiation {
  readonly #http1: Http1Pool;
  readonly #http2: Http2Pool;
  readonly #host: Host;
  /** What the peer has agreed on last; HTTP/2 is tried again when there is no connection left. */
  #speaksHttp2 = true;

  constructor(cluster: Cluster, host: Host, runtime: WorkerRuntime) {
    this.#host = host;
    const others = (host.tls?.alpn ?? []).filter((protocol) => protocol !== 'h2');
    this.#http1 = new Http1Pool(cluster, host, runtime, others);
    this.#http2 = new Http2Pool(cluster, host, runtime, this);
  }

  acquire(user: UpstreamUser, fresh: boolean): Acquired {
    if (user.wantsUpgrade) return this.#http1.acquire(user, fresh);
    if (this.#host.activeConnections === 0) this.#speaksHttp2 = true;
    return this.#speaksHttp2 ? this.#http2.acquire(user) : this.#http1.acquire(user, fresh);
  }

  cancel(user: UpstreamUser): void {
    this.#http1.cancel(user);
    this.#http2.cancel(user);
  }

  isHttp2(stream: Stream): boolean {
    return stream.info.alpn === 'h2';
  }

  onHttp2(): void {
    this.#speaksHttp2 = true;
  }

  onOther(stream: Stream, { sni, admitted }: Http2Dial, waiting: readonly UpstreamUser[]): void {
    this.#speaksHttp2 = false;
    const first = waiting.find((user) => user.sni === sni);
    if (first !== undefined) this.#http1.expect(first);
    this.#http1.adopt(stream, sni, admitted);
    for (const user of waiting) if (user !== first) this.#http1.takeOver(user);
  }

  drain(): void {
    this.#http1.drain();
    this.#http2.drain();
  }
}
