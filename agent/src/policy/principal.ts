/**
 * Who is calling. An identity is the whole URI SAN of a verified certificate; plaintext has none, and no rule about
 * names ever lets it in (identity.md), not even one that says "anybody but".
 */
import type { PrincipalSpec } from '../model/rbac.ts';
import type { StringMatchSpec } from '../model/tls.ts';
import { compileCidr } from './cidr.ts';
import { headerRule } from './permission.ts';
import { compileStringMatch } from './string-match.ts';
import { allOf, anyOf, otherSide, pathRule, type Rule, type Side } from './subject.ts';

/** @throws UserError CIDR_INVALID, REGEX_INVALID, REGEX_TOO_LARGE */
export function compilePrincipal(spec: PrincipalSpec, side: Side, inAllow: boolean): Rule {
  switch (spec.kind) {
    case 'any':
      return () => true;
    case 'and':
      return allOf(spec.of.map((part) => compilePrincipal(part, side, inAllow)));
    case 'or':
      return anyOf(spec.of.map((part) => compilePrincipal(part, side, inAllow)));
    case 'not': {
      const rule = compilePrincipal(spec.of, otherSide(side), inAllow);
      return (view, connection) => !rule(view, connection);
    }
    case 'authenticated':
      return authenticated(spec.name, inAllow && side === 'denies');
    case 'direct_remote_ip': {
      const inside = compileCidr(spec.cidr);
      return (_, connection) => inside(connection.directRemoteIp ?? connection.remoteIp);
    }
    case 'remote_ip': {
      const inside = compileCidr(spec.cidr);
      return (view, connection) => inside(view === null ? connection.remoteIp : view.remoteIp);
    }
    case 'header':
      return headerRule(side, spec.header);
    case 'url_path':
      return pathRule(side, spec.path);
  }
}

/**
 * Plaintext answers whenUnknown to a rule that names somebody: true below a `not` of an ALLOW rule, so that "not X"
 * does not admit a caller who has no name at all. In DENY it answers as Envoy does: nobody is not X.
 */
function authenticated(name: StringMatchSpec | null, whenUnknown: boolean): Rule {
  if (name === null) return (_, connection) => connection.peerPrincipal !== '';
  const matches = compileStringMatch(name);
  return (_, connection) => (connection.peerPrincipal === '' ? whenUnknown : matches(connection.peerPrincipal));
}
