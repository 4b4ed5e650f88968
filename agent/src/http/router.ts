/**
 * The upstream side of one exchange: cluster, host, attempts, and the one final answer. What is sent stands in
 * request-sender.ts, what an attempt takes in attempt.ts, whether to retry in retry-state.ts.
 * Invariants: never a second attempt after the final head went to the client; every admission and every active count
 * taken for an attempt is given back once, in #endAttempt.
 */
import type { Cluster, Host, Outcome, PickContext } from '../cluster/cluster.ts';
import type { Head } from '../http1/head.ts';
import { method } from '../http1/known-headers.ts';
import type { MetadataMatchSpec } from '../model/cluster.ts';
import type { InternalRedirectSpec, MirrorSpec, RouteActionSpec } from '../model/http.ts';
import type { AddressSpec } from '../model/listener.ts';
import { readHeadroom } from '../net/stream.ts';
import { clusterStat } from '../stats/layout.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { Attempt } from './attempt.ts';
import type { Framing } from './body-framing.ts';
import { takeWishes } from './caller-wishes.ts';
import { chooseCluster, findCluster } from './choose-cluster.ts';
import type { CompiledRoute } from './compiled-route.ts';
import { ConnectTunnel } from './connect-tunnel.ts';
import type { Downstream } from './downstream.ts';
import type { Exchange } from './exchange.ts';
import { replyToFailure } from './failure-reply.ts';
import { grpcStatusOf, statusWorth } from './grpc-status.ts';
import { takeRedirect } from './internal-redirect.ts';
import { asGrpcCall } from './legacy-grpc-timeout.ts';
import { Mirroring } from './mirror.ts';
import { poolOf } from './pool-of.ts';
import { takeRelayedFailure } from './relayed-failure.ts';
import { RequestSender } from './request-sender.ts';
import { dropHopByHop, settleResponse } from './response-headers.ts';
import { type RetryDecision, RetryState } from './retry-state.ts';
import { serveRedirected } from './serve.ts';
import { UpstreamFacts } from './upstream-facts.ts';
import { failureDetails, type UpstreamFailure, upstreamFailures } from './upstream-failure.ts';
import { prepareUpstreamHead, renewAttemptHeaders, setUpstreamHost } from './upstream-head.ts';
import type { RequestPool, UpstreamRequest, UpstreamUser } from './upstream-request.ts';

const { at } = clusterStat;
const timedOut: Outcome = { kind: 'local', cause: 'timeout' };

export class Router implements UpstreamUser, PickContext {
  readonly #exchange: Exchange;
  readonly #runtime: WorkerRuntime;
  readonly #sender: RequestSender;
  readonly #attempt: Attempt;
  #route: CompiledRoute | null = null;
  #action: RouteActionSpec | null = null;
  #cluster: Cluster | null = null;
  #pool: RequestPool | null = null;
  #upstream: UpstreamRequest | null = null;
  readonly #retry = new RetryState();
  /** Null until a request is to be copied. */
  #mirroring: Mirroring | null = null;
  tried: Host[] = [];
  destination: AddressSpec | null = null;
  hash: bigint | null = null;
  subset: MetadataMatchSpec | null = null;
  sni = '';
  wantsUpgrade = false;
  /** Request and answer are the two directions of a tunnel; the answer's has ended. */
  isTunnel = false;
  #answerEnded = false;
  responseTrailers: Head | null = null;
  attempts = 0;
  readonly facts = new UpstreamFacts();

  constructor(exchange: Exchange, runtime: WorkerRuntime) {
    this.#exchange = exchange;
    this.#runtime = runtime;
    this.#sender = new RequestSender(exchange, runtime);
    this.#attempt = new Attempt(runtime.slots, runtime.clock);
  }

  reset(): void {
    this.#route = null;
    this.#action = null;
    this.#cluster = null;
    this.#attempt.reset();
    this.#pool = null;
    this.#upstream = null;
    if (this.#mirroring !== null) this.#mirroring.end();
    this.#sender.reset();
    this.#retry.reset();
    this.facts.reset();
    if (this.tried.length > 0) this.tried = [];
    this.destination = null;
    this.hash = null;
    this.subset = null;
    this.sni = '';
    this.wantsUpgrade = false;
    this.isTunnel = false;
    this.#answerEnded = false;
    this.responseTrailers = null;
    this.attempts = 0;
  }

  get downstreamProtocol(): Downstream['protocol'] {
    return this.#exchange.downstream.protocol;
  }

  get requestHead(): Head {
    return this.#exchange.requestHead;
  }

  get responseHead(): Head {
    return this.#exchange.responseHead;
  }

  set responseHead(head: Head) {
    this.#exchange.responseHead = head;
  }

  get requestMethod(): number {
    return this.#exchange.requestHead.method;
  }

  /** Takes the request on, with the body bytes [start, end) of the read buffer that came with its head. */
  start(
    matched: CompiledRoute,
    own: RouteActionSpec,
    framing: Framing,
    start: number,
    end: number,
    last: boolean,
  ): void {
    const x = this.#exchange;
    const index = chooseCluster(own, x.view, this.#runtime.random);
    const chosen = matched.byCluster?.[index] ?? matched;
    const timed = x.view.isGrpc ? asGrpcCall(x.requestHead, chosen, own) : null;
    const base = timed?.route ?? chosen;
    const wished = x.view.internal ? takeWishes(x.requestHead, base, timed?.action ?? own) : null;
    const action = wished?.action ?? timed?.action ?? own;
    const route = wished?.route ?? base;
    this.#route = route;
    this.#action = action;
    const cluster = findCluster(action, index, x.view, this.#runtime);
    if (cluster === null) {
      x.manager.count(x.manager.at.no_cluster);
      x.reply({ status: action.clusterNotFoundStatus, body: '' }, 'NC', 'cluster_not_found');
      return;
    }
    this.#cluster = cluster;
    this.facts.clusterName = cluster.name;
    const virtualCluster = this.#attempt.countPartsOf(matched.matched, x.view);
    if (virtualCluster !== '') x.virtualCluster = virtualCluster;
    if (x.manager.grpcStats !== null) x.countCall(x.manager.grpcStats, cluster.name, start, end);
    const { info } = x.downstream;
    if (cluster.spec.type === 'original_dst') this.destination = { ip: info.localIp, port: info.localPort };
    if (route.hash !== null) this.hash = route.hash(x);
    this.subset = action.clusters[index]?.subset ?? action.subset ?? null;
    prepareUpstreamHead(x, route, action);
    this.#retry.begin(route.retry, route.retryAnswer, cluster, x.view.method);
    if (last) this.#onRequestDone();
    if (x.ended) return;
    const limitBytes = route.bufferLimitBytes ?? cluster.spec.bufferLimitBytes;
    const replay = this.#retry.wantsReplay || action.internalRedirect !== undefined;
    this.#sender.begin(framing, start, end, replay, limitBytes);
    if (route.mirrors !== null && !this.wantsUpgrade) this.#mirror(route.mirrors, action, framing, start, end, last);
    this.#try(false);
    this.#sender.endLive();
  }

  #mirror(
    mirrors: readonly MirrorSpec[],
    { timeoutMs }: RouteActionSpec,
    framing: Framing,
    start: number,
    end: number,
    last: boolean,
  ): void {
    this.#mirroring ??= new Mirroring(this.#exchange, this.#runtime);
    const copied = { framing, hash: this.hash, timeoutMs };
    this.#mirroring.start(mirrors, copied, this.#cluster as Cluster, start, end, last);
  }

  #onRequestDone(): void {
    this.#sender.isDone = true;
    if (this.#action !== null && !this.wantsUpgrade) this.#exchange.deadlines.setResponse(this.#action.timeoutMs);
  }

  /** One attempt: host, connection, and where one is at hand the request itself. fresh: on a new connection. */
  #try(fresh: boolean): void {
    const x = this.#exchange;
    const cluster = this.#cluster as Cluster;
    this.attempts++;
    if (!this.#attempt.begin(cluster)) {
      this.#fail('overflow', '');
      return;
    }
    const pick = cluster.pick(this);
    if (pick.kind !== 'host') {
      this.#attempt.countStatus(503);
      x.reply({ status: 503, body: 'no healthy upstream' }, 'UH', 'no_healthy_upstream');
      return;
    }
    this.#acquire(pick.host, fresh);
  }

  #acquire(host: Host, fresh: boolean): void {
    const x = this.#exchange;
    this.#attempt.take(host);
    this.facts.hostLabel = host.label;
    if (this.#action?.autoHostRewrite === true && this.#route !== null) {
      setUpstreamHost(x, this.#route, this.#action, host.endpoint.hostname);
    }
    this.sni = host.tls === null ? '' : host.tls.autoSni ? hostOf(x.view.authority) : host.tls.sni;
    const cluster = this.#cluster as Cluster;
    this.#pool = this.#endsHere()
      ? new ConnectTunnel(cluster, host, this.#action?.tunnelProxyHeader ?? null, x.downstream.info, this.#runtime)
      : poolOf(cluster, host, this.#runtime);
    const acquired = this.#pool.acquire(this, fresh);
    if (acquired === 'overflow') this.#fail('overflow', '');
    else if (acquired === 'pending') this.#sender.keep();
  }

  /** A CONNECT, or a POST in its stead, whose bytes go to a TCP connection of their own. */
  #endsHere(): boolean {
    const action = this.#action;
    if (action?.terminatesConnect !== true) return false;
    const asked = this.#exchange.requestHead.method;
    return this.wantsUpgrade ? asked === method.CONNECT : action.terminatesPost === true && asked === method.POST;
  }

  onConnection(upstream: UpstreamRequest): void {
    this.#upstream = upstream;
    this.facts.connected(upstream.info);
    this.#attempt.edge = upstream.edge;
    this.#attempt.countPart('upstream_rq_total');
    this.#startTryTimeout();
    this.#sender.sendTo(upstream);
  }

  #startTryTimeout(): void {
    const perTry = this.#retry.perTryTimeoutMs;
    if (perTry > 0 && this.#sender.isDone && !this.wantsUpgrade) this.#exchange.deadlines.setAttempt(perTry);
  }

  /** More of the request's body, in the read buffer. */
  requestData(start: number, end: number, last: boolean): void {
    if (last) this.#onRequestDone();
    this.#exchange.countRequestMessages(start, end);
    if (this.#mirroring !== null) this.#mirroring.data(start, end, last);
    if (!this.#sender.data(start, end, last) || !last) return;
    if (!this.isTunnel) this.#startTryTimeout();
    else if (this.#answerEnded) this.#finish();
  }

  onUpstreamDrained(): void {
    this.#sender.onUpstreamDrained();
  }

  get joinsAnswer(): boolean {
    return this.#exchange.downstream.joinsAnswer;
  }

  waitsForDownstream(): boolean {
    return this.#exchange.downstream.waitForRoom();
  }

  /** Whether more of the request is better not read before the client is resumed. */
  waitsForUpstream(): boolean {
    return this.#sender.waitsForUpstream();
  }

  /** The client takes bytes again. */
  onDownstreamDrained(): void {
    this.#upstream?.resumeAnswer();
  }

  onInformational(): void {
    const x = this.#exchange;
    x.deadlines.touch();
    dropHopByHop(x.responseHead, false);
    x.sendInformational();
  }

  onUpgraded(): void {
    const x = this.#exchange;
    const { status } = x.responseHead;
    x.deadlines.clearResponse();
    x.status = status;
    this.#settleResponse(status === 101);
    x.details = 'via_upstream';
    this.#attempt.countStatus(status);
    this.isTunnel = true;
    x.sendUpgrade();
    this.#sender.openTunnel();
  }

  onResponseHead(framing: Framing, start: number, end: number, last: boolean): void {
    const x = this.#exchange;
    const { status } = x.responseHead;
    x.deadlines.touch();
    const decision = this.#decideOnAnswer();
    if (this.#mayTryAgain(decision)) {
      this.#attempt.recordStatus(x.view.isGrpc ? statusWorth(grpcStatusOf(x.responseHead, null), status) : status);
      this.#giveUpAttempt(last);
      this.#scheduleRetry();
      return;
    }
    const redirects = this.#action?.internalRedirect;
    if (redirects?.codes.includes(status) === true && this.#redirect(redirects, last)) return;
    this.#attempt.countStatus(status);
    if (this.#retry.count > 0 && decision === 'no') this.#attempt.countEverywhere('upstream_rq_retry_success');
    x.deadlines.clearAttempt();
    x.details = 'via_upstream';
    x.status = status;
    this.#settleResponse(false);
    if (last) this.responseTrailers = this.#upstream?.trailers ?? null;
    x.sendHead(framing, start, end, last);
    if (last) this.#finish();
    else this.#pauseIfSlow();
  }

  /** Serves the request again where the answer leads to; false when the answer is for the client. */
  #redirect(policy: InternalRedirectSpec, last: boolean): boolean {
    const x = this.#exchange;
    const sender = this.#sender;
    const whole = sender.isDone && sender.complete && !this.wantsUpgrade;
    const from = this.#route?.matched.spec.name ?? '';
    const methodBefore = x.requestHead.method;
    const target = whole ? takeRedirect(x, policy, from) : null;
    if (target === null) {
      this.#attempt.count(at.upstream_internal_redirect_failed_total);
      return false;
    }
    this.#attempt.count(at.upstream_internal_redirect_succeeded_total);
    this.#attempt.recordStatus(x.responseHead.status);
    x.countAgain();
    const dropped = x.requestHead.method !== methodBefore;
    const body = dropped ? Buffer.alloc(0) : sender.held();
    const framing = dropped ? 'none' : sender.framing;
    this.#giveUpAttempt(last);
    this.#retry.release();
    x.deadlines.clearAttempt();
    x.deadlines.clearResponse();
    const { redirects } = x;
    // The read buffer is in use until this turn is over.
    this.#runtime.defer(() => {
      if (x.ended || x.redirects !== redirects) return;
      const end = readHeadroom + body.copy(this.#runtime.readBuffer, readHeadroom);
      this.reset();
      serveRedirected(x, target, { framing, start: readHeadroom, end, last: true });
    });
    return true;
  }

  #decideOnAnswer(): RetryDecision {
    const relayed = takeRelayedFailure(this.#exchange.responseHead, this.facts.peerPrincipal);
    const decision = relayed === null ? 'no' : this.#retry.afterFailure(relayed, this.#sender.complete);
    return decision === 'no' ? this.#retry.afterAnswer(this.#exchange.responseHead, this.#sender.complete) : decision;
  }

  #settleResponse(upgrade: boolean): void {
    const x = this.#exchange;
    dropHopByHop(x.responseHead, upgrade);
    for (let i = 0; i < x.setCookies.length; i++) x.responseHead.add('set-cookie', x.setCookies[i] ?? '');
    const complete = this.#sender.isDone && !this.wantsUpgrade;
    const time = complete ? x.manager.shared.serviceTime(this.#attempt.elapsedMs) : null;
    const count = this.#route?.matched.virtualHost.attemptCount?.response === true ? this.attempts : 0;
    settleResponse(x.responseHead, x.manager, time, count, this.#route?.responseEdits ?? null, x);
  }

  onResponseData(start: number, end: number, last: boolean): void {
    const x = this.#exchange;
    x.deadlines.touch();
    if (last) this.responseTrailers = this.#upstream?.trailers ?? null;
    x.sendData(start, end, last);
    if (!last) this.#pauseIfSlow();
    else if (this.isTunnel && !this.#sender.isDone) this.#answerEnded = true;
    else this.#finish();
  }

  #pauseIfSlow(): void {
    if (this.#exchange.downstream.queued > 0) this.#upstream?.pauseAnswer();
  }

  /** The answer is complete and written. */
  #finish(): void {
    const x = this.#exchange;
    const upstream = this.#upstream;
    if (this.#mirroring !== null) this.#mirroring.end();
    if (this.isTunnel) this.#attempt.recordStatus(x.status);
    else this.#attempt.recordAnswer(x.settleGrpcStatus());
    this.#endAttempt();
    this.#retry.release();
    this.#sender.clear();
    this.#upstream = null;
    upstream?.release();
    x.finish();
  }

  onConnectFailed(failure: UpstreamFailure, detail: string): void {
    this.#fail(failure, detail);
  }

  onReset(failure: UpstreamFailure, detail: string): void {
    if (this.#isKeepAliveRace(failure) || this.#isRefusal(failure)) {
      this.#upstream = null;
      this.#endAttempt();
      this.attempts--;
      this.#attemptFromHold(true);
      return;
    }
    this.#fail(failure, detail);
  }

  /** A reused connection has ended without a byte of an answer. */
  #isKeepAliveRace(failure: UpstreamFailure): boolean {
    const upstream = this.#upstream;
    if (failure !== 'connection-termination' || upstream === null) return false;
    return upstream.reused && !upstream.answered && this.#retry.takeRace(this.#sender.complete);
  }

  /** The upstream says that it has not looked at the request: it may be sent again, whatever its method. */
  #isRefusal(failure: UpstreamFailure): boolean {
    return (
      failure === 'refused-stream' && !this.#exchange.responseStarted && this.#retry.takeRefusal(this.#sender.complete)
    );
  }

  /** An attempt has failed before or after the response began. */
  #fail(failure: UpstreamFailure, detail: string): void {
    const x = this.#exchange;
    const facts = upstreamFailures[failure];
    if (detail !== '') this.facts.failure = detail;
    if (facts.outcome !== null) this.#attempt.record(facts.outcome);
    this.#upstream = null;
    this.#endAttempt();
    if (x.responseStarted) {
      x.abort(facts.flag, failureDetails(failure, true, detail));
      return;
    }
    if (this.#mayTryAgain(this.#retry.afterFailure(failure, this.#sender.complete))) {
      this.#scheduleRetry();
      return;
    }
    this.#attempt.countStatus(facts.status);
    replyToFailure(x, failure, detail, this.#retry.count > 0);
  }

  /** Counts what was decided. */
  #mayTryAgain(decision: RetryDecision): boolean {
    if (decision === 'limit-exceeded') {
      this.#attempt.countEverywhere('upstream_rq_retry_limit_exceeded');
      this.#exchange.flag('URX');
    } else if (decision === 'not-replayable') this.#attempt.count(at.retry_or_shadow_abandoned);
    else if (decision === 'overflow') this.#attempt.countPart('upstream_rq_retry_overflow');
    return decision === 'again';
  }

  #scheduleRetry(): void {
    this.#attempt.countEverywhere('upstream_rq_retry');
    if (this.#attempt.host !== null) this.tried.push(this.#attempt.host);
    const { deadlines } = this.#exchange;
    this.#sender.holdClient();
    deadlines.clearAttempt();
    deadlines.setRetry(this.#retry.delayMs(this.#runtime.random));
  }

  /** The back-off is over. */
  retryNow(): void {
    this.#attemptFromHold(false);
  }

  #attemptFromHold(fresh: boolean): void {
    this.#sender.holdClient();
    if (this.#route !== null) renewAttemptHeaders(this.#exchange, this.#route);
    this.#try(fresh);
  }

  /** The answer of this attempt is not wanted; its connection may be used again when the answer is complete. */
  #giveUpAttempt(last: boolean): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    this.#endAttempt();
    if (last) upstream?.release();
    else upstream?.cancel();
  }

  /** Gives back what the attempt holds. */
  #endAttempt(): void {
    this.#attempt.end();
    this.#sender.detach();
    this.#pool = null;
  }

  onResponseTimeout(): void {
    const x = this.#exchange;
    this.#attempt.countEverywhere('upstream_rq_timeout');
    this.#attempt.record(timedOut);
    if (x.responseStarted) x.abort('UT', 'response_timeout');
    else {
      this.#attempt.countStatus(504);
      x.reply({ status: 504, body: 'upstream request timeout' }, 'UT', 'response_timeout');
    }
  }

  onTryTimeout(): void {
    if (this.#exchange.responseStarted) return;
    this.#attempt.count(at.upstream_rq_per_try_timeout);
    const upstream = this.#upstream;
    this.#pool?.cancel(this);
    this.#fail('per-try-timeout', '');
    upstream?.cancel();
  }

  /** The exchange needs no answer any more: the attempt and the wait for one are given up. */
  abandon(): void {
    if (this.#mirroring !== null) this.#mirroring.end();
    const upstream = this.#upstream;
    this.#upstream = null;
    this.#pool?.cancel(this);
    // It was waiting for a connection. HTTP/1 has no reset of a single request, so the other counters stay as they are.
    if (upstream === null && this.#pool !== null) this.#attempt.count(at.upstream_rq_cancelled);
    this.#endAttempt();
    this.#retry.release();
    upstream?.cancel();
    this.#sender.clear();
  }
}

/** Host without port, for SNI. */
function hostOf(authority: string): string {
  return authority.replace(/:[0-9]*$/, '');
}
