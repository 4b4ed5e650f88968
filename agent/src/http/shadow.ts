/**
 * A copy of a request for another cluster (request_mirror_policies): sent as the request goes by, its answer read and
 * thrown away. It has a head of its own and never makes the request wait: what cannot be sent at once is kept up to a
 * limit, and beyond it the copy is given up. Invariant: what it has taken is given back once, in #over.
 */
import type { Cluster, Host, PickContext } from '../cluster/cluster.ts';
import { Head } from '../http1/head.ts';
import type { AddressSpec } from '../model/listener.ts';
import { clusterStat } from '../stats/layout.ts';
import type { TimerHandle, WorkerRuntime } from '../worker/runtime.ts';
import { Attempt } from './attempt.ts';
import type { Framing } from './body-framing.ts';
import type { Downstream } from './downstream.ts';
import { poolOf } from './pool-of.ts';
import { type UpstreamFailure, upstreamFailures } from './upstream-failure.ts';
import { hostOf } from './upstream-head.ts';
import type { UpstreamRequest, UpstreamUser } from './upstream-request.ts';

const { at } = clusterStat;
/** What of a body may wait for the mirror: some turns' worth of reading. */
const maxWaitingBytes = 262_144;
const nothing = Buffer.alloc(0);

/** Body bytes [start, end) of a buffer, and whether that is the end of the request. */
export interface BodyPart {
  readonly from: Buffer;
  readonly start: number;
  readonly end: number;
  readonly last: boolean;
  readonly trailers: Head | null;
}

/** What is copied of the request: the rest it has for itself. */
export interface ShadowedRequest {
  readonly head: Head;
  readonly framing: Framing;
  readonly downstreamProtocol: Downstream['protocol'];
  readonly destination: AddressSpec;
  readonly hash: bigint | null;
  /** For the answer, from the end of the request on; 0 is for ever. */
  readonly timeoutMs: number;
  /** Counts the copies that are given up because they are too slow. */
  readonly abandonedSlot: number;
}

export class Shadow implements UpstreamUser, PickContext {
  readonly requestHead = new Head();
  responseHead = new Head();
  readonly downstreamProtocol: Downstream['protocol'];
  readonly wantsUpgrade = false;
  readonly joinsAnswer = false;
  readonly tried: readonly Host[] = [];
  readonly destination: AddressSpec | null;
  readonly hash: bigint | null;
  readonly subset = null;
  sni = '';
  /** Another copy of the same request. */
  next: Shadow | null = null;
  readonly #cluster: Cluster;
  readonly #runtime: WorkerRuntime;
  readonly #attempt: Attempt;
  readonly #framing: Framing;
  readonly #timeoutMs: number;
  readonly #abandonedSlot: number;
  /** What has come before the connection, and where it is now. */
  #waiting: BodyPart | null = null;
  #requestDone = false;
  #isOver = false;
  #timer: TimerHandle | null = null;

  /** request.head is copied: it belongs to the request. */
  constructor(cluster: Cluster, request: ShadowedRequest, runtime: WorkerRuntime) {
    this.#cluster = cluster;
    this.#runtime = runtime;
    this.#attempt = new Attempt(runtime.slots, runtime.clock);
    this.#framing = request.framing;
    this.#timeoutMs = request.timeoutMs;
    this.#abandonedSlot = request.abandonedSlot;
    this.downstreamProtocol = request.downstreamProtocol;
    this.destination = cluster.spec.type === 'original_dst' ? request.destination : null;
    this.hash = request.hash;
    this.requestHead.copyFrom(request.head);
  }

  get requestMethod(): number {
    return this.requestHead.method;
  }

  /** Sets out, with what has come of the body. */
  start(first: BodyPart): void {
    if (!this.#attempt.begin(this.#cluster)) {
      this.#fail('overflow');
      return;
    }
    const pick = this.#cluster.pick(this);
    if (pick.kind !== 'host') {
      this.#attempt.countStatus(503);
      this.#over();
      return;
    }
    const { host } = pick;
    this.#attempt.take(host);
    if (host.tls !== null) this.sni = host.tls.autoSni ? hostOf(this.requestHead.get('host') ?? '') : host.tls.sni;
    this.#waiting = first;
    if (first.last) this.#onRequestDone();
    const pool = poolOf(this.#cluster, host, this.#runtime);
    this.#attempt.pool = pool;
    const acquired = pool.acquire(this, false);
    if (acquired === 'overflow') this.#fail('overflow');
    else if (this.#waiting !== null) this.#waiting = copyOf(this.#waiting);
  }

  /** More of the body. */
  data(part: BodyPart): void {
    if (this.#isOver || this.#requestDone) return;
    if (part.last) this.#onRequestDone();
    const { upstream } = this.#attempt;
    if (upstream !== null) {
      upstream.sendData(part.from, part.start, part.end, part.last, part.trailers);
      if (upstream.queued > maxWaitingBytes) this.#abandon();
      return;
    }
    this.#waiting = joined(this.#waiting, part);
    if (this.#waiting.end > maxWaitingBytes) this.#abandon();
  }

  /** The request has ended. A copy of half of it is no use. */
  requestEnded(): void {
    if (!this.#requestDone) this.#giveUp();
  }

  #onRequestDone(): void {
    this.#requestDone = true;
    if (this.#timeoutMs > 0) this.#timer = this.#runtime.timers.after(this.#timeoutMs, () => this.#onTimeout());
  }

  #onTimeout(): void {
    this.#timer = null;
    this.#attempt.count(at.upstream_rq_timeout);
    this.#attempt.countStatus(504);
    this.#attempt.record({ kind: 'local', cause: 'timeout' });
    this.#giveUp();
  }

  #abandon(): void {
    const { slots } = this.#runtime;
    slots[this.#abandonedSlot] = (slots[this.#abandonedSlot] ?? 0) + 1;
    this.#giveUp();
  }

  #giveUp(): void {
    if (this.#isOver) return;
    const { pool, upstream } = this.#attempt;
    if (upstream === null) {
      pool?.cancel(this);
      this.#attempt.count(at.upstream_rq_cancelled);
    }
    this.#over()?.cancel();
  }

  onConnection(upstream: UpstreamRequest): void {
    this.#attempt.connected(upstream);
    const { from, start, end, last, trailers } = this.#waiting ?? empty;
    this.#waiting = null;
    upstream.sendHead(this.requestHead, this.#framing, from, start, end, last, trailers);
  }

  onConnectFailed(failure: UpstreamFailure): void {
    this.#fail(failure);
  }

  onReset(failure: UpstreamFailure): void {
    this.#fail(failure);
  }

  #fail(failure: UpstreamFailure): void {
    const { outcome, status } = upstreamFailures[failure];
    if (outcome !== null) this.#attempt.record(outcome);
    this.#attempt.countStatus(status);
    this.#over();
  }

  onInformational(): void {}

  /** Never asked for. */
  onUpgraded(): void {
    this.#giveUp();
  }

  onResponseHead(_framing: Framing, _start: number, _end: number, last: boolean): void {
    this.#attempt.countStatus(this.responseHead.status);
    if (last) this.#finish();
  }

  onResponseData(_start: number, _end: number, last: boolean): void {
    if (last) this.#finish();
  }

  /** Its answer is complete. */
  #finish(): void {
    this.#attempt.recordAnswer(this.responseHead.status);
    this.#over()?.release();
  }

  /** The connection is left to the caller, to release or to cancel. */
  #over(): UpstreamRequest | null {
    this.#isOver = true;
    this.#timer?.cancel();
    this.#timer = null;
    this.#waiting = null;
    return this.#attempt.end();
  }

  onUpstreamDrained(): void {}

  /** The answer is thrown away. */
  waitsForDownstream(): boolean {
    return false;
  }
}

const empty: BodyPart = { from: nothing, start: 0, end: 0, last: false, trailers: null };

function copyOf(part: BodyPart): BodyPart {
  return joined(null, part);
}

/** Both parts in a buffer of their own; the trailers are copied, for theirs may be used again. */
function joined(before: BodyPart | null, part: BodyPart): BodyPart {
  const kept = before === null ? nothing : before.from.subarray(before.start, before.end);
  const from = Buffer.concat([kept, part.from.subarray(part.start, part.end)]);
  return { from, start: 0, end: from.length, last: part.last, trailers: copyOfHead(part.trailers) };
}

function copyOfHead(head: Head | null): Head | null {
  if (head === null) return null;
  const copy = new Head();
  copy.copyFrom(head);
  return copy;
}
