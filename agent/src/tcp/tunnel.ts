/**
 * One TCP connection through the agent: two streams, bytes both ways, half-close and reset carried over.
 * Invariants: the downstream is not read before an upstream host has accepted, so that another host can be tried
 * without replaying; neither direction holds more than the buffer limit plus one read; finish() happens once.
 */
import type { Cluster, Host } from '../cluster/cluster.ts';
import type { TcpProxySpec } from '../model/listener.ts';
import {
  type CloseReason,
  readCapacity,
  readEof,
  readHeadroom,
  type Stream,
  type StreamHandler,
} from '../net/stream.ts';
import { pickWeighted } from '../route/weighted.ts';
import { clusterHistogram, clusterStat, observe, tcpStat } from '../stats/layout.ts';
import type { ChainContext } from '../worker/chain-context.ts';
import type { TimerHandle, WorkerRuntime } from '../worker/runtime.ts';
import { tcpLogRecord } from './log-record.ts';

/** How long what is queued may take to leave after both sides have ended. */
const flushMs = 5000;

export class Tunnel implements StreamHandler {
  readonly #spec: TcpProxySpec;
  readonly #runtime: WorkerRuntime;
  readonly #chain: ChainContext;
  readonly #down: Stream;
  readonly #startMs: number;
  readonly #startWallMs: number;
  readonly #tried: Host[] = [];
  #cluster: Cluster | null = null;
  #host: Host | null = null;
  #up: Stream | null = null;
  #connected = false;
  #dialledMs = 0;
  #attempts = 0;
  #downEnded = false;
  #upEnded = false;
  #finished = false;
  #idle: TimerHandle | null = null;

  constructor(spec: TcpProxySpec, runtime: WorkerRuntime, chain: ChainContext, down: Stream) {
    this.#spec = spec;
    this.#runtime = runtime;
    this.#chain = chain;
    this.#down = down;
    this.#startMs = runtime.clock.nowMs;
    this.#startWallMs = runtime.clock.wallMs;
  }

  start(): void {
    this.#down.handler = this;
    this.#down.pauseRead();
    const name = pickWeighted(this.#spec.clusters, this.#runtime.random);
    this.#cluster = name === null ? null : (this.#runtime.cluster(name) ?? null);
    if (this.#cluster === null) {
      this.#add(this.#spec.stats + tcpStat.at.downstream_cx_no_route, 1);
      this.#finish('NR', 'no_cluster');
      this.#down.close();
      return;
    }
    this.#connect(this.#cluster);
  }

  #connect(cluster: Cluster): void {
    const { localIp, localPort } = this.#down.info;
    const pick = cluster.pick({ tried: this.#tried, destination: { ip: localIp, port: localPort } });
    if (pick.kind !== 'host') {
      this.#giveUp('UH', pick.kind === 'none-healthy' ? 'no_healthy_upstream' : 'no_original_destination');
      return;
    }
    if (!cluster.admitConnection()) {
      this.#giveUp('UO', 'overflow');
      return;
    }
    this.#attempts++;
    this.#dial(cluster, pick.host);
  }

  #dial(cluster: Cluster, host: Host): void {
    const { spec } = cluster;
    this.#host = host;
    this.#tried.push(host);
    this.#dialledMs = this.#runtime.clock.nowMs;
    host.activeConnections++;
    host.cxTotal++;
    this.#count(cluster, 'upstream_cx_total', 1);
    this.#count(cluster, 'upstream_cx_active', 1);
    this.#up = this.#runtime.dial(
      {
        address: host.address,
        tls: host.tls,
        sni: host.tls?.sni ?? '',
        connectTimeoutMs: spec.connectTimeoutMs,
        bufferLimitBytes: spec.bufferLimitBytes,
        bind: host.address.ip.includes(':') ? spec.bindV6 : spec.bindV4,
        keepalive: spec.tcpKeepalive,
        target: cluster.name,
      },
      this,
    );
  }

  /** The connection to the host at hand is over, however. */
  #release(): void {
    const cluster = this.#cluster;
    const host = this.#host;
    if (cluster === null || host === null) return;
    this.#host = null;
    host.activeConnections--;
    cluster.releaseConnection();
    this.#count(cluster, 'upstream_cx_active', -1);
    this.#count(cluster, 'upstream_cx_destroy', 1);
  }

  onConnected(): void {
    const cluster = this.#cluster;
    const host = this.#host;
    if (cluster === null || host === null) return;
    this.#connected = true;
    const tookMs = this.#runtime.clock.nowMs - this.#dialledMs;
    observe(this.#runtime.slots, cluster.stats + clusterHistogram.upstream_cx_connect_ms, Math.round(tookMs));
    cluster.record(host, { kind: 'response', status: 200 });
    if (this.#spec.idleTimeoutMs > 0) this.#watchIdle(this.#spec.idleTimeoutMs);
    this.#down.resumeRead();
  }

  onReadable(from: Stream): void {
    const to = from === this.#down ? this.#up : this.#down;
    if (to === null) return;
    const { readBuffer } = this.#runtime;
    for (;;) {
      const n = from.read(readHeadroom, readCapacity);
      if (n <= 0) {
        if (n === readEof) this.#ended(from, to);
        return;
      }
      this.#countBytes(from, n);
      if (!to.write(readBuffer, readHeadroom, readHeadroom + n)) return; // onClosed follows
      if (to.queued >= this.#limit(to)) from.pauseRead();
      if (!from.more(n, readCapacity)) return;
    }
  }

  #limit(to: Stream): number {
    return to === this.#down ? this.#chain.bufferLimitBytes : (this.#cluster?.spec.bufferLimitBytes ?? 0);
  }

  onDrained(stream: Stream): void {
    const from = stream === this.#down ? this.#up : this.#down;
    if (from !== null && this.#connected) from.resumeRead();
  }

  /** FIN of one side goes on to the other, behind what is queued; both sides' FIN end the tunnel. */
  #ended(from: Stream, to: Stream): void {
    if (from === this.#down) this.#downEnded = true;
    else this.#upEnded = true;
    to.endWrite();
    if (!this.#downEnded || !this.#upEnded) return;
    this.#finish('', '');
    this.#down.closeAfterFlush(flushMs);
    this.#up?.closeAfterFlush(flushMs);
  }

  onClosed(stream: Stream, reason: CloseReason): void {
    if (this.#finished) return;
    if (stream !== this.#down && !this.#connected) {
      this.#connectFailed(reason);
      return;
    }
    const other = stream === this.#down ? this.#up : this.#down;
    this.#finish(stream === this.#down ? 'DC' : 'UC', reason);
    // What was cut must not look like an end: only a clean end is passed on as one.
    if (reason === 'remote-close' || reason === 'local') other?.closeAfterFlush(flushMs);
    else other?.reset();
  }

  #connectFailed(reason: CloseReason): void {
    const cluster = this.#cluster;
    const host = this.#host;
    if (cluster === null || host === null) return;
    const timeout = reason === 'connect-timeout';
    host.cxConnectFail++;
    this.#count(cluster, 'upstream_cx_connect_fail', 1);
    if (timeout) this.#count(cluster, 'upstream_cx_connect_timeout', 1);
    cluster.record(host, { kind: 'local', cause: timeout ? 'connect-timeout' : 'connect-failed' });
    this.#release();
    if (this.#attempts < this.#spec.maxConnectAttempts) this.#connect(cluster);
    else this.#giveUp('UF,URX', reason); // Envoy says URX after a single attempt, too
  }

  #giveUp(flags: string, details: string): void {
    this.#finish(flags, details);
    this.#down.close();
  }

  /** Looks at the clock only when the time might be over: bytes do not touch the timer. */
  #watchIdle(delayMs: number): void {
    this.#idle = this.#runtime.timers.after(delayMs, () => {
      this.#idle = null;
      const last = Math.max(this.#down.lastActiveMs, this.#up?.lastActiveMs ?? 0);
      const left = last + this.#spec.idleTimeoutMs - this.#runtime.clock.nowMs;
      if (left > 0) {
        this.#watchIdle(left);
        return;
      }
      this.#add(this.#spec.stats + tcpStat.at.idle_timeout, 1);
      if (this.#cluster !== null) this.#count(this.#cluster, 'upstream_cx_idle_timeout', 1);
      this.#finish('', 'idle_timeout');
      this.#down.close();
      this.#up?.close();
    });
  }

  /** Counts and logs the end; the streams are closed by the caller. */
  #finish(flags: string, details: string): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#idle?.cancel();
    const host = this.#host ?? this.#tried.at(-1) ?? null;
    this.#release();
    if (flags !== '' && this.#up !== null && this.#up.edge !== null) this.#up.edge.failures++;
    if (this.#spec.accessLog.length === 0) return;
    this.#runtime.logAccess(
      this.#spec.accessLog,
      tcpLogRecord({
        stream: this.#down,
        startTimeMs: this.#startWallMs,
        durationMs: Math.round(this.#runtime.clock.nowMs - this.#startMs),
        flags,
        details,
        cluster: this.#cluster?.name ?? '',
        host,
        upstream: this.#up,
        attempts: this.#attempts,
      }),
    );
  }

  #countBytes(from: Stream, n: number): void {
    const cluster = this.#cluster;
    const received = from === this.#down;
    const at = tcpStat.at;
    this.#add(this.#spec.stats + (received ? at.downstream_cx_rx_bytes_total : at.downstream_cx_tx_bytes_total), n);
    if (cluster === null) return;
    this.#count(cluster, received ? 'upstream_cx_tx_bytes_total' : 'upstream_cx_rx_bytes_total', n);
  }

  #count(cluster: Cluster, name: keyof typeof clusterStat.at, by: number): void {
    this.#add(cluster.stats + clusterStat.at[name], by);
  }

  #add(slot: number, by: number): void {
    this.#runtime.slots[slot] = (this.#runtime.slots[slot] ?? 0) + by;
  }
}
