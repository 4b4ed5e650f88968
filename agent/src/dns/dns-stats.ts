/** Numbers of a DNS listener under Envoy's names, kept by the main thread. */
import type { MainStat } from '../stats/registry.ts';

const names = [
  'a_record_queries',
  'aaaa_record_queries',
  'downstream_rx_errors',
  'downstream_rx_invalid_queries',
  'downstream_rx_queries',
  'downstream_tx_responses',
  'external_a_record_answers',
  'external_a_record_queries',
  'external_aaaa_record_answers',
  'external_aaaa_record_queries',
  'external_unsupported_answers',
  'external_unsupported_queries',
  'externally_resolved_queries',
  'known_domain_queries',
  'local_a_record_answers',
  'local_aaaa_record_answers',
  'unanswered_queries',
  'unsupported_queries',
  // Ours: what became of questions to resolvers.
  'external_timeouts',
  'external_overflow',
  'external_invalid_answers',
] as const;

export type DnsStatName = (typeof names)[number];

export class DnsStats {
  readonly #values = new Map<DnsStatName, number>(names.map((name) => [name, 0]));

  count(name: DnsStatName, by = 1): void {
    this.#values.set(name, (this.#values.get(name) ?? 0) + by);
  }

  value(name: DnsStatName): number {
    return this.#values.get(name) ?? 0;
  }

  *all(statPrefix: string): Iterable<MainStat> {
    for (const [name, value] of this.#values) {
      yield { name: `dns_filter.${statPrefix}.${name}`, kind: 'counter', value };
    }
  }
}
