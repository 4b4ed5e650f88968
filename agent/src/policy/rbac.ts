/**
 * Envoy's RBAC engine over compiled rules, for requests and for bare connections.
 *
 * On a connection without HTTP Envoy matches against an empty header map: a header or path rule in DENY then never
 * fires, and `not(header)` in ALLOW always does. Here both deny (subject.ts): a rule that cannot be checked grants
 * nothing and excuses nobody. Repeated headers and named identities over plaintext go the same way.
 */
import type { RequestView } from '../http/request-view.ts';
import type { RbacPolicySpec, RbacSpec } from '../model/rbac.ts';
import type { ConnectionInfo } from '../net/stream.ts';
import { compilePermission } from './permission.ts';
import { compilePrincipal } from './principal.ts';
import { anyOf, type Rule, type Side } from './subject.ts';

export interface RbacVerdict {
  readonly allowed: boolean;
  /** Name of the policy that matched, or `none`: what stands in `rbac_access_denied_matched_policy[...]`. */
  readonly policy: string;
}

export interface CompiledRbac {
  check(view: RequestView): RbacVerdict;
  /** For the network filter: no request to look at. */
  checkConnection(connection: ConnectionInfo): RbacVerdict;
}

interface CompiledPolicy {
  readonly permission: Rule;
  readonly principal: Rule;
  readonly verdict: RbacVerdict;
}

/**
 * Compiles rules once, when configuration arrives. Policies are tried in the byte order of their names.
 * @throws UserError CIDR_INVALID, REGEX_INVALID, REGEX_TOO_LARGE
 */
export function compileRbac(spec: RbacSpec): CompiledRbac {
  const policies = spec.policies.toSorted((a, b) => byBytes(a.name, b.name)).map((p) => compilePolicy(p, spec.action));
  const otherwise: RbacVerdict = { allowed: spec.action !== 'allow', policy: 'none' };
  const decide = (view: RequestView | null, connection: ConnectionInfo): RbacVerdict => {
    for (let i = 0; i < policies.length; i++) {
      const policy = policies[i] as CompiledPolicy;
      if (policy.permission(view, connection) && policy.principal(view, connection)) return policy.verdict;
    }
    return otherwise;
  };
  return {
    check: (view) => decide(view, view.connection),
    checkConnection: (connection) => decide(null, connection),
  };
}

/** The order of Envoy's map of policies; JavaScript's own `<` compares UTF-16 units. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function compilePolicy(spec: RbacPolicySpec, action: RbacSpec['action']): CompiledPolicy {
  const side: Side = action === 'deny' ? 'denies' : 'grants';
  return {
    permission: anyOf(spec.permissions.map((p) => compilePermission(p, side))),
    principal: anyOf(spec.principals.map((p) => compilePrincipal(p, side, action === 'allow'))),
    verdict: { allowed: action !== 'deny', policy: spec.name },
  };
}

/** The response code details of a refusal, as Envoy writes them: blanks would break a log line's fields. */
export function deniedDetails(policy: string): string {
  return `rbac_access_denied_matched_policy[${policy.replace(/\s/g, '_')}]`;
}
