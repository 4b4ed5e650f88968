/** What the webhook counts, in the Prometheus text format. Labels come from our own tables, so series are bounded. */
import type { Decision } from './decide.ts';

export type Outcome = Decision['kind'] | 'malformed' | 'error';

const outcomes: readonly Outcome[] = ['inject', 'skip', 'deny', 'malformed', 'error'];

/** Upper bounds in seconds: a review should take less than the fifth. */
const bounds = [0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.5, 1] as const;

export class Counters {
  readonly #reviews = new Map<Outcome, number>(outcomes.map((o) => [o, 0]));
  readonly #within = new Array<number>(bounds.length).fill(0);
  #seconds = 0;

  record(outcome: Outcome, seconds: number): void {
    this.#reviews.set(outcome, (this.#reviews.get(outcome) ?? 0) + 1);
    this.#seconds += seconds;
    for (const [i, bound] of bounds.entries()) if (seconds <= bound) this.#within[i] = (this.#within[i] ?? 0) + 1;
  }

  /** @param certificateExpiryMs of the serving certificate, when one is held */
  render(certificateExpiryMs: number | undefined): string {
    const total = [...this.#reviews.values()].reduce((a, b) => a + b, 0);
    const lines = [
      '# HELP chainmail_injector_reviews_total Admission reviews by outcome.',
      '# TYPE chainmail_injector_reviews_total counter',
      ...[...this.#reviews].map(([outcome, n]) => `chainmail_injector_reviews_total{outcome="${outcome}"} ${n}`),
      '# HELP chainmail_injector_review_seconds Time spent on an admission review, reading it included.',
      '# TYPE chainmail_injector_review_seconds histogram',
      ...bounds.map((b, i) => `chainmail_injector_review_seconds_bucket{le="${b}"} ${this.#within[i] ?? 0}`),
      `chainmail_injector_review_seconds_bucket{le="+Inf"} ${total}`,
      `chainmail_injector_review_seconds_sum ${this.#seconds}`,
      `chainmail_injector_review_seconds_count ${total}`,
      '# HELP chainmail_injector_certificate_expiry_seconds End of the serving certificate, in Unix time; 0 without one.',
      '# TYPE chainmail_injector_certificate_expiry_seconds gauge',
      `chainmail_injector_certificate_expiry_seconds ${Math.floor((certificateExpiryMs ?? 0) / 1000)}`,
    ];
    return `${lines.join('\n')}\n`;
  }
}
