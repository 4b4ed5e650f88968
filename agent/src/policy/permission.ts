/** What is asked for: path, headers, destination, server name. */
import type { HeaderMatchSpec } from '../model/http.ts';
import type { PermissionSpec } from '../model/rbac.ts';
import { compileCidr } from './cidr.ts';
import { compileHeaderMatch } from './header-match.ts';
import { asciiLower, compileStringMatch } from './string-match.ts';
import { allOf, anyOf, hostRule, httpRule, otherSide, pathRule, type Rule, type Side } from './subject.ts';

/** @throws UserError CIDR_INVALID, REGEX_INVALID, REGEX_TOO_LARGE */
export function compilePermission(spec: PermissionSpec, side: Side): Rule {
  switch (spec.kind) {
    case 'any':
      return () => true;
    case 'and':
      return allOf(spec.of.map((part) => compilePermission(part, side)));
    case 'or':
      return anyOf(spec.of.map((part) => compilePermission(part, side)));
    case 'not': {
      const rule = compilePermission(spec.of, otherSide(side));
      return (view, connection) => !rule(view, connection);
    }
    case 'header':
      return headerRule(side, spec.header);
    case 'url_path':
      return pathRule(side, spec.path);
    case 'destination_ip': {
      const inside = compileCidr(spec.cidr);
      return (_, connection) => inside(connection.localIp);
    }
    case 'destination_port':
      return (_, connection) => connection.localPort >= spec.start && connection.localPort < spec.end;
    case 'requested_server_name': {
      const matches = compileStringMatch({ ...spec.name, ignoreCase: true });
      return (_, connection) => matches(asciiLower(connection.sni));
    }
  }
}

/** A repeated header denies by any of its values and grants only by all of them. */
export function headerRule(side: Side, header: HeaderMatchSpec): Rule {
  const aboutHost = header.name === ':authority' || header.name === 'host';
  if (aboutHost && header.match.kind === 'string' && !header.treatMissingAsEmpty) {
    return hostRule(side, header.match.value, header.invert);
  }
  return httpRule(side, compileHeaderMatch(header, side === 'denies' ? 'any' : 'every'));
}
