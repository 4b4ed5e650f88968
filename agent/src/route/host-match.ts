/**
 * Which virtual host a Host header means: exact, then the longest suffix `*.x`, then the longest prefix `x.*`, then `*`.
 * Case does not count, nor does one trailing dot; a port does, unless the configuration ignores it.
 */
import { UserError } from '@chainmail/runtime/errors';
import type { RouteConfigSpec, VirtualHostSpec } from '../model/http.ts';
import { asciiLower } from '../policy/string-match.ts';

export type HostMatch = (authority: string) => VirtualHostSpec | null;

interface Affix {
  readonly text: string;
  readonly host: VirtualHostSpec;
}

interface Domains {
  readonly exact: Map<string, VirtualHostSpec>;
  readonly suffixes: Affix[];
  readonly prefixes: Affix[];
  any: VirtualHostSpec | null;
}

/** @throws UserError ROUTE_DUPLICATE_DOMAIN */
export function compileHostMatch(config: RouteConfigSpec): HostMatch {
  const domains = sortDomains(config);
  return (authority) => find(domains, canonical(authority, config.ignorePortInHost));
}

function canonical(authority: string, ignorePort: boolean): string {
  const lower = asciiLower(authority);
  const port = /:[0-9]*$/.exec(lower);
  const host = port === null ? lower : lower.slice(0, port.index);
  const undotted = host.endsWith('.') && host.length > 1 ? host.slice(0, -1) : host;
  return port === null || ignorePort ? undotted : undotted + port[0];
}

function sortDomains(config: RouteConfigSpec): Domains {
  const domains: Domains = { exact: new Map(), suffixes: [], prefixes: [], any: null };
  const seen = new Set<string>();
  for (const host of config.virtualHosts) {
    for (const written of host.domains) {
      const domain = asciiLower(written);
      if (seen.has(domain)) throw duplicate(config.name, host.name, domain);
      seen.add(domain);
      addDomain(domains, domain, host);
    }
  }
  domains.suffixes.sort((a, b) => b.text.length - a.text.length);
  domains.prefixes.sort((a, b) => b.text.length - a.text.length);
  return domains;
}

function addDomain(domains: Domains, domain: string, host: VirtualHostSpec): void {
  if (domain === '*') domains.any = host;
  else if (domain.startsWith('*')) domains.suffixes.push({ text: domain.slice(1), host });
  else if (domain.endsWith('*')) domains.prefixes.push({ text: domain.slice(0, -1), host });
  else domains.exact.set(domain.endsWith('.') ? domain.slice(0, -1) : domain, host);
}

/** A wildcard stands for at least one character. */
function find(domains: Domains, host: string): VirtualHostSpec | null {
  const exact = domains.exact.get(host);
  if (exact !== undefined) return exact;
  for (const { text, host: found } of domains.suffixes) {
    if (host.length > text.length && host.endsWith(text)) return found;
  }
  for (const { text, host: found } of domains.prefixes) {
    if (host.length > text.length && host.startsWith(text)) return found;
  }
  return domains.any;
}

function duplicate(config: string, host: string, domain: string): UserError {
  return new UserError(
    'ROUTE_DUPLICATE_DOMAIN',
    `route configuration '${config}', virtual host '${host}': the domain '${domain}' is there already`,
    { hint: 'each domain may stand once in a route configuration; merge the virtual hosts' },
  );
}
