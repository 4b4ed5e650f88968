/**
 * The HTTP/2 connections to one host: as a rule one, which carries every request; another one only when the peer takes
 * no more streams on it. Requests beyond what the peer takes wait instead of failing.
 */
import type { Cluster, Host } from '../cluster/cluster.ts';
import { countersAt, type Http2Counters } from '../http2/counters.ts';
import { defaultHttp2Options, type Http2Options } from '../http2/options.ts';
import type { CloseReason, Stream } from '../net/stream.ts';
import { clusterStat } from '../stats/layout.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { isExtendedConnect } from './extended-connect.ts';
import { anyUser, HostConnections } from './host-connections.ts';
import { Http2Dial } from './http2-dial.ts';
import { Http2Upstream } from './http2-upstream.ts';
import type { Acquired, RequestPool, UpstreamUser } from './upstream-request.ts';

const { at } = clusterStat;

/** What a connection that is not up yet is expected to carry: peers that allow fewer say so in their first frame. */
const expectedStreams = 100;

const isNoExtendedConnect = (user: UpstreamUser): boolean => !isExtendedConnect(user);

/** Where connections go that turn out to speak something else. */
export interface Negotiation {
  /** Whether the peer has agreed on HTTP/2. */
  isHttp2(stream: Stream): boolean;
  /** It has not: the connection and the requests that waited for it go elsewhere. */
  onOther(stream: Stream, dial: Http2Dial, waiting: readonly UpstreamUser[]): void;
  onHttp2(): void;
}

export class Http2Pool extends HostConnections implements RequestPool {
  readonly counters: Http2Counters;
  readonly #negotiation: Negotiation | null;
  readonly #connections: Http2Upstream[] = [];
  /** Connections on their way. */
  readonly #dials: Http2Dial[] = [];
  /** Ends to make room for another name. */
  #leaving: Http2Upstream | null = null;

  /** negotiation: null where the protocol is known. */
  constructor(cluster: Cluster, host: Host, runtime: WorkerRuntime, negotiation: Negotiation | null) {
    super(cluster, host, runtime);
    this.#negotiation = negotiation;
    this.counters = countersAt(runtime.slots, cluster.stats, (name) => at[`http2.${name}`]);
  }

  get options(): Http2Options {
    return this.cluster.spec.http2 ?? defaultHttp2Options;
  }

  acquire(user: UpstreamUser): Acquired {
    const connection = this.#withRoom(user);
    if (connection !== null) {
      connection.serve(user);
      return 'ready';
    }
    if (!this.pend(user)) return 'overflow';
    for (const connection of this.#connections) if (connection.sni === user.sni) connection.wantRoom();
    this.#dialFor(user.sni);
    return 'pending';
  }

  #withRoom(user: UpstreamUser): Http2Upstream | null {
    const waits = isExtendedConnect(user);
    for (const connection of this.#connections) {
      if (connection.sni !== user.sni || connection.capacity === 0) continue;
      if (!waits || connection.isSettled) return connection;
    }
    return null;
  }

  /** Dials when more requests wait for this name than the connections on their way will carry. */
  #dialFor(sni: string): void {
    const streams = Math.min(expectedStreams, this.options.maxConcurrentStreams);
    let uncarried = 0;
    for (const user of this.pending) if (user.sni === sni) uncarried++;
    for (const dial of this.#dials) if (dial.sni === sni) uncarried -= streams;
    for (const c of this.#connections) if (c.sni === sni && !c.isSettled) uncarried -= c.capacity;
    if (uncarried <= 0) return;
    const { dials, admitted } = this.mayDial(sni);
    if ((!admitted && this.#makesRoom()) || !dials) return;
    const dial = new Http2Dial(this, sni, admitted);
    this.#dials.push(dial);
    this.dial(sni, dial);
  }

  /** Beyond the limit, a connection that nobody uses makes room; what waits dials when it has ended. */
  #makesRoom(): boolean {
    this.#leaving ??= this.#connections.find((connection) => connection.isIdle) ?? null;
    this.#leaving?.drain();
    return this.#leaving !== null;
  }

  #arrived(dial: Http2Dial): void {
    this.#dials.splice(this.#dials.indexOf(dial), 1);
  }

  connected(dial: Http2Dial, stream: Stream): void {
    this.connecting.add(dial.sni, -1);
    this.#arrived(dial);
    const negotiation = this.#negotiation;
    if (negotiation !== null && !negotiation.isHttp2(stream)) {
      this.#giveAway(negotiation, dial, stream);
      return;
    }
    negotiation?.onHttp2();
    this.count(at.upstream_cx_http2_total);
    const connection = new Http2Upstream(this, stream, dial.sni, dial.admitted);
    this.#connections.push(connection);
    this.hasRoom(connection);
    if (this.host.removed) connection.drain();
  }

  #giveAway(negotiation: Negotiation, dial: Http2Dial, stream: Stream): void {
    this.open.add(dial.sni, -1);
    const waiting = this.pending.slice();
    for (const user of waiting) this.cancel(user);
    negotiation.onOther(stream, dial, waiting);
  }

  /** A connection could not be made: requests that no other is on its way for hear of it. */
  connectFailed(dial: Http2Dial, reason: CloseReason, detail: string): void {
    const failure = this.countConnectFailure(dial.sni, reason);
    this.#arrived(dial);
    this.forget(dial);
    if (this.#dials.some((other) => other.sni === dial.sni)) return;
    for (const user of this.pending.slice()) {
      const index = this.pending.indexOf(user);
      if (index >= 0 && user.sni === dial.sni) this.failPending(index, failure, detail);
    }
  }

  /** A connection takes streams: requests that wait get them, and it says so again when it has room for the others. */
  hasRoom(connection: Http2Upstream): void {
    while (this.pending.length > 0 && connection.capacity > 0) {
      const user = this.takePending(connection.sni, connection.isSettled ? anyUser : isNoExtendedConnect);
      if (user === undefined) return;
      connection.serve(user);
    }
    if (this.pending.length > 0) connection.wantRoom();
  }

  /** A connection takes no more streams, or has ended: what waits may need another. */
  worn(connection: Http2Upstream): void {
    // Another one would end the same way, over and over.
    if (!connection.hasServed) this.#failUpgrades(connection.sni);
    for (const user of this.pending.slice()) this.#dialFor(user.sni);
  }

  closed(connection: Http2Upstream): void {
    const index = this.#connections.indexOf(connection);
    if (index >= 0) this.#connections.splice(index, 1);
    this.forget(connection);
    if (this.#leaving === connection) this.#leaving = null;
    if (!connection.isSettled) this.#failUpgrades(connection.sni);
    this.worn(connection);
  }

  /** What waited for a connection to allow it that has ended before: it would wait for ever. */
  #failUpgrades(sni: string): void {
    for (const user of this.pending.slice()) {
      const index = this.pending.indexOf(user);
      if (index >= 0 && user.sni === sni && isExtendedConnect(user)) {
        this.failPending(index, 'connection-termination', '');
      }
    }
  }

  drain(): void {
    this.generation++;
    for (const connection of this.#connections.slice()) connection.drain();
  }
}
