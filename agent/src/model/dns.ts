/** A DNS listener (envoy.filters.udp.dns_filter), served by the main thread: names it knows itself, and whom to ask else. */
import type { AddressSpec } from './listener.ts';

export interface DnsListenerSpec {
  readonly name: string;
  /** Each is served over UDP and TCP. */
  readonly addresses: readonly AddressSpec[];
  readonly statPrefix: string;
  readonly domains: readonly DnsDomainSpec[];
  /** null: other names are refused. */
  readonly forward: DnsForwardSpec | null;
}

/** Lower case without the last dot; `*.x` is everything below x. */
export interface DnsDomainSpec {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly ttlS: number;
}

export interface DnsForwardSpec {
  /** null: those of /etc/resolv.conf, as it is at the time. */
  readonly resolvers: readonly AddressSpec[] | null;
  /** For one try. */
  readonly timeoutMs: number;
  readonly retries: number;
  /** Questions under way at once; more are answered SERVFAIL. */
  readonly maxPending: number;
}
