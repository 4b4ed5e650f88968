/**
 * The number by which consistent hashing chooses a host for a request: Envoy's hash policies over xxHash64. Policies
 * are combined in their order until a terminal one has found something; a cookie that is missing may be handed out.
 */

import { xxHash64 } from '../cluster/xx-hash.ts';
import type { HashPolicySpec } from '../model/http.ts';
import { compileRegex } from '../policy/regex.ts';
import { queryParameter } from '../route/query-match.ts';
import type { Exchange } from './exchange.ts';

export type RequestHash = (x: Exchange) => bigint | null;

type Part = (x: Exchange) => bigint | null;

const mask = 0xffff_ffff_ffff_ffffn;

/** Null for a route without policies. @throws UserError REGEX_INVALID */
export function compileRequestHash(policies: readonly HashPolicySpec[]): RequestHash | null {
  if (policies.length === 0) return null;
  const parts = policies.map((policy) => ({ terminal: policy.terminal, of: compilePart(policy) }));
  return (x) => {
    let hash: bigint | null = null;
    for (const { terminal, of } of parts) {
      const own = of(x);
      // Turned before the next one is added, so that two equal policies do not cancel each other out.
      if (own !== null) hash = (hash === null ? 0n : ((hash << 1n) | (hash >> 63n)) & mask) ^ own;
      if (terminal && hash !== null) break;
    }
    return hash;
  };
}

function compilePart(policy: HashPolicySpec): Part {
  switch (policy.kind) {
    case 'header':
      return headerPart(policy);
    case 'source_ip':
      return (x) => xxHash64(x.view.connection.remoteIp);
    case 'query':
      return (x) => {
        const value = queryParameter(x.view.path, policy.name);
        return value === null ? null : xxHash64(value);
      };
    case 'cookie':
      return (x) => cookieHash(x, policy);
  }
}

function headerPart({ name, rewrite }: HashPolicySpec & { readonly kind: 'header' }): Part {
  const regex = rewrite === null ? null : compileRegex(rewrite.pattern);
  const edit = (value: string): string =>
    regex === null || rewrite === null ? value : regex.replaceAll(value, rewrite.substitution);
  return (x) => {
    const values = x.view.headers(name);
    if (values.length === 0) return null;
    return values
      .map(edit)
      .toSorted()
      .reduce((seed, value) => xxHash64(value, seed), 0n);
  };
}

type CookiePolicy = HashPolicySpec & { readonly kind: 'cookie' };

function cookieHash(x: Exchange, policy: CookiePolicy): bigint | null {
  const value = cookieOf(x.view.headers('cookie'), policy.name);
  if (value !== null) return xxHash64(value);
  if (policy.ttlS === null) return null;
  const made = newCookie(x);
  x.setCookies.push(setCookie(policy, made, policy.ttlS));
  return xxHash64(made);
}

/** The same for all requests of a connection, so that several at once do not get several hosts. */
function newCookie({ view: { connection } }: Exchange): string {
  const { remoteIp, remotePort, localIp, localPort } = connection;
  return xxHash64(`${remoteIp}:${remotePort}${localIp}:${localPort}`).toString(16).padStart(16, '0');
}

function setCookie({ name, path, attributes }: CookiePolicy, value: string, ttlS: number): string {
  const age = ttlS === 0 ? '' : `; Max-Age=${ttlS}`;
  const where = path === '' ? '' : `; Path=${path}`;
  const more = attributes.map((a) => (a.value === '' ? `; ${a.name}` : `; ${a.name}=${a.value}`)).join('');
  return `${name}="${value}"${age}${where}${more}; HttpOnly`;
}

function cookieOf(headers: readonly string[], name: string): string | null {
  for (const header of headers) {
    for (const pair of header.split(';')) {
      const equals = pair.indexOf('=');
      if (equals < 0 || pair.slice(0, equals).trim() !== name) continue;
      const value = pair.slice(equals + 1).trim();
      return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
    }
  }
  return null;
}
