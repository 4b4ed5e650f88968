/**
 * The HTTP/1.1 connections to one host: idle ones last in, first out, and requests that wait for one, first come, first
 * served. Invariant: a connection is either idle here or works for exactly one request.
 */
import type { Cluster, Host } from '../cluster/cluster.ts';
import type { CloseReason } from '../net/stream.ts';
import { clusterHistogram, clusterStat, observe } from '../stats/layout.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { Http1RequestWriter } from './http1-request-writer.ts';
import { Http1Upstream } from './http1-upstream.ts';
import { LazyTimer } from './lazy-timer.ts';
import { connectFailureOf, type UpstreamFailure } from './upstream-failure.ts';
import type { Acquired, RequestPool, UpstreamUser } from './upstream-request.ts';
import { workerShared } from './worker-shared.ts';

const { at } = clusterStat;

export class Http1Pool implements RequestPool {
  readonly cluster: Cluster;
  readonly host: Host;
  readonly runtime: WorkerRuntime;
  readonly writer: Http1RequestWriter;
  readonly #idle: Http1Upstream[] = [];
  readonly #pending: UpstreamUser[] = [];
  readonly #idleTimer: LazyTimer;
  #connecting = 0;
  /** Counts up when idle and busy connections shall not be used again. */
  generation = 0;

  constructor(cluster: Cluster, host: Host, runtime: WorkerRuntime) {
    this.cluster = cluster;
    this.host = host;
    this.runtime = runtime;
    this.writer = new Http1RequestWriter(runtime.readBuffer, workerShared(runtime));
    this.#idleTimer = new LazyTimer(runtime.clock, runtime.timers, () => this.#closeExpired());
  }

  acquire(user: UpstreamUser, fresh: boolean): Acquired {
    const reused = fresh ? null : this.#takeIdle(user.sni);
    if (reused !== null) {
      reused.serve(user, true);
      return 'ready';
    }
    if (!this.cluster.admitPending()) return 'overflow';
    this.count(at.upstream_rq_pending_total);
    this.count(at.upstream_rq_pending_active);
    this.#pending.push(user);
    // Over the limit a request waits for a connection that another gives back; a host without any gets one all the same.
    const admitted = this.cluster.admitConnection();
    if (admitted || this.host.activeConnections === 0) this.#dial(user.sni, admitted);
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

  cancel(user: UpstreamUser): void {
    const index = this.#pending.indexOf(user);
    if (index >= 0) this.#unpend(index);
  }

  #unpend(index: number): void {
    this.#pending.splice(index, 1);
    this.cluster.releasePending();
    this.count(at.upstream_rq_pending_active, -1);
  }

  #dial(sni: string, admitted: boolean): void {
    const { host, cluster } = this;
    const { spec } = cluster;
    host.activeConnections++;
    host.cxTotal++;
    this.#connecting++;
    this.count(at.upstream_cx_total);
    this.count(at.upstream_cx_http1_total);
    this.count(at.upstream_cx_active);
    const connection = new Http1Upstream(this, sni, admitted);
    connection.stream = this.runtime.dial(
      {
        address: host.address,
        tls: host.tls,
        sni,
        connectTimeoutMs: spec.connectTimeoutMs,
        bufferLimitBytes: spec.bufferLimitBytes,
        bind: host.address.ip.includes(':') ? spec.bindV6 : spec.bindV4,
        keepalive: spec.tcpKeepalive,
        target: cluster.name,
      },
      connection,
    );
  }

  /** A dialled connection is up. */
  connected(connection: Http1Upstream): void {
    this.#connecting--;
    this.#offer(connection, false);
  }

  /** A connection could not be made: one waiting request hears of it. */
  connectFailed(connection: Http1Upstream, reason: CloseReason, detail: string): void {
    this.#connecting--;
    this.host.cxConnectFail++;
    this.count(at.upstream_cx_connect_fail);
    const failure = connectFailureOf(reason);
    if (failure === 'connect-timeout') this.count(at.upstream_cx_connect_timeout);
    this.#forget(connection);
    this.#failOldest(failure, detail);
  }

  #failOldest(failure: UpstreamFailure, detail: string): void {
    const user = this.#pending[0];
    if (user === undefined || this.#connecting >= this.#pending.length) return;
    this.#unpend(0);
    this.count(at.upstream_rq_pending_failure_eject);
    user.onConnectFailed(failure, detail);
  }

  /** A connection has finished a request and can take another. */
  release(connection: Http1Upstream): void {
    this.#offer(connection, true);
  }

  #offer(connection: Http1Upstream, reused: boolean): void {
    const user = this.#pending.length === 0 ? undefined : this.#pending.find((u) => u.sni === connection.sni);
    if (user !== undefined) {
      this.cancel(user);
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
    this.#forget(connection);
    // Its place may be what a waiting request needs.
    const waiting = this.#pending[this.#connecting];
    if (waiting === undefined) return;
    const admitted = this.cluster.admitConnection();
    if (admitted || this.host.activeConnections === 0) this.#dial(waiting.sni, admitted);
  }

  #forget(connection: Http1Upstream): void {
    this.host.activeConnections--;
    if (connection.admitted) this.cluster.releaseConnection();
    this.count(at.upstream_cx_active, -1);
    this.count(at.upstream_cx_destroy);
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

  countConnect(startedMs: number): void {
    const { slots, clock } = this.runtime;
    const elapsedMs = Math.max(0, Math.floor(clock.nowMs - startedMs));
    observe(slots, this.cluster.stats + clusterHistogram.upstream_cx_connect_ms, elapsedMs);
  }

  count(slot: number, by = 1): void {
    const { slots } = this.runtime;
    const i = this.cluster.stats + slot;
    slots[i] = (slots[i] as number) + by;
  }
}
