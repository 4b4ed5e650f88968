/**
 * What every pool of connections to one host keeps account of: connections that are dialled and end, and requests that
 * wait for one, first come, first served. Invariant: a place among the cluster's pending requests or connections is
 * given back once.
 */
import type { Cluster, Host } from '../cluster/cluster.ts';
import { type CloseReason, type Side, type Stream, type StreamHandler, sideOf } from '../net/stream.ts';
import { clusterHistogram, clusterStat, observe } from '../stats/layout.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { NameCounts } from './name-counts.ts';
import { connectFailureOf, type UpstreamFailure } from './upstream-failure.ts';
import type { UpstreamUser } from './upstream-request.ts';

const { at } = clusterStat;

export const anyUser = (_user: UpstreamUser): boolean => true;

export abstract class HostConnections {
  readonly cluster: Cluster;
  readonly host: Host;
  readonly runtime: WorkerRuntime;
  /** Counts up when connections of now shall not be used again. */
  generation = 0;
  protected readonly pending: UpstreamUser[] = [];
  /** Connections on their way, by the name that they ask for. */
  protected readonly connecting = new NameCounts();
  /** Connections of this pool, up or on their way. */
  protected readonly open = new NameCounts();

  constructor(cluster: Cluster, host: Host, runtime: WorkerRuntime) {
    this.cluster = cluster;
    this.host = host;
    this.runtime = runtime;
  }

  /** False when the cluster has too many requests waiting. */
  protected pend(user: UpstreamUser): boolean {
    if (!this.cluster.admitPending()) return false;
    this.count(at.upstream_rq_pending_total);
    this.count(at.upstream_rq_pending_active);
    this.pending.push(user);
    return true;
  }

  /** The user no longer wants a connection. */
  cancel(user: UpstreamUser): void {
    const index = this.pending.indexOf(user);
    if (index >= 0) this.unpend(index);
  }

  protected unpend(index: number): void {
    this.pending.splice(index, 1);
    this.cluster.releasePending();
    this.count(at.upstream_rq_pending_active, -1);
  }

  /** Takes the first request that wants this name and that may be taken, or undefined. */
  protected takePending(sni: string, mayTake = anyUser): UpstreamUser | undefined {
    const index = this.pending.length === 0 ? -1 : this.pending.findIndex((u) => u.sni === sni && mayTake(u));
    const user = this.pending[index];
    if (user !== undefined) this.unpend(index);
    return user;
  }

  /**
   * Over its limit a cluster gets no more connections, but a name for which a pool has none gets one all the same: those
   * of other names, and of the host's other pools, will never serve what waits here.
   */
  protected mayDial(sni: string): { readonly dials: boolean; readonly admitted: boolean } {
    const admitted = this.cluster.admitConnection();
    return { dials: admitted || this.open.of(sni) === 0, admitted };
  }

  /** alpn: offered instead of what the TLS context says; absent leaves it. */
  protected dial(sni: string, handler: StreamHandler, alpn?: readonly string[]): Stream {
    const { host, cluster } = this;
    const { spec } = cluster;
    host.activeConnections++;
    host.cxTotal++;
    this.connecting.add(sni, 1);
    this.open.add(sni, 1);
    this.count(at.upstream_cx_total);
    this.count(at.upstream_cx_active);
    return this.runtime.dial(
      {
        address: host.address,
        tls: host.tls,
        sni,
        connectTimeoutMs: spec.connectTimeoutMs,
        bufferLimitBytes: spec.bufferLimitBytes,
        bind: host.address.ip.includes(':') ? spec.bindV6 : spec.bindV4,
        keepalive: spec.tcpKeepalive,
        target: cluster.name,
        ...(alpn === undefined ? {} : { alpn }),
      },
      handler,
    );
  }

  /** A connection could not be made: what a request that waited for it is told. */
  protected countConnectFailure(sni: string, reason: CloseReason): UpstreamFailure {
    this.connecting.add(sni, -1);
    this.host.cxConnectFail++;
    this.count(at.upstream_cx_connect_fail);
    const failure = connectFailureOf(reason);
    if (failure === 'connect-timeout') this.count(at.upstream_cx_connect_timeout);
    this.countEnd(sideOf(reason), false);
    return failure;
  }

  protected failPending(index: number, failure: UpstreamFailure, detail: string): void {
    const user = this.pending[index];
    if (user === undefined) return;
    this.unpend(index);
    this.count(at.upstream_rq_pending_failure_eject);
    user.onConnectFailed(failure, detail);
  }

  protected forget({ sni, admitted }: { readonly sni: string; readonly admitted: boolean }): void {
    this.open.add(sni, -1);
    this.host.activeConnections--;
    if (admitted) this.cluster.releaseConnection();
    this.count(at.upstream_cx_active, -1);
    this.count(at.upstream_cx_destroy);
  }

  /** A connection has ended, or could not be made. isCut: a request on it was not answered whole. */
  countEnd(end: Side, isCut: boolean): void {
    this.count(at[`upstream_cx_destroy_${end}`]);
    if (!isCut) return;
    this.count(at.upstream_cx_destroy_with_active_rq);
    this.count(at[`upstream_cx_destroy_${end}_with_active_rq`]);
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
