/**
 * The request on its way from the client to the upstream of the attempt at hand: held until there is one, kept for
 * another, read only as fast as the upstream takes it, and copied to mirrors. Invariant: whatever has come of the body is
 * either with the upstream or held here, or `complete` is false.
 */
import type { MirrorSpec } from '../model/http.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import type { Framing } from './body-framing.ts';
import type { Exchange } from './exchange.ts';
import { Mirroring } from './mirror.ts';
import { ReplayBuffer, replayBlocksOf } from './replay-buffer.ts';
import type { Routing } from './routing.ts';
import type { UpstreamRequest } from './upstream-request.ts';

export class RequestSender {
  readonly #exchange: Exchange;
  readonly #runtime: WorkerRuntime;
  readonly #hold: ReplayBuffer;
  #framing: Framing = 'none';
  #upstream: UpstreamRequest | null = null;
  /** Null until a request is to be copied. */
  #mirroring: Mirroring | null = null;
  /** The client has sent all of it. */
  isDone = false;
  /** While the first attempt is set out, the first body bytes still lie in the read buffer. */
  #live = false;
  #liveStart = 0;
  #liveEnd = 0;

  constructor(exchange: Exchange, runtime: WorkerRuntime) {
    this.#exchange = exchange;
    this.#runtime = runtime;
    this.#hold = new ReplayBuffer(replayBlocksOf(runtime));
  }

  reset(): void {
    this.#upstream = null;
    this.isDone = false;
    this.clear();
  }

  /** A request begins with the body bytes [start, end) of the read buffer. replay: another attempt may need them. */
  begin(framing: Framing, start: number, end: number, replay: boolean, limitBytes: number): void {
    this.#framing = framing;
    this.#hold.begin(replay, limitBytes);
    this.#hold.offer(this.#runtime.readBuffer, start, end);
    this.#liveStart = start;
    this.#liveEnd = end;
    this.#live = true;
  }

  /** Copies the request, of which the first has just come. */
  mirror(mirrors: readonly MirrorSpec[], { hash, action, cluster }: Routing): void {
    this.#mirroring ??= new Mirroring(this.#exchange, this.#runtime);
    const copied = { framing: this.#framing, hash, timeoutMs: action.timeoutMs };
    this.#mirroring.start(mirrors, copied, cluster, this.#liveStart, this.#liveEnd, this.isDone);
  }

  /** The first attempt is set out; the read buffer goes to others. */
  endLive(): void {
    this.#live = false;
    if (this.#upstream === null) this.holdClient();
  }

  /** Everything that came can be sent again. */
  get complete(): boolean {
    return this.#hold.complete;
  }

  get framing(): Framing {
    return this.#framing;
  }

  /** A copy of what is kept of the body. */
  held(): Buffer {
    return Buffer.from(this.#hold.bytes.subarray(0, this.#hold.length));
  }

  /** No upstream can take the request yet. */
  keep(): void {
    if (this.#live) this.#hold.keep(this.#runtime.readBuffer, this.#liveStart, this.#liveEnd);
  }

  /** Sends the head, and what of the body has come. */
  sendTo(upstream: UpstreamRequest): void {
    this.#upstream = upstream;
    this.#exchange.downstream.joinRequest(upstream.joinsRequest);
    const { requestHead, requestTrailers } = this.#exchange;
    const framing = this.#framing;
    if (this.#live) {
      const { readBuffer } = this.#runtime;
      upstream.sendHead(requestHead, framing, readBuffer, this.#liveStart, this.#liveEnd, this.isDone, requestTrailers);
    } else if (!this.#mayFollow()) {
      upstream.sendHead(requestHead, framing, this.#hold.bytes, 0, 0, this.isDone, null);
    } else {
      const hold = this.#hold;
      upstream.sendHead(requestHead, framing, hold.bytes, 0, hold.length, this.isDone, requestTrailers);
      if (!hold.replayable) hold.clear();
    }
    if (!this.isDone && !this.#exchange.ended) this.#followBackPressure(upstream);
  }

  /** More of the body, in the read buffer. False when nobody could take it yet. */
  data(start: number, end: number, last: boolean): boolean {
    const { readBuffer } = this.#runtime;
    if (this.#mirroring !== null) this.#mirroring.data(start, end, last);
    this.#hold.offer(readBuffer, start, end);
    const upstream = this.#mayFollow() ? this.#upstream : null;
    if (upstream === null) {
      this.#hold.keep(readBuffer, start, end);
      this.#exchange.downstream.pauseRequest();
      return false;
    }
    upstream.sendData(readBuffer, start, end, last, this.#exchange.requestTrailers);
    if (!last) this.#followBackPressure(upstream);
    return true;
  }

  /** The upstream would only queue more of the body: it resumes the client when that is over. */
  waitsForUpstream(): boolean {
    if (this.isDone || this.#upstream === null || !this.#mayFollow()) return false;
    return this.#upstream.waitForRoom();
  }

  /** Bytes behind a request for an upgrade are a tunnel's, and there is none before the upstream has agreed. */
  #mayFollow(): boolean {
    const { router } = this.#exchange;
    return router.answer.isTunnel || !router.wantsUpgrade;
  }

  /** The request's bytes are a tunnel's from now on; those that have come go first. */
  openTunnel(): void {
    const hold = this.#hold;
    const upstream = this.#upstream;
    this.isDone = this.#exchange.downstream.requestComplete;
    if (upstream !== null && (hold.length > 0 || this.isDone)) {
      upstream.sendData(hold.bytes, 0, hold.length, this.isDone, null);
    }
    hold.clear();
    hold.begin(false, 0);
    if (upstream !== null && !this.isDone) this.#followBackPressure(upstream);
  }

  /** The attempt is over; another one starts from what was kept. */
  detach(): void {
    this.#upstream = null;
  }

  /** Without an upstream nobody takes the rest of the body. */
  holdClient(): void {
    if (!this.isDone && !this.#exchange.ended) this.#exchange.downstream.pauseRequest();
  }

  #followBackPressure(upstream: UpstreamRequest): void {
    const { downstream } = this.#exchange;
    if (upstream.queued > 0) downstream.pauseRequest();
    else if (this.#mayFollow()) downstream.resumeRequest();
  }

  /** The upstream takes bytes again. */
  onUpstreamDrained(): void {
    if (!this.isDone) this.#exchange.downstream.resumeRequest();
  }

  /** Nothing of it is wanted any more, nor copies that are not whole. */
  clear(): void {
    this.#mirroring?.end();
    this.#hold.clear();
  }
}
