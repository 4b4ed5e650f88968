/**
 * The HTTP/1.1 connections to one host: idle ones last in, first out, and requests that wait for one. Invariant: a
 * connection is either idle here or works for exactly one request.
 */
import type { Cluster, Host } from '../cluster/cluster.ts';
import { defaultResponseLimits, type HeadLimits } from '../http1/parse-head.ts';
import type { CloseReason, Stream } from '../net/stream.ts';
import { clusterStat } from '../stats/layout.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { HostConnections } from './host-connections.ts';
import { Http1RequestWriter } from './http1-request-writer.ts';
import { Http1Upstream } from './http1-upstream.ts';
import { LazyTimer } from './lazy-timer.ts';
import { NameCounts } from './name-counts.ts';
import type { Acquired, RequestPool, UpstreamUser } from './upstream-request.ts';
import { workerShared } from './worker-shared.ts';

const { at } = clusterStat;

export class Http1Pool extends HostConnections implements RequestPool {
  readonly writer: Http1RequestWriter;
  readonly #idle: Http1Upstream[] = [];
  readonly #idleTimer: LazyTimer;
  readonly #alpn: readonly string[] | undefined;

  /** alpn: offered instead of what the TLS context says; absent leaves it. */
  constructor(cluster: Cluster, host: Host, runtime: WorkerRuntime, alpn?: readonly string[]) {
    super(cluster, host, runtime);
    this.writer = new Http1RequestWriter(runtime.readBuffer, workerShared(runtime));
    this.#alpn = alpn;
    this.#idleTimer = new LazyTimer(runtime.clock, runtime.timers, () => this.#closeExpired());
  }

  get responseLimits(): HeadLimits {
    return this.cluster.spec.responseLimits ?? defaultResponseLimits;
  }

  acquire(user: UpstreamUser, fresh: boolean): Acquired {
    const reused = fresh ? null : this.#takeIdle(user.sni);
    if (reused !== null) {
      reused.serve(user, true);
      return 'ready';
    }
    if (!this.pend(user)) return 'overflow';
    const { dials, admitted } = this.mayDial(user.sni);
    // Beyond the limit, one that nobody uses makes room. Otherwise the request waits for one that another gives back.
    const idle = admitted ? undefined : this.#idle.shift();
    if (idle !== undefined) idle.closeLocal();
    else if (dials) this.#dial(user.sni, admitted);
    return 'pending';
  }

  #takeIdle(sni: string): Http1Upstream | null {
    for (let i = this.#idle.length - 1; i >= 0; i--) {
      const connection = this.#idle[i] as Http1Upstream;
      if (connection.sni !== sni) continue;
      if (i === this.#idle.length - 1) this.#idle.pop();
      else this.#idle.splice(i, 1);
      if (this.runtime.clock.nowMs - connection.idleSinceMs < connection.usableIdleMs) return connection;
      connection.closeLocal();
    }
    return null;
  }

  #dial(sni: string, admitted: boolean): void {
    const connection = new Http1Upstream(this, sni, admitted);
    this.count(at.upstream_cx_http1_total);
    connection.stream = this.dial(sni, connection, this.#alpn);
  }

  /** A request that waited elsewhere gets the connection that is adopted next. */
  expect(user: UpstreamUser): void {
    if (!this.pend(user)) user.onConnectFailed('overflow', '');
  }

  /** A request that waited elsewhere. */
  takeOver(user: UpstreamUser): void {
    if (this.acquire(user, false) === 'overflow') user.onConnectFailed('overflow', '');
  }

  /** Takes over a connection that was dialled and is up, and the account of it. */
  adopt(stream: Stream, sni: string, admitted: boolean): void {
    const connection = new Http1Upstream(this, sni, admitted);
    this.open.add(sni, 1);
    this.count(at.upstream_cx_http1_total);
    connection.adopt(stream);
    this.#offer(connection, false);
  }

  /** A dialled connection is up. */
  connected(connection: Http1Upstream): void {
    this.connecting.add(connection.sni, -1);
    this.#offer(connection, false);
  }

  /** A connection could not be made: one request that waited for its name hears of it, or all where there is no other. */
  connectFailed(connection: Http1Upstream, reason: CloseReason, detail: string): void {
    const { sni } = connection;
    const failure = this.countConnectFailure(sni, reason);
    this.forget(connection);
    do {
      const waiting = this.pending.filter((user) => user.sni === sni);
      const [first] = waiting;
      if (first === undefined || this.connecting.of(sni) >= waiting.length) return;
      this.failPending(this.pending.indexOf(first), failure, detail);
    } while (this.open.of(sni) === 0);
  }

  /** A connection has finished a request and can take another. */
  release(connection: Http1Upstream): void {
    this.#offer(connection, true);
  }

  #offer(connection: Http1Upstream, reused: boolean): void {
    const user = this.takePending(connection.sni);
    if (user !== undefined) {
      connection.serve(user, reused);
      return;
    }
    if (this.host.removed) {
      connection.closeLocal();
      return;
    }
    connection.idleSinceMs = this.runtime.clock.nowMs;
    this.#idle.push(connection);
    const { idleTimeoutMs } = this.cluster.spec;
    if (idleTimeoutMs > 0 && this.#idle.length === 1) this.#idleTimer.set(connection.idleSinceMs + idleTimeoutMs);
  }

  /** An idle connection has ended. */
  dropIdle(connection: Http1Upstream): void {
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
  }

  /** A connection has ended, however. */
  closed(connection: Http1Upstream): void {
    this.forget(connection);
    if (this.pending.length > 0) this.#dialForWaiting();
  }

  /** A place has become free: dials for requests that no connection is on its way for. */
  #dialForWaiting(): void {
    const seen = new NameCounts();
    let full: string | null = null;
    for (const { sni } of this.pending.slice()) {
      // At the limit, whatever has a connection waits for that. Many in a row ask for the same name.
      if (full === sni || (full !== null && this.open.of(sni) > 0)) continue;
      seen.add(sni, 1);
      if (seen.of(sni) <= this.connecting.of(sni)) continue;
      const { dials, admitted } = this.mayDial(sni);
      if (dials) this.#dial(sni, admitted);
      if (!admitted) full = sni;
    }
  }

  /** The oldest lie at the bottom. */
  #closeExpired(): void {
    const { idleTimeoutMs } = this.cluster.spec;
    const now = this.runtime.clock.nowMs;
    while (this.#idle.length > 0) {
      const oldest = this.#idle[0] as Http1Upstream;
      if (now < oldest.idleSinceMs + idleTimeoutMs) {
        this.#idleTimer.set(oldest.idleSinceMs + idleTimeoutMs);
        return;
      }
      this.#idle.shift();
      this.count(at.upstream_cx_idle_timeout);
      oldest.closeLocal();
    }
  }

  drain(): void {
    this.generation++;
    for (const connection of this.#idle.splice(0)) connection.closeLocal();
    this.#idleTimer.stop();
  }
}
