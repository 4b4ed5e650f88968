/**
 * The attempts at one request, one after the other: host and connection, the time each has, what is done when one fails,
 * and the reply when none is left. Where they go stands in routing.ts, what one takes in attempt.ts, what is sent in
 * request-sender.ts, whether there is another in retry-state.ts; what becomes of an answer is the router's.
 * Invariants: at most one attempt at a time; every admission and every active count taken for it is given back once, in
 * endAttempt; none follows once the final head went to the client.
 */
import type { Host, Outcome } from '../cluster/cluster.ts';
import type { Head } from '../http1/head.ts';
import { clusterStat } from '../stats/layout.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import { Attempt } from './attempt.ts';
import type { Framing } from './body-framing.ts';
import type { Downstream } from './downstream.ts';
import type { Exchange } from './exchange.ts';
import { replyToFailure } from './failure-reply.ts';
import { RequestSender } from './request-sender.ts';
import { RetryState } from './retry-state.ts';
import { Routing } from './routing.ts';
import { UpstreamFacts } from './upstream-facts.ts';
import { failureDetails, type UpstreamFailure, upstreamFailures } from './upstream-failure.ts';
import { hostOf, renewAttemptHeaders, setUpstreamHost } from './upstream-head.ts';
import type { UpstreamRequest, UpstreamUser } from './upstream-request.ts';

const { at } = clusterStat;
const timedOut: Outcome = { kind: 'local', cause: 'timeout' };

export abstract class Attempts implements UpstreamUser {
  protected readonly exchange: Exchange;
  protected readonly runtime: WorkerRuntime;
  protected readonly routing: Routing;
  protected readonly sender: RequestSender;
  /** The attempt at hand, or the last one. */
  protected readonly attempt: Attempt;
  protected readonly retry: RetryState;
  readonly facts = new UpstreamFacts();
  sni = '';
  wantsUpgrade = false;
  /** How many there were, without those that only replaced a connection. */
  attempts = 0;

  constructor(exchange: Exchange, runtime: WorkerRuntime) {
    this.exchange = exchange;
    this.runtime = runtime;
    this.routing = new Routing(exchange, runtime);
    this.sender = new RequestSender(exchange, runtime);
    this.attempt = new Attempt(runtime.slots, runtime.clock);
    this.retry = new RetryState(exchange, this.sender, this.attempt);
  }

  reset(): void {
    this.routing.reset();
    this.sender.reset();
    this.attempt.reset();
    this.retry.reset();
    this.facts.reset();
    this.sni = '';
    this.wantsUpgrade = false;
    this.attempts = 0;
  }

  get downstreamProtocol(): Downstream['protocol'] {
    return this.exchange.downstream.protocol;
  }

  get requestHead(): Head {
    return this.exchange.requestHead;
  }

  get requestMethod(): number {
    return this.exchange.requestHead.method;
  }

  get responseHead(): Head {
    return this.exchange.responseHead;
  }

  set responseHead(head: Head) {
    this.exchange.responseHead = head;
  }

  get joinsAnswer(): boolean {
    return this.exchange.downstream.joinsAnswer;
  }

  /** One attempt: host, connection, and where one is at hand the request itself. fresh: on a new connection. */
  protected begin(fresh: boolean): void {
    const { cluster } = this.routing;
    this.attempts++;
    if (!this.attempt.begin(cluster)) {
      this.#fail('overflow', '');
      return;
    }
    const pick = cluster.pick(this.routing);
    if (pick.kind !== 'host') {
      this.attempt.countStatus(503);
      this.exchange.reply({ status: 503, body: 'no healthy upstream' }, 'UH', 'no_healthy_upstream');
      return;
    }
    this.#acquire(pick.host, fresh);
  }

  #acquire(host: Host, fresh: boolean): void {
    const x = this.exchange;
    const { route, action } = this.routing;
    this.attempt.take(host);
    this.facts.hostLabel = host.label;
    if (action.autoHostRewrite === true) setUpstreamHost(x, route, action, host.endpoint.hostname);
    this.sni = host.tls === null ? '' : host.tls.autoSni ? hostOf(x.view.authority) : host.tls.sni;
    const pool = this.routing.poolFor(host);
    this.attempt.pool = pool;
    const acquired = pool.acquire(this, fresh);
    if (acquired === 'overflow') this.#fail('overflow', '');
    else if (acquired === 'pending') this.sender.keep();
  }

  onConnection(upstream: UpstreamRequest): void {
    this.facts.connected(upstream.info);
    this.attempt.connected(upstream);
    this.attempt.countPart('upstream_rq_total');
    this.startTryTimeout();
    this.sender.sendTo(upstream);
  }

  /** The time of an attempt runs from when it has its connection and the whole of the request. */
  protected startTryTimeout(): void {
    const perTry = this.retry.perTryTimeoutMs;
    if (perTry > 0 && this.sender.isDone && !this.wantsUpgrade) this.exchange.deadlines.setAttempt(perTry);
  }

  onUpstreamDrained(): void {
    this.sender.onUpstreamDrained();
  }

  onConnectFailed(failure: UpstreamFailure, detail: string): void {
    this.#fail(failure, detail);
  }

  onReset(failure: UpstreamFailure, detail: string): void {
    if (!this.retry.takeReplacement(failure)) {
      this.#fail(failure, detail);
      return;
    }
    this.endAttempt();
    this.attempts--;
    this.#beginFromHold(true);
  }

  /** An attempt has failed before or after the response began. */
  #fail(failure: UpstreamFailure, detail: string): void {
    const x = this.exchange;
    const facts = upstreamFailures[failure];
    if (detail !== '') this.facts.failure = detail;
    if (facts.outcome !== null) this.attempt.record(facts.outcome);
    this.endAttempt();
    if (x.responseStarted) {
      x.abort(facts.flag, failureDetails(failure, true, detail));
      return;
    }
    if (this.retry.afterFailure(failure) === 'again') {
      this.scheduleRetry();
      return;
    }
    this.attempt.countStatus(facts.status);
    replyToFailure(x, failure, detail, this.retry.count > 0);
  }

  /** The attempt is over, and the policy allows another. */
  protected scheduleRetry(): void {
    const { deadlines } = this.exchange;
    const { host } = this.attempt;
    this.attempt.countEverywhere('upstream_rq_retry');
    if (host !== null) this.routing.tried.push(host);
    this.sender.holdClient();
    deadlines.clearAttempt();
    deadlines.setRetry(this.retry.delayMs(this.runtime.random));
  }

  /** The back-off is over. */
  retryNow(): void {
    this.#beginFromHold(false);
  }

  #beginFromHold(fresh: boolean): void {
    this.sender.holdClient();
    renewAttemptHeaders(this.exchange, this.routing.route);
    this.begin(fresh);
  }

  onTryTimeout(): void {
    if (this.exchange.responseStarted) return;
    this.attempt.count(at.upstream_rq_per_try_timeout);
    const { pool, upstream } = this.attempt;
    pool?.cancel(this);
    this.#fail('per-try-timeout', '');
    upstream?.cancel();
  }

  onResponseTimeout(): void {
    const x = this.exchange;
    this.attempt.countEverywhere('upstream_rq_timeout');
    this.attempt.record(timedOut);
    if (x.responseStarted) x.abort('UT', 'response_timeout');
    else {
      this.attempt.countStatus(504);
      x.reply({ status: 504, body: 'upstream request timeout' }, 'UT', 'response_timeout');
    }
  }

  /** The exchange needs no answer any more: the attempt and the wait for one are given up. */
  abandon(): void {
    const { pool } = this.attempt;
    pool?.cancel(this);
    // It was waiting for a connection. HTTP/1 has no reset of a single request, so the other counters stay as they are.
    const waited = pool !== null && this.attempt.upstream === null;
    if (waited) this.attempt.count(at.upstream_rq_cancelled);
    const upstream = this.endAttempt();
    this.retry.release();
    this.sender.clear();
    upstream?.cancel();
  }

  /** Gives back what the attempt holds; its connection, if it has one, is left to the caller. */
  protected endAttempt(): UpstreamRequest | null {
    this.sender.detach();
    return this.attempt.end();
  }

  abstract onInformational(): void;
  abstract onUpgraded(): void;
  abstract onResponseHead(framing: Framing, start: number, end: number, last: boolean): void;
  abstract onResponseData(start: number, end: number, last: boolean): void;
  abstract waitsForDownstream(): boolean;
}
