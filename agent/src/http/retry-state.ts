/**
 * How often one request was tried again and whether it may be once more. Invariant: it holds at most one place among the
 * cluster's retries, from the decision to retry until that attempt has ended.
 */
import type { Cluster } from '../cluster/cluster.ts';
import type { Head } from '../http1/head.ts';
import type { RetrySpec } from '../model/http.ts';
import type { AnswerMatch } from './retry-answer.ts';
import { backoffMs, isIdempotent, methodMayRetry, retriesFailure, retriesStatus } from './retry-policy.ts';
import type { UpstreamFailure } from './upstream-failure.ts';

export type RetryDecision =
  | 'again'
  /** The policy does not cover it. */
  | 'no'
  | 'limit-exceeded'
  /** The body is not there any more. */
  | 'not-replayable'
  /** The cluster has too many retries. */
  | 'overflow';

export class RetryState {
  #spec: RetrySpec | null = null;
  #answers: AnswerMatch | null = null;
  #cluster: Cluster | null = null;
  #method = '';
  #admitted = false;
  #raced = false;
  /** Retries so far; the replacement of a connection that raced its closing is none. */
  count = 0;

  reset(): void {
    this.#spec = null;
    this.#cluster = null;
    this.#raced = false;
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
   * The upstream closed an idle connection while the request was on its way, and nothing was answered: a request that
   * may be repeated is sent once more on a fresh connection, whatever the policy (RFC 9112 section 9.3.1).
   */
  takeRace(replayable: boolean): boolean {
    if (this.#raced || !replayable || !isIdempotent(this.#method)) return false;
    this.#raced = true;
    return true;
  }

  /** The same for a request that was refused before anything was done with it (RFC 9113 section 8.7). */
  takeRefusal(replayable: boolean): boolean {
    if (this.#raced || !replayable) return false;
    this.#raced = true;
    return true;
  }

  afterAnswer(head: Head, replayable: boolean): RetryDecision {
    const spec = this.#spec;
    if (spec === null) return 'no';
    const verdict = this.#answers === null ? 'by-status' : this.#answers(head);
    const wanted = verdict === 'by-status' ? retriesStatus(spec, head.status) : verdict === 'again';
    return wanted ? this.#decide(spec, replayable) : 'no';
  }

  afterFailure(failure: UpstreamFailure, replayable: boolean): RetryDecision {
    const spec = this.#spec;
    return spec === null || !retriesFailure(spec, failure) ? 'no' : this.#decide(spec, replayable);
  }

  #decide(spec: RetrySpec, replayable: boolean): RetryDecision {
    this.release();
    if (!methodMayRetry(spec, this.#method)) return 'no';
    if (this.count >= spec.numRetries) return 'limit-exceeded';
    if (!replayable) return 'not-replayable';
    if (this.#cluster?.admitRetry() !== true) return 'overflow';
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
