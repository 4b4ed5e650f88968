/**
 * The upstream side of one exchange: a request is taken on, attempts are made, and each answer is judged: whether the
 * request is tried again, goes where the answer leads to, or the answer is the one for the client. The attempts are in
 * attempts.ts, the answer's way to the client in answer-relay.ts.
 * Invariant: an answer is for the client or given up, and no other comes after one for the client.
 */
import type { InternalRedirectSpec, RouteActionSpec } from '../model/http.ts';
import { clusterStat } from '../stats/layout.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { AnswerRelay } from './answer-relay.ts';
import { Attempts } from './attempts.ts';
import type { Framing } from './body-framing.ts';
import type { CompiledRoute } from './compiled-route.ts';
import type { Exchange } from './exchange.ts';
import { grpcStatusOf, statusWorth } from './grpc-status.ts';
import { serveAgain, takeRedirect } from './internal-redirect.ts';
import { dropHopByHop } from './response-headers.ts';
import type { FirstBody } from './serve.ts';
import { prepareUpstreamHead } from './upstream-head.ts';

const { at } = clusterStat;
const noBody = Buffer.alloc(0);

export class Router extends Attempts {
  readonly answer: AnswerRelay;

  constructor(exchange: Exchange, runtime: WorkerRuntime) {
    super(exchange, runtime);
    this.answer = new AnswerRelay(exchange, this.routing, this.sender, this.attempt);
  }

  override reset(): void {
    super.reset();
    this.answer.reset();
  }

  /** Takes the request on, with what of its body came with its head. */
  start(matched: CompiledRoute, own: RouteActionSpec, { framing, start, end, last }: FirstBody): void {
    const x = this.exchange;
    const cluster = this.routing.choose(matched, own);
    const { route, action } = this.routing;
    if (cluster === null) {
      x.manager.count(x.manager.at.no_cluster);
      x.reply({ status: action.clusterNotFoundStatus, body: '' }, 'NC', 'cluster_not_found');
      return;
    }
    this.facts.clusterName = cluster.name;
    const virtualCluster = this.attempt.countPartsOf(matched.matched, x.view);
    if (virtualCluster !== '') x.virtualCluster = virtualCluster;
    if (x.manager.grpcStats !== null) x.countCall(x.manager.grpcStats, cluster.name, start, end);
    prepareUpstreamHead(x, route, action);
    this.retry.begin(route.retry, route.retryAnswer, cluster, x.view.method);
    if (last) this.#onRequestDone();
    if (x.ended) return;
    const limitBytes = route.bufferLimitBytes ?? cluster.spec.bufferLimitBytes;
    const replay = this.retry.wantsReplay || action.internalRedirect !== undefined;
    this.sender.begin(framing, start, end, replay, limitBytes);
    if (route.mirrors !== null && !this.wantsUpgrade) this.sender.mirror(route.mirrors, this.routing);
    this.begin(false);
    this.sender.endLive();
  }

  #onRequestDone(): void {
    this.sender.isDone = true;
    if (!this.wantsUpgrade) this.exchange.deadlines.setResponse(this.routing.action.timeoutMs);
  }

  /** More of the request's body, in the read buffer. */
  requestData(start: number, end: number, last: boolean): void {
    if (last) this.#onRequestDone();
    this.exchange.countRequestMessages(start, end);
    if (!this.sender.data(start, end, last) || !last) return;
    if (!this.answer.isTunnel) this.startTryTimeout();
    else if (this.answer.hasEnded) this.#finish();
  }

  /** Whether more of the request is better not read before the client is resumed. */
  waitsForUpstream(): boolean {
    return this.sender.waitsForUpstream();
  }

  waitsForDownstream(): boolean {
    return this.exchange.downstream.waitForRoom();
  }

  /** The client takes bytes again. */
  onDownstreamDrained(): void {
    this.attempt.upstream?.resumeAnswer();
  }

  onInformational(): void {
    const x = this.exchange;
    x.deadlines.touch();
    dropHopByHop(x.responseHead, false);
    x.sendInformational();
  }

  onUpgraded(): void {
    this.exchange.deadlines.clearResponse();
    this.answer.beginTunnel();
    this.sender.openTunnel();
  }

  onResponseHead(framing: Framing, start: number, end: number, last: boolean): void {
    const x = this.exchange;
    const { status } = x.responseHead;
    x.deadlines.touch();
    const decision = this.retry.afterAnswer(this.facts.peerPrincipal);
    if (decision === 'again') {
      this.attempt.recordStatus(x.view.isGrpc ? statusWorth(grpcStatusOf(x.responseHead, null), status) : status);
      this.#giveUpAttempt(last);
      this.scheduleRetry();
      return;
    }
    const redirects = this.routing.action.internalRedirect;
    if (redirects?.codes.includes(status) === true && this.#redirect(redirects, last)) return;
    if (this.retry.count > 0 && decision === 'no') this.attempt.countEverywhere('upstream_rq_retry_success');
    x.deadlines.clearAttempt();
    this.answer.begin(framing, start, end, last);
    if (last) this.#finish();
  }

  /** Serves the request again where the answer leads to; false when the answer is for the client. */
  #redirect(policy: InternalRedirectSpec, last: boolean): boolean {
    const x = this.exchange;
    const { sender, attempt, retry } = this;
    const whole = sender.isDone && sender.complete && !this.wantsUpgrade;
    const methodBefore = x.requestHead.method;
    const target = whole ? takeRedirect(x, policy, this.routing.route.matched.spec.name) : null;
    if (target === null) {
      attempt.count(at.upstream_internal_redirect_failed_total);
      return false;
    }
    attempt.count(at.upstream_internal_redirect_succeeded_total);
    attempt.recordStatus(x.responseHead.status);
    x.countAgain();
    const dropped = x.requestHead.method !== methodBefore;
    const body = dropped ? noBody : sender.held();
    this.#giveUpAttempt(last);
    retry.release();
    x.deadlines.clearResponse();
    serveAgain(x, target, dropped ? 'none' : sender.framing, body, this.runtime);
    return true;
  }

  /** The answer of this attempt is not wanted; its connection may be used again when the answer is complete. */
  #giveUpAttempt(last: boolean): void {
    const upstream = this.endAttempt();
    if (last) upstream?.release();
    else upstream?.cancel();
  }

  onResponseData(start: number, end: number, last: boolean): void {
    this.exchange.deadlines.touch();
    if (this.answer.data(start, end, last)) this.#finish();
  }

  /** The answer is complete and written. */
  #finish(): void {
    this.answer.record();
    const upstream = this.endAttempt();
    this.retry.release();
    this.sender.clear();
    upstream?.release();
    this.exchange.finish();
  }
}
