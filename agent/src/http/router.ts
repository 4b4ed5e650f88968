/**
 * The upstream side of one exchange: cluster, host, connection, attempts. Sends the request, again where that is
 * allowed, and hands the one final answer to the exchange.
 * Invariants: never a second attempt after the final head went to the client; every admission and every active count
 * taken for an attempt is given back once, in #endAttempt.
 */
import type { Cluster, Host, Outcome, PickContext } from '../cluster/cluster.ts';
import type { Head } from '../http1/head.ts';
import { method, token } from '../http1/known-headers.ts';
import { headCapacity, writeAllFields, writeBytes, writeRequest } from '../http1/serialize.ts';
import type { RetrySpec, RouteActionSpec } from '../model/http.ts';
import type { AddressSpec } from '../model/listener.ts';
import { readHeadroom } from '../net/stream.ts';
import { rewriteHost, rewritePath } from '../route/rewrite.ts';
import { pickWeighted } from '../route/weighted.ts';
import { clusterCodes, clusterHistogram, clusterStat, codeSlots, observe } from '../stats/layout.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { FramedRange, type Framing } from './body-framing.ts';
import { type CompiledRoute, expectedTimeoutMs } from './compiled-route.ts';
import type { Exchange } from './exchange.ts';
import { applyEdits } from './header-mutations.ts';
import { ReplayBuffer } from './replay-buffer.ts';
import { dropHopByHop, settleResponse } from './response-headers.ts';
import { backoffMs, isIdempotent, methodMayRetry, retriesFailure, retriesStatus } from './retry-policy.ts';
import type { UpstreamConnection, UpstreamUser } from './upstream-connection.ts';
import { failureBody, failureDetails, type UpstreamFailure, upstreamFailures } from './upstream-failure.ts';
import { poolOf, type UpstreamPool } from './upstream-pool.ts';

const { at } = clusterStat;
const chunkedLine = new TextEncoder().encode('transfer-encoding: chunked\r\n');
const emptyBodyLine = new TextEncoder().encode('content-length: 0\r\n');
const crlf = new TextEncoder().encode('\r\n');
const lastChunkStart = new TextEncoder().encode('0\r\n');
/** Methods whose requests are complete without a body; others say so with content-length: 0. */
const bodiless: ReadonlySet<number> = new Set([method.GET, method.HEAD, method.DELETE, method.TRACE, method.CONNECT]);

const responseOutcomes: readonly Outcome[] = Array.from({ length: 1000 }, (_, status) => ({
  kind: 'response',
  status,
}));
const connectionOutcomes: { readonly timeout: Outcome } = { timeout: { kind: 'local', cause: 'timeout' } };

export class Router implements UpstreamUser, PickContext {
  readonly #exchange: Exchange;
  readonly #runtime: WorkerRuntime;
  readonly #hold = new ReplayBuffer();
  readonly #range = new FramedRange();
  #route: CompiledRoute | null = null;
  #action: RouteActionSpec | null = null;
  #cluster: Cluster | null = null;
  #host: Host | null = null;
  #pool: UpstreamPool | null = null;
  #connection: UpstreamConnection | null = null;
  #admitted = false;
  #attemptStartMs = 0;
  #framing: Framing = 'none';
  #requestDone = false;
  #headSent = false;
  #retries = 0;
  #raceRetried = false;
  #retryAdmitted = false;
  #hostRewritten = false;
  tried: Host[] = [];
  destination: AddressSpec | null = null;
  sni = '';
  wantsUpgrade = false;
  requestSent = false;
  responseTrailers: Head | null = null;
  attempts = 0;
  clusterName = '';
  hostLabel = '';
  localAddress = '';
  peerPrincipal = '';
  tlsVersion = '';
  transportFailure = '';

  constructor(exchange: Exchange, runtime: WorkerRuntime) {
    this.#exchange = exchange;
    this.#runtime = runtime;
  }

  reset(): void {
    this.#route = null;
    this.#action = null;
    this.#cluster = null;
    this.#host = null;
    this.#pool = null;
    this.#connection = null;
    this.#requestDone = false;
    this.#headSent = false;
    this.#retries = 0;
    this.#raceRetried = false;
    this.#hostRewritten = false;
    if (this.tried.length > 0) this.tried = [];
    this.destination = null;
    this.sni = '';
    this.wantsUpgrade = false;
    this.requestSent = false;
    this.responseTrailers = null;
    this.attempts = 0;
    this.clusterName = '';
    this.hostLabel = '';
    this.localAddress = '';
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

  get #retry(): RetrySpec | null {
    return this.#route?.retry ?? null;
  }

  /** Takes the request on, with the body bytes [start, end) of the read buffer that came with its head. */
  start(
    route: CompiledRoute,
    action: RouteActionSpec,
    framing: Framing,
    start: number,
    end: number,
    last: boolean,
  ): void {
    const x = this.#exchange;
    this.#route = route;
    this.#action = action;
    this.#framing = framing;
    this.#requestDone = last;
    const cluster = this.#findCluster(action);
    if (cluster === null) {
      x.manager.count(x.manager.at.no_cluster);
      x.reply({ status: action.clusterNotFoundStatus, body: '' }, 'NC', 'cluster_not_found');
      return;
    }
    this.#cluster = cluster;
    this.clusterName = cluster.name;
    const { info } = x.downstream.stream;
    if (cluster.spec.type === 'original_dst') this.destination = { ip: info.localIp, port: info.localPort };
    this.#prepareHead(route, action);
    this.#hold.begin(this.#mayReplay(), cluster.spec.bufferLimitBytes);
    if (last) this.#onRequestDone();
    if (x.ended) return;
    this.#hold.offer(this.#runtime.readBuffer, start, end);
    this.#liveStart = start;
    this.#liveEnd = end;
    this.#live = true;
    this.#attempt(false);
    this.#live = false;
    if (this.#connection === null && !last && !x.ended) x.downstream.stream.pauseRead();
  }

  #findCluster(action: RouteActionSpec): Cluster | null {
    const { view } = this.#exchange;
    const name =
      action.clusterHeader === ''
        ? pickWeighted(action.clusters, this.#runtime.random)
        : view.header(action.clusterHeader);
    return name === null ? null : (this.#runtime.cluster(name) ?? null);
  }

  /** Whether bytes of the body are worth keeping for another attempt. */
  #mayReplay(): boolean {
    const name = this.#exchange.view.method;
    const retry = this.#retry;
    return (retry !== null && retry.numRetries > 0 && methodMayRetry(retry, name)) || isIdempotent(name);
  }

  /** The request as the upstream gets it; what depends on the attempt is set again for each. */
  #prepareHead(route: CompiledRoute, action: RouteActionSpec): void {
    const x = this.#exchange;
    const { requestHead: head, view, manager } = x;
    const envoyHeaders = !manager.spec.suppressEnvoyHeaders;
    if (envoyHeaders && route.expectedTimeout !== null) head.addStatic(route.expectedTimeout);
    if (route.rewritesPath) {
      const before = view.path;
      const after = rewritePath(route.matched, view);
      if (after !== before) {
        x.rewrittenFrom = before;
        head.setTarget(after);
        view.forget();
        if (envoyHeaders) head.set('x-envoy-original-path', before);
      }
    }
    if (route.rewritesHost && !action.autoHostRewrite) this.#setHost(rewriteHost(route.matched, view, ''));
    if (route.requestEdits !== null) {
      applyEdits(route.requestEdits, head, x);
      view.forget();
    }
  }

  #setHost(host: string | null): void {
    const x = this.#exchange;
    const { requestHead: head, view } = x;
    const before = view.authority;
    if (host === null || host === before) return;
    const first = !this.#hostRewritten;
    this.#hostRewritten = true;
    if (first && !x.manager.spec.suppressEnvoyHeaders) head.set('x-envoy-original-host', before);
    if (first && this.#action?.appendXForwardedHost === true) {
      const forwarded = head.getAll('x-forwarded-host').join(',');
      head.set('x-forwarded-host', forwarded === '' ? before : `${forwarded},${before}`);
    }
    head.set('host', host);
    view.forget();
  }

  #onRequestDone(): void {
    this.#requestDone = true;
    if (this.#action !== null && !this.wantsUpgrade) this.#exchange.deadlines.setResponse(this.#action.timeoutMs);
  }

  /** One attempt: host, connection, and where one is at hand the request itself. fresh: on a new connection. */
  #attempt(fresh: boolean): void {
    const x = this.#exchange;
    const cluster = this.#cluster as Cluster;
    this.attempts++;
    this.#attemptStartMs = this.#runtime.clock.nowMs;
    this.#headSent = false;
    this.requestSent = false;
    if (!cluster.admitRequest()) {
      this.#fail('overflow', '');
      return;
    }
    this.#admitted = true;
    const pick = cluster.pick(this);
    if (pick.kind !== 'host') {
      this.#endAttempt();
      x.reply({ status: 503, body: 'no healthy upstream' }, 'UH', 'no_healthy_upstream');
      return;
    }
    const { host } = pick;
    this.#host = host;
    host.activeRequests++;
    host.rqTotal++;
    this.hostLabel = host.label;
    this.#count(at.upstream_rq_total);
    this.#count(at.upstream_rq_active);
    if (this.#action?.autoHostRewrite === true && this.#route !== null) {
      this.#setHost(rewriteHost(this.#route.matched, x.view, host.endpoint.hostname));
    }
    this.sni = host.tls === null ? '' : host.tls.autoSni ? hostOf(x.view.authority) : host.tls.sni;
    this.#pool = poolOf(cluster, host, this.#runtime);
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
    if (stream !== null) this.#describe(stream.info);
    this.#startTryTimeout();
    if (this.#live) this.#sendHead(this.#liveStart, this.#liveEnd);
    else this.#sendHeld();
    if (!this.#requestDone && !x.ended) this.#followBackPressure();
  }

  #describe(info: { localIp: string; localPort: number; peerPrincipal: string; tlsVersion: string }): void {
    this.localAddress =
      info.localIp === ''
        ? ''
        : info.localIp.includes(':')
          ? `[${info.localIp}]:${info.localPort}`
          : `${info.localIp}:${info.localPort}`;
    this.peerPrincipal = info.peerPrincipal;
    this.tlsVersion = info.tlsVersion;
  }

  #startTryTimeout(): void {
    const perTry = this.#retry?.perTryTimeoutMs ?? 0;
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
    const { stream } = this.#connection as UpstreamConnection;
    if (stream === null) return;
    const head = x.requestHead;
    const out = x.manager.shared.scratch(headCapacity(head));
    let n = writeRequest(head, out, 0);
    if (this.#framing === 'chunked') n = writeBytes(chunkedLine, out, n);
    else if (this.#framing === 'none' && head.contentLength < 0 && !bodiless.has(head.method)) {
      n = writeBytes(emptyBodyLine, out, n);
    }
    n = writeBytes(crlf, out, n);
    const range = this.#range;
    const buffer = this.#runtime.readBuffer;
    this.#frame(start, end, this.#requestDone);
    const from = range.start - n;
    if (from >= 0) {
      out.copy(buffer, from, 0, n);
      stream.write(buffer, from, range.end);
    } else {
      stream.write(out, 0, n);
      stream.write(buffer, range.start, range.end);
    }
    this.#headSent = true;
    this.#count(at.upstream_cx_tx_bytes_total, n + range.end - range.start);
    if (this.#requestDone) this.#finishRequest();
  }

  #frame(start: number, end: number, last: boolean): void {
    const trailers = this.#exchange.requestTrailers;
    if (this.#framing === 'chunked') this.#range.chunk(this.#runtime.readBuffer, start, end, last && trailers === null);
    else this.#range.plain(start, end);
  }

  #finishRequest(): void {
    const trailers = this.#exchange.requestTrailers;
    const stream = this.#connection?.stream ?? null;
    if (trailers !== null && stream !== null) {
      const out = this.#exchange.manager.shared.scratch(headCapacity(trailers) + lastChunkStart.length);
      let n = writeBytes(lastChunkStart, out, 0);
      n = writeAllFields(trailers, out, n);
      stream.write(out, 0, writeBytes(crlf, out, n));
    }
    this.requestSent = true;
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
    this.#frame(start, end, last);
    const range = this.#range;
    if (range.end > range.start) {
      stream.write(this.#runtime.readBuffer, range.start, range.end);
      this.#count(at.upstream_cx_tx_bytes_total, range.end - range.start);
    }
    if (last) {
      this.#finishRequest();
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
    this.#countResponse(101);
    x.sendUpgrade(start, end, stream);
  }

  onResponseHead(framing: Framing, start: number, end: number, last: boolean): void {
    const x = this.#exchange;
    const { status } = x.responseHead;
    x.deadlines.touch();
    this.#countResponse(status);
    if (this.#retriesStatus(status)) {
      this.#recordOutcome(responseOutcomes[status] as Outcome);
      this.#giveUpAttempt(last);
      this.#scheduleRetry();
      return;
    }
    if (this.#retries > 0) this.#count(at.upstream_rq_retry_success);
    x.deadlines.clearAttempt();
    x.details = 'via_upstream';
    x.status = status;
    this.#settleResponse(false);
    if (last) this.responseTrailers = this.#trailers();
    x.sendHead(framing, start, end, last);
    if (last) this.#finish();
    else this.#pauseIfSlow();
  }

  #trailers(): Head | null {
    return this.#connection?.body.trailers ?? null;
  }

  #settleResponse(upgrade: boolean): void {
    const x = this.#exchange;
    dropHopByHop(x.responseHead, upgrade);
    const elapsed = this.#runtime.clock.nowMs - this.#attemptStartMs;
    const time = x.manager.shared.serviceTime(elapsed);
    settleResponse(x.responseHead, x.manager, time, this.#route?.responseEdits ?? null, x);
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
    const elapsed = this.#runtime.clock.nowMs - this.#attemptStartMs;
    const cluster = this.#cluster as Cluster;
    observe(this.#runtime.slots, cluster.stats + clusterHistogram.upstream_rq_time, Math.max(0, elapsed));
    this.#recordOutcome(responseOutcomes[x.status] as Outcome);
    this.#endAttempt();
    this.#releaseRetry();
    this.#connection = null;
    connection?.release();
    x.finish();
  }

  #recordOutcome(outcome: Outcome): void {
    const host = this.#host;
    if (host !== null) this.#cluster?.record(host, outcome);
    const edge = this.#connection?.stream?.edge ?? null;
    if (edge === null) return;
    edge.requests++;
    if (outcome.kind === 'local' || outcome.status >= 500) edge.failures++;
  }

  #countResponse(status: number): void {
    this.#count(at.upstream_rq_completed);
    if (status < 100 + codeSlots) this.#count(clusterCodes + status - 100);
    if (status >= 500) this.#count(at.upstream_rq_5xx);
    else if (status >= 400) this.#count(at.upstream_rq_4xx);
    else if (status >= 300) this.#count(at.upstream_rq_3xx);
    else if (status >= 200) this.#count(at.upstream_rq_2xx);
    else this.#count(at.upstream_rq_1xx);
  }

  onConnectFailed(failure: UpstreamFailure, detail: string): void {
    this.#fail(failure, detail);
  }

  onReset(failure: UpstreamFailure, detail: string): void {
    this.#count(at.upstream_rq_rx_reset);
    if (this.#isKeepAliveRace(failure)) {
      this.#raceRetried = true;
      this.#connection = null;
      this.#endAttempt();
      this.attempts--;
      this.#attemptFromHold(true);
      return;
    }
    this.#fail(failure, detail);
  }

  /** The upstream closed an idle connection while our request was on its way: no answer, nothing done (RFC 9112 9.3.1). */
  #isKeepAliveRace(failure: UpstreamFailure): boolean {
    const connection = this.#connection;
    if (failure !== 'connection-termination' || connection === null || this.#raceRetried) return false;
    if (!connection.reused || connection.answered || this.#exchange.responseStarted) return false;
    return isIdempotent(this.#exchange.view.method) && this.#hold.complete;
  }

  /** An attempt has failed before or after the response began. */
  #fail(failure: UpstreamFailure, detail: string): void {
    const x = this.#exchange;
    const facts = upstreamFailures[failure];
    if (detail !== '') this.transportFailure = detail;
    if (facts.outcome !== null) this.#recordOutcome(facts.outcome);
    this.#connection = null;
    this.#endAttempt();
    if (x.responseStarted) {
      x.abort(facts.flag, failureDetails(failure, true, detail));
      return;
    }
    const retry = this.#retry;
    if (retry !== null && retriesFailure(retry, failure) && this.#mayTryAgain(retry)) {
      this.#scheduleRetry();
      return;
    }
    const headers = failure === 'overflow' ? ([['x-envoy-overloaded', 'true']] as const) : [];
    const details = failureDetails(failure, false, detail);
    x.reply({ status: facts.status, body: failureBody(failure, this.#retries > 0), headers }, facts.flag, details);
  }

  #retriesStatus(status: number): boolean {
    const retry = this.#retry;
    return retry !== null && retriesStatus(retry, status) && this.#mayTryAgain(retry);
  }

  /** Counts why not, and takes a place among the retries of the cluster when so. */
  #mayTryAgain(retry: RetrySpec): boolean {
    const cluster = this.#cluster as Cluster;
    const x = this.#exchange;
    this.#releaseRetry();
    if (retry.numRetries === 0 || !methodMayRetry(retry, x.view.method)) return false;
    if (this.#retries >= retry.numRetries) {
      this.#count(at.upstream_rq_retry_limit_exceeded);
      x.flag('URX');
      return false;
    }
    if (!this.#hold.complete) {
      this.#count(at.retry_or_shadow_abandoned);
      return false;
    }
    if (!cluster.admitRetry()) return false;
    this.#retryAdmitted = true;
    return true;
  }

  #scheduleRetry(): void {
    const retry = this.#retry;
    if (retry === null) return;
    this.#retries++;
    this.#count(at.upstream_rq_retry);
    if (this.#host !== null) this.tried.push(this.#host);
    const x = this.#exchange;
    this.#holdClient();
    x.deadlines.clearAttempt();
    x.deadlines.setRetry(backoffMs(retry, this.#retries, this.#runtime.random));
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
    const x = this.#exchange;
    this.#holdClient();
    const head = x.requestHead;
    if (head.has(token['x-envoy-expected-rq-timeout-ms']) && this.#route?.expectedTimeout !== null) {
      const left = expectedTimeoutMs(Math.ceil(x.deadlines.responseLeftMs), this.#retry);
      if (left > 0) head.set('x-envoy-expected-rq-timeout-ms', String(left));
    }
    this.#attempt(fresh);
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
    const host = this.#host;
    if (this.#admitted) {
      this.#admitted = false;
      this.#cluster?.releaseRequest();
      if (host !== null && host.activeRequests > 0 && this.#pool !== null) {
        host.activeRequests--;
        this.#count(at.upstream_rq_active, -1);
      }
    }
    this.#pool = null;
  }

  #releaseRetry(): void {
    if (!this.#retryAdmitted) return;
    this.#retryAdmitted = false;
    this.#cluster?.releaseRetry();
  }

  onResponseTimeout(): void {
    const x = this.#exchange;
    this.#count(at.upstream_rq_timeout);
    this.#recordOutcome(connectionOutcomes.timeout);
    if (x.responseStarted) x.abort('UT', 'response_timeout');
    else x.reply({ status: 504, body: 'upstream request timeout' }, 'UT', 'response_timeout');
  }

  onTryTimeout(): void {
    if (this.#exchange.responseStarted) return;
    this.#count(at.upstream_rq_per_try_timeout);
    const connection = this.#connection;
    this.#pool?.cancel(this);
    if (connection !== null) this.#count(at.upstream_rq_tx_reset);
    const failed = connection;
    this.#fail('per-try-timeout', '');
    failed?.closeLocal();
  }

  /** The exchange needs no answer any more: the attempt and the wait for one are given up. */
  abandon(): void {
    const connection = this.#connection;
    this.#connection = null;
    this.#pool?.cancel(this);
    if (connection !== null) {
      this.#count(at.upstream_rq_tx_reset);
      if (!this.#exchange.responseStarted) this.#count(at.upstream_rq_cancelled);
    }
    this.#endAttempt();
    this.#releaseRetry();
    connection?.closeLocal();
    this.#hold.clear();
  }

  tunnelEnded(): void {
    const connection = this.#connection;
    this.#connection = null;
    this.#recordOutcome(responseOutcomes[101] as Outcome);
    this.#endAttempt();
    this.#releaseRetry();
    connection?.tunnelClosed();
  }

  #count(slot: number, by = 1): void {
    const { slots } = this.#runtime;
    const i = (this.#cluster as Cluster).stats + slot;
    slots[i] = (slots[i] as number) + by;
  }
}

/** Host without port, for SNI. */
function hostOf(authority: string): string {
  return authority.replace(/:[0-9]*$/, '');
}
