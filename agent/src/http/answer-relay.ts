/**
 * The answer on its way from the upstream of the last attempt to the client: its head settled, its body handed on and
 * read only as fast as the client takes it, or the bytes of a tunnel. Whether an answer is the one for the client is
 * decided before, in router.ts. Invariant: nothing goes out before one of `begin` and `beginTunnel`, and each request
 * has at most one of them, once.
 */
import type { Head } from '../http1/head.ts';
import type { Attempt } from './attempt.ts';
import type { Framing } from './body-framing.ts';
import type { Exchange } from './exchange.ts';
import type { RequestSender } from './request-sender.ts';
import { dropHopByHop, settleResponse } from './response-headers.ts';
import type { Routing } from './routing.ts';

export class AnswerRelay {
  readonly #exchange: Exchange;
  readonly #routing: Routing;
  readonly #sender: RequestSender;
  readonly #attempt: Attempt;
  /** Trailer fields, once the answer is complete. */
  trailers: Head | null = null;
  /** Request and answer are the two directions of a tunnel. */
  isTunnel = false;
  /** The tunnel's other direction goes on without this one. */
  hasEnded = false;

  constructor(exchange: Exchange, routing: Routing, sender: RequestSender, attempt: Attempt) {
    this.#exchange = exchange;
    this.#routing = routing;
    this.#sender = sender;
    this.#attempt = attempt;
  }

  reset(): void {
    this.trailers = null;
    this.isTunnel = false;
    this.hasEnded = false;
  }

  /** Sends the final head in responseHead, with the body bytes [start, end) of the read buffer. */
  begin(framing: Framing, start: number, end: number, last: boolean): void {
    this.#settleHead(false);
    if (last) this.#takeTrailers();
    this.#exchange.sendHead(framing, start, end, last);
    if (!last) this.#pauseIfSlow();
  }

  /** Sends the head in responseHead that agrees to an upgrade. */
  beginTunnel(): void {
    this.#settleHead(this.#exchange.responseHead.status === 101);
    this.isTunnel = true;
    this.#exchange.sendUpgrade();
  }

  #settleHead(upgrade: boolean): void {
    const x = this.#exchange;
    const head = x.responseHead;
    const { route } = this.#routing;
    x.status = head.status;
    x.details = 'via_upstream';
    this.#attempt.countStatus(head.status);
    dropHopByHop(head, upgrade);
    for (let i = 0; i < x.setCookies.length; i++) head.add('set-cookie', x.setCookies[i] ?? '');
    const complete = this.#sender.isDone && !x.router.wantsUpgrade;
    const time = complete ? x.manager.shared.serviceTime(this.#attempt.elapsedMs) : null;
    const count = route.matched.virtualHost.attemptCount?.response === true ? x.attempts : 0;
    settleResponse(head, x.manager, time, count, route.responseEdits, x);
  }

  /** Sends body bytes of the read buffer. True when that was all, of the request too where they are a tunnel's. */
  data(start: number, end: number, last: boolean): boolean {
    if (last) this.#takeTrailers();
    this.#exchange.sendData(start, end, last);
    if (!last) this.#pauseIfSlow();
    else if (this.isTunnel && !this.#sender.isDone) this.hasEnded = true;
    else return true;
    return false;
  }

  #takeTrailers(): void {
    this.trailers = this.#attempt.upstream?.trailers ?? null;
  }

  #pauseIfSlow(): void {
    if (this.#exchange.downstream.queued > 0) this.#attempt.upstream?.pauseAnswer();
  }

  /** The answer is complete: tells statistics and outlier detection how it went. */
  record(): void {
    const x = this.#exchange;
    if (this.isTunnel) this.#attempt.recordStatus(x.status);
    else this.#attempt.recordAnswer(x.settleGrpcStatus());
  }
}
