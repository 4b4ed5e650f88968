/**
 * The upstream side of one exchange: cluster, host, connection, attempts. Sends the request, again where that is
 * allowed, and hands the one final answer to the exchange. Longer than most files because it is one state machine; what
 * an attempt takes, whether to retry and how bytes are written stand in files of their own.
 * Invariants: never a second attempt after the final head went to the client; every admission and every active count
 * taken for an attempt is given back once, in #endAttempt.
 */
import type { Cluster, Host, Outcome, PickContext } from '../cluster/cluster.ts';
import type { Head } from '../http1/head.ts';
import type { RouteActionSpec } from '../model/http.ts';
import type { AddressSpec } from '../model/listener.ts';
import { readHeadroom, type Stream } from '../net/stream.ts';
import { pickByValue, pickWeightedIndex } from '../route/weighted.ts';
import { clusterStat } from '../stats/layout.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { Attempt } from './attempt.ts';
import type { Framing } from './body-framing.ts';
import { takeWishes } from './caller-wishes.ts';
import type { CompiledRoute } from './compiled-route.ts';
import type { Exchange } from './exchange.ts';
import { relayHeaders, takeRelayedFailure } from './relayed-failure.ts';
import { ReplayBuffer } from './replay-buffer.ts';
import { RequestWriter } from './request-writer.ts';
import { dropHopByHop, settleResponse } from './response-headers.ts';
import { type RetryDecision, RetryState } from './retry-state.ts';
import type { UpstreamConnection, UpstreamUser } from './upstream-connection.ts';
import { failureBody, failureDetails, type UpstreamFailure, upstreamFailures } from './upstream-failure.ts';
import { prepareUpstreamHead, renewAttemptHeaders, setUpstreamHost } from './upstream-head.ts';
import { poolOf, type UpstreamPool } from './upstream-pool.ts';
import { workerShared } from './worker-shared.ts';

const { at } = clusterStat;
const timedOut: Outcome = { kind: 'local', cause: 'timeout' };

export class Router implements UpstreamUser, PickContext {
  readonly #exchange: Exchange;
  readonly #runtime: WorkerRuntime;
  readonly #hold = new ReplayBuffer();
  readonly #writer: RequestWriter;
  readonly #attempt: Attempt;
  #route: CompiledRoute | null = null;
  #action: RouteActionSpec | null = null;
  #cluster: Cluster | null = null;
  #pool: UpstreamPool | null = null;
  #connection: UpstreamConnection | null = null;
  #requestDone = false;
  #headSent = false;
  readonly #retry = new RetryState();
  tried: Host[] = [];
  destination: AddressSpec | null = null;
  hash: bigint | null = null;
  sni = '';
  wantsUpgrade = false;
  requestSent = false;
  responseTrailers: Head | null = null;
  attempts = 0;
  clusterName = '';
  hostLabel = '';
  localIp = '';
  localPort = 0;
  peerPrincipal = '';
  tlsVersion = '';
  transportFailure = '';

  constructor(exchange: Exchange, runtime: WorkerRuntime) {
    this.#exchange = exchange;
    this.#runtime = runtime;
    this.#writer = new RequestWriter(runtime.readBuffer, workerShared(runtime));
    this.#attempt = new Attempt(runtime.slots, runtime.clock);
  }

  reset(): void {
    this.#route = null;
    this.#action = null;
    this.#cluster = null;
    this.#attempt.reset();
    this.#pool = null;
    this.#connection = null;
    this.#requestDone = false;
    this.#headSent = false;
    this.#retry.reset();
    if (this.tried.length > 0) this.tried = [];
    this.destination = null;
    this.hash = null;
    this.sni = '';
    this.wantsUpgrade = false;
    this.requestSent = false;
    this.responseTrailers = null;
    this.attempts = 0;
    this.clusterName = '';
    this.hostLabel = '';
    this.localIp = '';
    this.peerPrincipal = '';
    this.tlsVersion = '';
    this.transportFailure = '';
    this.#hold.clear();
  }

  get responseHead(): Head {
    return this.#exchange.responseHead;
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
    const wished = x.view.internal ? takeWishes(x.requestHead, matched, own) : null;
    const action = wished?.action ?? own;
    const index = action.clusters.length > 1 ? this.#chooseCluster(action) : 0;
    const route = wished?.route ?? matched.byCluster?.[index] ?? matched;
    this.#route = route;
    this.#action = action;
    this.#writer.begin(framing);
    this.#requestDone = last;
    const cluster = this.#findCluster(action, index);
    if (cluster === null) {
      x.manager.count(x.manager.at.no_cluster);
      x.reply({ status: action.clusterNotFoundStatus, body: '' }, 'NC', 'cluster_not_found');
      return;
    }
    this.#cluster = cluster;
    this.clusterName = cluster.name;
    const { info } = x.downstream.stream;
    if (cluster.spec.type === 'original_dst') this.destination = { ip: info.localIp, port: info.localPort };
    if (route.hash !== null) this.hash = route.hash(x);
    prepareUpstreamHead(x, route, action);
    this.#retry.begin(route.retry, route.retryAnswer, cluster, x.view.method);
    this.#hold.begin(this.#retry.wantsReplay, route.bufferLimitBytes ?? cluster.spec.bufferLimitBytes);
    if (last) this.#onRequestDone();
    if (x.ended) return;
    this.#hold.offer(this.#runtime.readBuffer, start, end);
    this.#liveStart = start;
    this.#liveEnd = end;
    this.#live = true;
    this.#try(false);
    this.#live = false;
    if (this.#connection === null && !last && !x.ended) x.downstream.stream.pauseRead();
  }

  #chooseCluster({ clusters, weightHeader }: RouteActionSpec): number {
    const chosen = weightHeader ? pickByValue(clusters, this.#exchange.view.header(weightHeader) ?? '') : null;
    return chosen ?? pickWeightedIndex(clusters, this.#runtime.random);
  }

  #findCluster(action: RouteActionSpec, index: number): Cluster | null {
    const { view } = this.#exchange;
    const name =
      action.clusterHeader === '' ? (action.clusters[index]?.name ?? null) : view.header(action.clusterHeader);
    return name === null ? null : (this.#runtime.cluster(name) ?? null);
  }

  #onRequestDone(): void {
    this.#requestDone = true;
    if (this.#action !== null && !this.wantsUpgrade) this.#exchange.deadlines.setResponse(this.#action.timeoutMs);
  }

  /** One attempt: host, connection, and where one is at hand the request itself. fresh: on a new connection. */
  #try(fresh: boolean): void {
    const x = this.#exchange;
    const cluster = this.#cluster as Cluster;
    this.attempts++;
    this.#headSent = false;
    this.requestSent = false;
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
    this.hostLabel = host.label;
    if (this.#action?.autoHostRewrite === true && this.#route !== null) {
      setUpstreamHost(x, this.#route, this.#action, host.endpoint.hostname);
    }
    this.sni = host.tls === null ? '' : host.tls.autoSni ? hostOf(x.view.authority) : host.tls.sni;
    this.#pool = poolOf(this.#cluster as Cluster, host, this.#runtime);
    const acquired = this.#pool.acquire(this, fresh);
    if (acquired === 'overflow') this.#fail('overflow', '');
    else if (acquired === 'pending' && this.#live) {
      this.#hold.keep(this.#runtime.readBuffer, this.#liveStart, this.#liveEnd);
    }
  }

  /** While the first attempt is set out, the first body bytes still lie in the read buffer. */
  #live = false;
  #liveStart = 0;
  #liveEnd = 0;

  onConnection(connection: UpstreamConnection): void {
    const x = this.#exchange;
    this.#connection = connection;
    const { stream } = connection;
    if (stream !== null) this.#describe(stream);
    this.#startTryTimeout();
    if (this.#live) this.#sendHead(this.#liveStart, this.#liveEnd);
    else this.#sendHeld();
    if (!this.#requestDone && !x.ended) this.#followBackPressure();
  }

  #describe(stream: Stream): void {
    const { localIp, localPort, peerPrincipal, tlsVersion } = stream.info;
    this.localIp = localIp;
    this.localPort = localPort;
    this.peerPrincipal = peerPrincipal;
    this.tlsVersion = tlsVersion;
    this.#attempt.edge = stream.edge;
  }

  get localAddress(): string {
    if (this.localIp === '') return '';
    return this.localIp.includes(':') ? `[${this.localIp}]:${this.localPort}` : `${this.localIp}:${this.localPort}`;
  }

  #startTryTimeout(): void {
    const perTry = this.#retry.perTryTimeoutMs;
    if (perTry > 0 && this.#requestDone && !this.wantsUpgrade) this.#exchange.deadlines.setAttempt(perTry);
  }

  /** Copies what was held into the read buffer and sends it with the head. */
  #sendHeld(): void {
    const buffer = this.#runtime.readBuffer;
    const end = this.#hold.copyTo(buffer, readHeadroom);
    this.#sendHead(readHeadroom, end);
    if (!this.#hold.replayable) this.#hold.clear();
  }

  #sendHead(start: number, end: number): void {
    const x = this.#exchange;
    const stream = this.#connection?.stream ?? null;
    if (stream === null) return;
    const n = this.#writer.head(stream, x.requestHead, start, end, this.#requestDone, x.requestTrailers);
    this.#attempt.count(at.upstream_cx_tx_bytes_total, n);
    this.#headSent = true;
    this.requestSent = this.#requestDone;
  }

  /** More of the request's body, in the read buffer. */
  requestData(start: number, end: number, last: boolean): void {
    this.#hold.offer(this.#runtime.readBuffer, start, end);
    if (last) this.#onRequestDone();
    const connection = this.#connection;
    if (connection === null || !this.#headSent) {
      this.#hold.keep(this.#runtime.readBuffer, start, end);
      this.#exchange.downstream.stream.pauseRead();
      return;
    }
    const { stream } = connection;
    if (stream === null) return;
    const n = this.#writer.data(stream, start, end, last, this.#exchange.requestTrailers);
    this.#attempt.count(at.upstream_cx_tx_bytes_total, n);
    if (last) {
      this.requestSent = true;
      this.#startTryTimeout();
    } else this.#followBackPressure();
  }

  /** The client is read only as fast as the upstream takes it. */
  #followBackPressure(): void {
    const client = this.#exchange.downstream.stream;
    if ((this.#connection?.stream?.queued ?? 0) > 0) client.pauseRead();
    else if (client.readPaused && !this.wantsUpgrade) client.resumeRead();
  }

  onUpstreamDrained(): void {
    const client = this.#exchange.downstream.stream;
    if (!this.#requestDone && client.readPaused) client.resumeRead();
  }

  /** The client takes bytes again. */
  onDownstreamDrained(): void {
    const stream = this.#connection?.stream ?? null;
    if (stream?.readPaused === true) stream.resumeRead();
  }

  onInformational(): void {
    const x = this.#exchange;
    x.deadlines.touch();
    dropHopByHop(x.responseHead, false);
    x.sendInformational();
  }

  onUpgraded(start: number, end: number): void {
    const x = this.#exchange;
    const stream = this.#connection?.stream ?? null;
    if (stream === null) return;
    x.deadlines.clearResponse();
    x.status = 101;
    this.#settleResponse(true);
    x.details = 'via_upstream';
    this.#attempt.countStatus(101);
    x.sendUpgrade(start, end, stream);
  }

  onResponseHead(framing: Framing, start: number, end: number, last: boolean): void {
    const x = this.#exchange;
    const { status } = x.responseHead;
    x.deadlines.touch();
    const decision = this.#decideOnAnswer();
    if (this.#mayTryAgain(decision)) {
      this.#attempt.recordStatus(status);
      this.#giveUpAttempt(last);
      this.#scheduleRetry();
      return;
    }
    this.#attempt.countStatus(status);
    if (this.#retry.count > 0 && decision === 'no') this.#attempt.count(at.upstream_rq_retry_success);
    x.deadlines.clearAttempt();
    x.details = 'via_upstream';
    x.status = status;
    this.#settleResponse(false);
    if (last) this.responseTrailers = this.#trailers();
    x.sendHead(framing, start, end, last);
    if (last) this.#finish();
    else this.#pauseIfSlow();
  }

  #decideOnAnswer(): RetryDecision {
    const relayed = takeRelayedFailure(this.#exchange.responseHead, this.peerPrincipal);
    const decision = relayed === null ? 'no' : this.#retry.afterFailure(relayed, this.#hold.complete);
    return decision === 'no' ? this.#retry.afterAnswer(this.#exchange.responseHead, this.#hold.complete) : decision;
  }

  #trailers(): Head | null {
    return this.#connection?.body.trailers ?? null;
  }

  #settleResponse(upgrade: boolean): void {
    const x = this.#exchange;
    dropHopByHop(x.responseHead, upgrade);
    for (let i = 0; i < x.setCookies.length; i++) x.responseHead.add('set-cookie', x.setCookies[i] ?? '');
    const time = x.manager.shared.serviceTime(this.#attempt.elapsedMs);
    const count = this.#route?.matched.virtualHost.attemptCount?.response === true ? this.attempts : 0;
    settleResponse(x.responseHead, x.manager, time, count, this.#route?.responseEdits ?? null, x);
  }

  onResponseData(start: number, end: number, last: boolean): void {
    const x = this.#exchange;
    x.deadlines.touch();
    if (last) this.responseTrailers = this.#trailers();
    x.sendData(start, end, last);
    if (last) this.#finish();
    else this.#pauseIfSlow();
  }

  #pauseIfSlow(): void {
    if (this.#exchange.downstream.stream.queued > 0) this.#connection?.stream?.pauseRead();
  }

  /** The answer is complete and written. */
  #finish(): void {
    const x = this.#exchange;
    const connection = this.#connection;
    this.#attempt.recordAnswer(x.status);
    this.#endAttempt();
    this.#retry.release();
    this.#connection = null;
    connection?.release();
    x.finish();
  }

  onConnectFailed(failure: UpstreamFailure, detail: string): void {
    this.#fail(failure, detail);
  }

  onReset(failure: UpstreamFailure, detail: string): void {
    if (this.#isKeepAliveRace(failure)) {
      this.#connection = null;
      this.#endAttempt();
      this.attempts--;
      this.#attemptFromHold(true);
      return;
    }
    this.#fail(failure, detail);
  }

  /** A reused connection has ended without a byte of an answer. */
  #isKeepAliveRace(failure: UpstreamFailure): boolean {
    const connection = this.#connection;
    if (failure !== 'connection-termination' || connection === null) return false;
    return connection.reused && !connection.answered && this.#retry.takeRace(this.#hold.complete);
  }

  /** An attempt has failed before or after the response began. */
  #fail(failure: UpstreamFailure, detail: string): void {
    const x = this.#exchange;
    const facts = upstreamFailures[failure];
    if (detail !== '') this.transportFailure = detail;
    if (facts.outcome !== null) this.#attempt.record(facts.outcome);
    this.#connection = null;
    this.#endAttempt();
    if (x.responseStarted) {
      x.abort(facts.flag, failureDetails(failure, true, detail));
      return;
    }
    if (this.#mayTryAgain(this.#retry.afterFailure(failure, this.#hold.complete))) {
      this.#scheduleRetry();
      return;
    }
    const headers = failure === 'overflow' ? ([['x-envoy-overloaded', 'true']] as const) : this.#told(failure);
    const details = failureDetails(failure, false, detail);
    this.#attempt.countStatus(facts.status);
    x.reply({ status: facts.status, body: failureBody(failure, this.#retry.count > 0), headers }, facts.flag, details);
  }

  #told(failure: UpstreamFailure): ReturnType<typeof relayHeaders> {
    const { manager, downstream } = this.#exchange;
    const meshed = manager.context.direction === 'inbound' && downstream.stream.info.peerPrincipal !== '';
    return meshed ? relayHeaders(failure) : [];
  }

  /** Counts what was decided. */
  #mayTryAgain(decision: RetryDecision): boolean {
    if (decision === 'limit-exceeded') {
      this.#attempt.count(at.upstream_rq_retry_limit_exceeded);
      this.#exchange.flag('URX');
    } else if (decision === 'not-replayable') this.#attempt.count(at.retry_or_shadow_abandoned);
    return decision === 'again';
  }

  #scheduleRetry(): void {
    this.#attempt.count(at.upstream_rq_retry);
    if (this.#attempt.host !== null) this.tried.push(this.#attempt.host);
    const { deadlines } = this.#exchange;
    this.#holdClient();
    deadlines.clearAttempt();
    deadlines.setRetry(this.#retry.delayMs(this.#runtime.random));
  }

  /** Without a connection nobody takes the rest of the body. */
  #holdClient(): void {
    if (!this.#requestDone) this.#exchange.downstream.stream.pauseRead();
  }

  /** The back-off is over. */
  retryNow(): void {
    this.#attemptFromHold(false);
  }

  #attemptFromHold(fresh: boolean): void {
    this.#holdClient();
    if (this.#route !== null) renewAttemptHeaders(this.#exchange, this.#route);
    this.#try(fresh);
  }

  /** The answer of this attempt is not wanted; its connection may be used again when the answer is complete. */
  #giveUpAttempt(last: boolean): void {
    const connection = this.#connection;
    this.#connection = null;
    this.#endAttempt();
    if (connection === null) return;
    if (last) connection.release();
    else connection.closeLocal();
  }

  /** Gives back what the attempt holds. */
  #endAttempt(): void {
    this.#attempt.end();
    this.#pool = null;
  }

  onResponseTimeout(): void {
    const x = this.#exchange;
    this.#attempt.count(at.upstream_rq_timeout);
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
    const connection = this.#connection;
    this.#pool?.cancel(this);
    const failed = connection;
    this.#fail('per-try-timeout', '');
    failed?.closeLocal();
  }

  /** The exchange needs no answer any more: the attempt and the wait for one are given up. */
  abandon(): void {
    const connection = this.#connection;
    this.#connection = null;
    this.#pool?.cancel(this);
    // It was waiting for a connection. HTTP/1 has no reset of a single request, so the other counters stay as they are.
    if (connection === null && this.#pool !== null) this.#attempt.count(at.upstream_rq_cancelled);
    this.#endAttempt();
    this.#retry.release();
    connection?.closeLocal();
    this.#hold.clear();
  }

  tunnelEnded(): void {
    const connection = this.#connection;
    this.#connection = null;
    this.#attempt.recordStatus(101);
    this.#endAttempt();
    this.#retry.release();
    connection?.tunnelClosed();
  }
}

/** Host without port, for SNI. */
function hostOf(authority: string): string {
  return authority.replace(/:[0-9]*$/, '');
}
