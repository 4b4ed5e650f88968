/**
 * One TCP connection through the agent: two streams, bytes both ways, half-close and reset carried over.
 * Invariants: the downstream is not read before an upstream host has accepted, so that another host can be tried
 * without replaying; neither direction holds more than the buffer limit plus one read; finish() happens once.
 */
import type { Cluster, Host } from '../cluster/cluster.ts';
import type { MetadataMatchSpec } from '../model/cluster.ts';
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
import { clusterStat, tcpStat } from '../stats/layout.ts';
import type { ChainContext } from '../worker/chain-context.ts';
import type { TimerHandle, WorkerRuntime } from '../worker/runtime.ts';
import { tcpLogRecord } from './log-record.ts';
import type { PreparedUpstream } from './server-first.ts';
import { openLeg, UpstreamLeg } from './upstream-leg.ts';

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
  #subset: MetadataMatchSpec | null = null;
  #leg: UpstreamLeg | null = null;
  #up: Stream | null = null;
  #connected = false;
  #attempts = 0;
  #downEnded = false;
  #upEnded = false;
  #finished = false;
  #idle: TimerHandle | null = null;
  #duration: TimerHandle | null = null;
  #interval: TimerHandle | null = null;

  constructor(spec: TcpProxySpec, runtime: WorkerRuntime, chain: ChainContext, down: Stream) {
    this.#spec = spec;
    this.#runtime = runtime;
    this.#chain = chain;
    this.#down = down;
    this.#startMs = runtime.clock.nowMs;
    this.#startWallMs = runtime.clock.wallMs;
  }

  /** prepared: a connection to a host that is up already, with what the host has said on it. */
  start(prepared: PreparedUpstream | null): void {
    this.#down.handler = this;
    this.#down.pauseRead();
    this.#watchDuration();
    if (this.#spec.logIntervalMs > 0) this.#logAgain(this.#spec.logIntervalMs);
    if (prepared !== null) {
      this.#takeOver(prepared);
      return;
    }
    const chosen = pickWeighted(this.#spec.clusters, this.#runtime.random);
    this.#cluster = chosen === null ? null : (this.#runtime.cluster(chosen.name) ?? null);
    this.#subset = chosen?.subset ?? null;
    if (this.#cluster === null) {
      this.#add(this.#spec.stats + tcpStat.at.downstream_cx_no_route, 1);
      this.#finish('NR', 'no_cluster');
      this.#down.close();
      return;
    }
    this.#connect(this.#cluster);
  }

  #takeOver({ leg, greeting }: PreparedUpstream): void {
    this.#cluster = leg.cluster;
    this.#leg = leg;
    this.#up = leg.stream;
    this.#tried.push(leg.host);
    this.#attempts = 1;
    leg.stream.handler = this;
    this.#established();
    this.#countBytes(leg.stream, greeting.length);
    if (!this.#down.write(greeting, 0, greeting.length)) return; // onClosed follows
    if (this.#down.queued < this.#limit(this.#down)) leg.stream.resumeRead();
  }

  #connect(cluster: Cluster): void {
    const leg = openLeg(cluster, this.#subset, this.#down.info, this.#tried, this.#runtime, this);
    if (!(leg instanceof UpstreamLeg)) {
      this.#giveUp(leg.flags, leg.details);
      return;
    }
    this.#attempts++;
    this.#leg = leg;
    this.#up = leg.stream;
    this.#tried.push(leg.host);
  }

  onConnected(): void {
    this.#leg?.established();
    this.#established();
  }

  #established(): void {
    this.#connected = true;
    if (this.#spec.idleTimeoutMs > 0) this.#watchIdle(this.#spec.idleTimeoutMs);
    if (this.#spec.flushLogOnConnected) this.#log('', '');
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
    if (cluster === null || this.#leg === null) return;
    this.#leg.failed(reason === 'connect-timeout');
    this.#leg = null;
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

  /** Ends the connection when its time is over, whatever it is doing (max_downstream_connection_duration). */
  #watchDuration(): void {
    const limitMs = this.#spec.maxConnectionDurationMs;
    if (limitMs <= 0) return;
    this.#duration = this.#runtime.timers.after(limitMs, () => {
      this.#duration = null;
      this.#add(this.#spec.stats + tcpStat.at.max_downstream_connection_duration, 1);
      this.#finish('DT', 'max_downstream_connection_duration');
      this.#down.close();
      this.#up?.close();
    });
  }

  /** Counts and logs the end; the streams are closed by the caller. */
  #finish(flags: string, details: string): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#idle?.cancel();
    this.#duration?.cancel();
    this.#interval?.cancel();
    this.#leg?.release(flags === 'UC' ? 'remote' : 'local');
    this.#leg = null;
    if (flags !== '' && this.#up !== null && this.#up.edge !== null) this.#up.edge.failures++;
    this.#log(flags, details);
  }

  #log(flags: string, details: string): void {
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
        host: this.#tried.at(-1) ?? null,
        upstream: this.#up,
        attempts: this.#attempts,
      }),
    );
  }

  /** One more line at each interval while the connection lives. */
  #logAgain(intervalMs: number): void {
    this.#interval = this.#runtime.timers.after(intervalMs, () => {
      this.#log('', '');
      this.#logAgain(intervalMs);
    });
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
