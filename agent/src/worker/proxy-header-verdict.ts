/** What a listener does with what came in place of a PROXY header. Invariant: what is unclear is refused. */
import type { ProxyProtocolSpec } from '../model/listener.ts';
import type { ProxyOutcome } from '../net/proxy-header-reader.ts';
import type { ProxiedAddresses } from '../net/proxy-protocol.ts';
import type { proxyProtoStat } from '../stats/layout.ts';

export interface ProxyVerdict {
  readonly goesOn: boolean;
  readonly addresses: ProxiedAddresses | null;
  readonly count: keyof typeof proxyProtoStat.at | null;
  readonly isError: boolean;
}

const refuse = (count: ProxyVerdict['count'], isError: boolean): ProxyVerdict => ({
  goesOn: false,
  addresses: null,
  count,
  isError,
});

export function judgeProxyHeader(spec: ProxyProtocolSpec, outcome: ProxyOutcome): ProxyVerdict {
  switch (outcome.kind) {
    case 'closed':
    case 'timeout':
      return refuse(null, false);
    case 'absent':
      if (!spec.allowWithout) return refuse('not_found_disallowed', true);
      return { goesOn: true, addresses: null, count: 'not_found_allowed', isError: false };
    case 'bad':
      return refuse(`versions.${outcome.version}.error`, true);
    case 'header':
      if (spec.disallowed.includes(outcome.version)) return refuse(`versions.${outcome.version}.disallowed`, true);
      return { goesOn: true, addresses: outcome.addresses, count: `versions.${outcome.version}.found`, isError: false };
  }
}
