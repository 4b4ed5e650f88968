/**
 * One connection of the TCP proxy to a host: picked, admitted, dialled and counted.
 * Invariant: what was counted as open is counted as gone exactly once, in release().
 */
import type { Cluster, Host } from '../cluster/cluster.ts';
import type { MetadataMatchSpec } from '../model/cluster.ts';
import type { ConnectionInfo, Side, Stream, StreamHandler } from '../net/stream.ts';
import { clusterHistogram, clusterStat, observe } from '../stats/layout.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';

/** Why there is no connection, in Envoy's response flags and words. */
export interface NoLeg {
  readonly flags: string;
  readonly details: string;
}

export class UpstreamLeg {
  readonly cluster: Cluster;
  readonly host: Host;
  readonly stream: Stream;
  readonly #runtime: WorkerRuntime;
  readonly #dialledMs: number;
  #released = false;

  constructor(
    cluster: Cluster,
    host: Host,
    downstream: ConnectionInfo,
    runtime: WorkerRuntime,
    handler: StreamHandler,
  ) {
    this.cluster = cluster;
    this.host = host;
    this.#runtime = runtime;
    this.#dialledMs = runtime.clock.nowMs;
    host.activeConnections++;
    host.cxTotal++;
    this.#count('upstream_cx_total', 1);
    this.#count('upstream_cx_active', 1);
    const { spec } = cluster;
    this.stream = runtime.dial(
      {
        address: host.address,
        tls: host.tls,
        sni: host.tls?.sni ?? '',
        connectTimeoutMs: spec.connectTimeoutMs,
        bufferLimitBytes: spec.bufferLimitBytes,
        bind: host.address.ip.includes(':') ? spec.bindV6 : spec.bindV4,
        keepalive: spec.tcpKeepalive,
        target: cluster.name,
        downstream,
      },
      handler,
    );
  }

  /** The connection is up. */
  established(): void {
    const { nowMs } = this.#runtime.clock;
    const took = Math.round(nowMs - this.#dialledMs);
    observe(this.#runtime.slots, this.cluster.stats + clusterHistogram.upstream_cx_connect_ms, took);
    this.cluster.record(this.host, { kind: 'response', status: 200 });
  }

  /** The connection did not come up; gives it back. */
  failed(timeout: boolean): void {
    this.host.cxConnectFail++;
    this.#count('upstream_cx_connect_fail', 1);
    if (timeout) this.#count('upstream_cx_connect_timeout', 1);
    this.cluster.record(this.host, { kind: 'local', cause: timeout ? 'connect-timeout' : 'connect-failed' });
    this.release(timeout ? 'local' : 'remote');
  }

  /** The connection is over, however. */
  release(end: Side): void {
    if (this.#released) return;
    this.#released = true;
    this.host.activeConnections--;
    this.cluster.releaseConnection();
    this.#count('upstream_cx_active', -1);
    this.#count('upstream_cx_destroy', 1);
    this.#count(`upstream_cx_destroy_${end}`, 1);
  }

  #count(name: keyof typeof clusterStat.at, by: number): void {
    const slot = this.cluster.stats + clusterStat.at[name];
    this.#runtime.slots[slot] = (this.#runtime.slots[slot] ?? 0) + by;
  }
}

/** Picks a host that was not tried yet and begins to dial it. subset: which hosts, or null. */
export function openLeg(
  cluster: Cluster,
  subset: MetadataMatchSpec | null,
  downstream: ConnectionInfo,
  tried: readonly Host[],
  runtime: WorkerRuntime,
  handler: StreamHandler,
): UpstreamLeg | NoLeg {
  const destination = { ip: downstream.localIp, port: downstream.localPort };
  const pick = cluster.pick({ tried, destination, subset });
  if (pick.kind !== 'host') {
    const none = pick.kind === 'none-healthy';
    return { flags: 'UH', details: none ? 'no_healthy_upstream' : 'no_original_destination' };
  }
  if (!cluster.admitConnection()) return { flags: 'UO', details: 'overflow' };
  return new UpstreamLeg(cluster, pick.host, downstream, runtime, handler);
}
