/**
 * How often one request was tried again and whether it may be once more, after a failure or an answer; what was not
 * allowed is counted. Invariant: it holds at most one place among the cluster's retries, from the decision to retry
 * until that attempt has ended.
 */
import type { Cluster } from '../cluster/cluster.ts';
import type { RetrySpec } from '../model/http.ts';
import { clusterStat } from '../stats/layout.ts';
import type { Attempt } from './attempt.ts';
import type { Exchange } from './exchange.ts';
import { takeRelayedFailure } from './relayed-failure.ts';
import type { RequestSender } from './request-sender.ts';
import type { AnswerMatch } from './retry-answer.ts';
import { backoffMs, isIdempotent, methodMayRetry, retriesFailure, retriesStatus } from './retry-policy.ts';
import type { UpstreamFailure } from './upstream-failure.ts';

const { at } = clusterStat;

export type RetryDecision =
  | 'again'
  /** The policy does not cover it. */
  | 'no'
  /** The policy would, but it was tried too often, the body is gone, or the cluster has too many retries. */
  | 'not-possible';

export class RetryState {
  readonly #exchange: Exchange;
  readonly #sender: RequestSender;
  readonly #attempt: Attempt;
  #spec: RetrySpec | null = null;
  #answers: AnswerMatch | null = null;
  #cluster: Cluster | null = null;
  #method = '';
  #admitted = false;
  #replaced = false;
  /** Retries so far; the replacement of a connection that raced its closing is none. */
  count = 0;

  constructor(exchange: Exchange, sender: RequestSender, attempt: Attempt) {
    this.#exchange = exchange;
    this.#sender = sender;
    this.#attempt = attempt;
  }

  reset(): void {
    this.#spec = null;
    this.#cluster = null;
    this.#replaced = false;
    this.count = 0;
  }

  begin(spec: RetrySpec | null, answers: AnswerMatch | null, cluster: Cluster, method: string): void {
    this.#spec = spec;
    this.#answers = answers;
    this.#cluster = cluster;
    this.#method = method;
  }

  get perTryTimeoutMs(): number {
    return this.#spec?.perTryTimeoutMs ?? 0;
  }

  /** Whether bytes of the body are worth keeping for another attempt. */
  get wantsReplay(): boolean {
    const spec = this.#spec;
    return (spec !== null && spec.numRetries > 0 && methodMayRetry(spec, this.#method)) || isIdempotent(this.#method);
  }

  /**
   * Whether the request is sent once more on a fresh connection, whatever the policy, and without that being a retry:
   * nothing was done with it, or it does no harm twice. To be asked while the attempt still has its connection.
   */
  takeReplacement(failure: UpstreamFailure): boolean {
    if (this.#replaced || !this.#sender.complete) return false;
    this.#replaced = this.#isKeepAliveRace(failure) || this.#isUnseen(failure);
    return this.#replaced;
  }

  /** The upstream closed an idle connection while the request was on its way to it (RFC 9112 section 9.3.1). */
  #isKeepAliveRace(failure: UpstreamFailure): boolean {
    const { upstream } = this.#attempt;
    if (failure !== 'connection-termination' || upstream === null) return false;
    return upstream.reused && !upstream.answered && isIdempotent(this.#method);
  }

  /**
   * The upstream has not looked at the request, so its method does not matter: it says so (RFC 9113 section 8.7), or not a
   * byte has reached it.
   */
  #isUnseen(failure: UpstreamFailure): boolean {
    return (failure === 'refused-stream' || failure === 'unread') && !this.#exchange.responseStarted;
  }

  /** peerPrincipal: who gave the answer in responseHead; a peer is asked what it was before its status is. */
  afterAnswer(peerPrincipal: string): RetryDecision {
    const head = this.#exchange.responseHead;
    const relayed = takeRelayedFailure(head, peerPrincipal);
    const decision = relayed === null ? 'no' : this.afterFailure(relayed);
    const spec = this.#spec;
    if (decision !== 'no' || spec === null) return decision;
    const verdict = this.#answers === null ? 'by-status' : this.#answers(head);
    const wanted = verdict === 'by-status' ? retriesStatus(spec, head.status) : verdict === 'again';
    return wanted ? this.#decide(spec) : 'no';
  }

  afterFailure(failure: UpstreamFailure): RetryDecision {
    const spec = this.#spec;
    return spec === null || !retriesFailure(spec, failure) ? 'no' : this.#decide(spec);
  }

  #decide(spec: RetrySpec): RetryDecision {
    this.release();
    if (!methodMayRetry(spec, this.#method)) return 'no';
    if (this.count >= spec.numRetries) {
      this.#attempt.countEverywhere('upstream_rq_retry_limit_exceeded');
      this.#exchange.flag('URX');
      return 'not-possible';
    }
    if (!this.#sender.complete) {
      this.#attempt.count(at.retry_or_shadow_abandoned);
      return 'not-possible';
    }
    if (this.#cluster?.admitRetry() !== true) {
      this.#attempt.countPart('upstream_rq_retry_overflow');
      return 'not-possible';
    }
    this.#admitted = true;
    this.count++;
    return 'again';
  }

  /** How long to wait before the retry that was just decided. */
  delayMs(random: () => number): number {
    return this.#spec === null ? 0 : backoffMs(this.#spec, this.count, random);
  }

  release(): void {
    if (!this.#admitted) return;
    this.#admitted = false;
    this.#cluster?.releaseRetry();
  }
}
