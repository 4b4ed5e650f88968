/**
 * A CONNECT that ends here (connect_config): a TCP connection of its own to the host, whose coming up is the answer, and
 * whose bytes are the tunnel's; or a POST, whose body and whose answer's body those bytes are. A pool of one request that
 * is never used again, so that the router treats it as any other.
 * Invariants: the client's bytes go out only when the connection is up, behind the PROXY header; what was counted as open
 * is counted as gone exactly once.
 */
import type { Cluster, Host } from '../cluster/cluster.ts';
import type { Head } from '../http1/head.ts';
import type { Edge } from '../net/edge.ts';
import { nobody } from '../net/nobody.ts';
import { type ProxyVersion, writeProxyHeader } from '../net/proxy-protocol.ts';
import {
  type CloseReason,
  type ConnectionInfo,
  readCapacity,
  readEof,
  readHeadroom,
  type Side,
  type Stream,
  type StreamHandler,
  sideOf,
} from '../net/stream.ts';
import { clusterHistogram, clusterStat, observe } from '../stats/layout.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import type { Framing } from './body-framing.ts';
import { connectFailureOf } from './upstream-failure.ts';
import type { Acquired, RequestPool, UpstreamRequest, UpstreamUser } from './upstream-request.ts';

const { at } = clusterStat;
/** How long the last bytes of a tunnel may take. */
const flushMs = 1000;

export class ConnectTunnel implements RequestPool, UpstreamRequest, StreamHandler {
  readonly reused = false;
  readonly joinsRequest = true;
  readonly trailers: null = null;
  answered = false;
  readonly #cluster: Cluster;
  readonly #host: Host;
  readonly #proxyHeader: ProxyVersion | null;
  readonly #downstream: ConnectionInfo;
  readonly #runtime: WorkerRuntime;
  readonly #startedMs: number;
  #user: UpstreamUser | null = null;
  #stream: Stream | null = null;
  #up = false;

  /** proxyHeader: version of the PROXY header that tells the host about the client; null for none. */
  constructor(
    cluster: Cluster,
    host: Host,
    proxyHeader: ProxyVersion | null,
    downstream: ConnectionInfo,
    runtime: WorkerRuntime,
  ) {
    this.#cluster = cluster;
    this.#host = host;
    this.#proxyHeader = proxyHeader;
    this.#runtime = runtime;
    this.#startedMs = runtime.clock.nowMs;
    this.#downstream = downstream;
  }

  get info(): ConnectionInfo {
    return this.#stream?.info ?? nobody;
  }

  get edge(): Edge | null {
    return this.#stream?.edge ?? null;
  }

  get queued(): number {
    return this.#stream?.queued ?? 0;
  }

  waitForRoom(): boolean {
    return false;
  }

  acquire(user: UpstreamUser): Acquired {
    if (!this.#cluster.admitConnection()) return 'overflow';
    const { spec, name } = this.#cluster;
    const host = this.#host;
    this.#user = user;
    host.activeConnections++;
    host.cxTotal++;
    this.#count(at.upstream_cx_total);
    this.#count(at.upstream_cx_active);
    this.#count(at.upstream_rq_pending_total);
    this.#stream = this.#runtime.dial(
      {
        address: host.address,
        tls: host.tls,
        sni: user.sni,
        connectTimeoutMs: spec.connectTimeoutMs,
        bufferLimitBytes: spec.bufferLimitBytes,
        bind: host.address.ip.includes(':') ? spec.bindV6 : spec.bindV4,
        keepalive: spec.tcpKeepalive,
        target: name,
        downstream: this.#downstream,
      },
      this,
    );
    return 'pending';
  }

  /** The user no longer waits. */
  cancel(): void {
    this.#end(false);
  }

  /** Nothing is idle here. */
  drain(): void {}

  onConnected(): void {
    const user = this.#user;
    if (user === null) return;
    this.#up = true;
    if (this.#cluster.spec.maxRequestsPerConnection === 1) this.#count(at.upstream_cx_max_requests);
    const tookMs = Math.max(0, Math.floor(this.#runtime.clock.nowMs - this.#startedMs));
    observe(this.#runtime.slots, this.#cluster.stats + clusterHistogram.upstream_cx_connect_ms, tookMs);
    this.#sendProxyHeader();
    user.onConnection(this);
    if (this.#user === null) return;
    this.answered = true;
    const { responseHead } = user;
    responseHead.reset();
    responseHead.status = 200;
    responseHead.version = 11;
    if (user.wantsUpgrade) user.onUpgraded();
    else user.onResponseHead('chunked', readHeadroom, readHeadroom, false);
  }

  #sendProxyHeader(): void {
    if (this.#proxyHeader === null) return;
    const { remoteIp, remotePort, localIp, localPort } = this.#downstream;
    const remote = { ip: remoteIp, port: remotePort };
    const header = writeProxyHeader(this.#proxyHeader, { remote, local: { ip: localIp, port: localPort } });
    this.sendData(header, 0, header.length, false);
  }

  /** The head ends here; what has come behind a CONNECT comes as data once the 200 is out. */
  sendHead(head: Head, _framing: Framing, from: Buffer, start: number, end: number, last: boolean): void {
    const user = this.#user;
    if (user === null || user.wantsUpgrade) return;
    // The host knows nothing of heads, and the client may be waiting for this.
    if (head.expectContinue && !last && start === end) {
      user.responseHead.reset();
      user.responseHead.status = 100;
      user.responseHead.version = 11;
      user.onInformational();
    }
    this.sendData(from, start, end, last);
  }

  sendData(from: Buffer, start: number, end: number, last: boolean): void {
    const stream = this.#stream;
    if (stream === null) return;
    if (end > start) {
      stream.write(from, start, end);
      this.#count(at.upstream_cx_tx_bytes_total, end - start);
    }
    if (last) stream.endWrite();
  }

  pauseAnswer(): void {
    this.#stream?.pauseRead();
  }

  resumeAnswer(): void {
    this.#stream?.resumeRead();
  }

  onReadable(stream: Stream): void {
    for (;;) {
      const n = stream.read(readHeadroom, readCapacity);
      const user = this.#user;
      if (n < 0 || user === null) return;
      if (n === readEof) {
        user.onResponseData(readHeadroom, readHeadroom, true);
        return;
      }
      this.#count(at.upstream_cx_rx_bytes_total, n);
      user.onResponseData(readHeadroom, readHeadroom + n, false);
      if (this.#user === null || stream.readPaused || !stream.more(n, readCapacity)) return;
    }
  }

  onDrained(): void {
    this.#user?.onUpstreamDrained();
  }

  onClosed(stream: Stream, reason: CloseReason): void {
    const user = this.#user;
    this.#user = null;
    this.#stream = null;
    this.#gone(sideOf(reason));
    if (this.#up) {
      user?.onReset('connection-termination', stream.failure);
      return;
    }
    this.#host.cxConnectFail++;
    this.#count(at.upstream_cx_connect_fail);
    const failure = connectFailureOf(reason);
    if (failure === 'connect-timeout') this.#count(at.upstream_cx_connect_timeout);
    user?.onConnectFailed(failure, stream.failure);
  }

  /** Both directions have ended. */
  release(): void {
    this.#end(true);
  }

  #end(whole: boolean): void {
    const stream = this.#stream;
    this.#user = null;
    this.#stream = null;
    if (stream === null) return;
    if (whole) stream.closeAfterFlush(flushMs);
    // What had not arrived is missing at the other end, which has to notice.
    else if (this.#up) stream.reset();
    else stream.close();
    this.#gone('local');
  }

  #gone(end: Side): void {
    this.#host.activeConnections--;
    this.#cluster.releaseConnection();
    this.#count(at.upstream_cx_active, -1);
    this.#count(at.upstream_cx_destroy);
    this.#count(at[`upstream_cx_destroy_${end}`]);
  }

  #count(slot: number, by = 1): void {
    const { slots } = this.#runtime;
    const i = this.#cluster.stats + slot;
    slots[i] = (slots[i] as number) + by;
  }
}
