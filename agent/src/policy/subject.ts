/**
 * What a rule is asked about, and which way a rule errs. Where the truth is not to be had, a leaf answers by the side
 * it stands on: `grants` leaves (positive in ALLOW, negated in DENY) hold only when they hold for certain, `denies`
 * leaves (positive in DENY, negated in ALLOW) hold unless they certainly do not. Not knowing therefore always denies.
 */
import type { RequestView } from '../http/request-view.ts';
import type { StringMatchSpec } from '../model/tls.ts';
import type { ConnectionInfo } from '../net/stream.ts';
import { readingsOf } from './path-readings.ts';
import { compilePlainPath } from './plain-path.ts';
import { asciiLower, compileStringMatch } from './string-match.ts';

export type Side = 'grants' | 'denies';

/** view is null on a connection that carries no HTTP we read. */
export type Rule = (view: RequestView | null, connection: ConnectionInfo) => boolean;

export function otherSide(side: Side): Side {
  return side === 'grants' ? 'denies' : 'grants';
}

/** A rule about HTTP: on a connection without, it cannot be known. */
export function httpRule(side: Side, test: (view: RequestView) => boolean): Rule {
  const unknown = side === 'denies';
  return (view) => (view === null ? unknown : test(view));
}

export function allOf(rules: readonly Rule[]): Rule {
  return (view, connection) => {
    for (let i = 0; i < rules.length; i++) if (rules[i]?.(view, connection) !== true) return false;
    return true;
  };
}

export function anyOf(rules: readonly Rule[]): Rule {
  const [first, ...more] = rules;
  if (first !== undefined && more.length === 0) return first;
  return (view, connection) => {
    for (let i = 0; i < rules.length; i++) if (rules[i]?.(view, connection) === true) return true;
    return false;
  };
}

/**
 * Envoy's url_path: the path without query and fragment. Stricter than Envoy where an application may read another
 * path out of it: a prohibition fires on any reading, a permission needs every reading that leads elsewhere. A CONNECT
 * has no path, and what goes through it is not seen.
 */
export function pathRule(side: Side, spec: StringMatchSpec): Rule {
  const matches = compileStringMatch(spec);
  const plain = compilePlainPath(spec);
  return httpRule(side, (view) => {
    const verdict = plain === null ? 'not plain' : plain(view);
    if (verdict !== 'not plain') return verdict === 'yes';
    const path = view.pathOnly;
    if (path === '') return side === 'denies';
    const fragment = path.indexOf('#');
    const sent = fragment < 0 ? path : path.slice(0, fragment);
    const readings = readingsOf(sent);
    if (readings === null) return matches(sent);
    return side === 'denies' ? readings.possible.some(matches) : readings.binding.every(matches);
  });
}

/**
 * A rule about the host means the host: `Secret.COM`, `secret.com:80` and `secret.com.` are all secret.com. A matcher
 * that names a port still sees it.
 */
export function hostRule(side: Side, spec: StringMatchSpec, invert: boolean): Rule {
  const matches = compileStringMatch({ ...spec, ignoreCase: true });
  return httpRule(side, (view) => {
    const host = asciiLower(view.authority);
    if (host === '') return false;
    return (matches(host) || matches(bareHost(host))) !== invert;
  });
}

/** The host without port and trailing dot; an IPv6 literal keeps its brackets. */
export function bareHost(authority: string): string {
  const colon = authority.lastIndexOf(':');
  const hasPort = colon >= 0 && /^[0-9]*$/.test(authority.slice(colon + 1)) && !authority.endsWith(']');
  const host = hasPort ? authority.slice(0, colon) : authority;
  return host.endsWith('.') ? host.slice(0, -1) : host;
}
