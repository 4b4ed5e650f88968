/**
 * Envoy's HeaderMatcher over a request. A repeated header is several values, never one joined text: a matcher asks
 * whether ANY value fits, or, where a match grants something, whether EVERY value does (see rbac.ts).
 */
import type { RequestView } from '../http/request-view.ts';
import type { HeaderMatchSpec } from '../model/http.ts';
import type { StringMatchSpec } from '../model/tls.ts';
import { compileStringMatch, type StringMatch } from './string-match.ts';

export type HeaderMatch = (view: RequestView) => boolean;
export type Quantifier = 'any' | 'every';

const none: readonly string[] = [];

/**
 * Compiles one header matcher. An absent header matches nothing but `present: false`, also when inverted, unless it is
 * to be treated as empty.
 * @throws UserError REGEX_INVALID, REGEX_TOO_LARGE
 */
export function compileHeaderMatch(spec: HeaderMatchSpec, quantifier: Quantifier = 'any'): HeaderMatch {
  if (spec.name === ':method' && spec.match.kind === 'string') return methodMatch(spec.match.value, spec.invert);
  const values = valuesOf(spec.name);
  if (spec.match.kind === 'present') {
    const wanted = spec.match.present !== spec.invert;
    const treatMissingAsEmpty = spec.treatMissingAsEmpty;
    return (view) => (treatMissingAsEmpty || values(view).length > 0) === wanted;
  }
  const matches = valueMatch(spec);
  const test = quantified(matches, spec.invert, quantifier);
  const whenAbsent = spec.treatMissingAsEmpty && matches('') !== spec.invert;
  return (view) => {
    const all = values(view);
    return all.length === 0 ? whenAbsent : test(all);
  };
}

/** Every request has one method, without blanks: no list is made for it. */
function methodMatch(spec: StringMatchSpec, invert: boolean): HeaderMatch {
  const matches = compileStringMatch(spec);
  return (view) => matches(view.method) !== invert;
}

/** How the values of a header are read; pseudo-headers and Host have exactly one. */
export function valuesOf(name: string): (view: RequestView) => readonly string[] {
  if (name === ':authority' || name === 'host') return (view) => (view.authority === '' ? none : [view.authority]);
  if (!name.startsWith(':')) return (view) => view.headers(name);
  return (view) => {
    const value = view.header(name);
    return value === null ? none : [value];
  };
}

/** The test of a single value of a string or range matcher. */
export function valueMatch(spec: HeaderMatchSpec): StringMatch {
  if (spec.match.kind === 'range') return rangeMatch(spec.match.start, spec.match.end);
  if (spec.match.kind === 'string') {
    const compare = compileStringMatch(spec.match.value);
    return (value) => compare(value.trim());
  }
  return () => spec.match.kind === 'present' && spec.match.present;
}

/** [start, end) over a whole decimal number. */
function rangeMatch(start: number, end: number): StringMatch {
  return (value) => {
    if (!/^[ \t]*[+-]?[0-9]{1,19}[ \t]*$/.test(value)) return false;
    const number = Number(value);
    return number >= start && number < end;
  };
}

/** The question about a value includes the inversion: every value is other than x, or any value is other than x. */
function quantified(
  matches: StringMatch,
  invert: boolean,
  quantifier: Quantifier,
): (all: readonly string[]) => boolean {
  const every = quantifier === 'every';
  if (!invert) return every ? (all) => all.every(matches) : (all) => all.some(matches);
  return every ? (all) => !all.some(matches) : (all) => !all.every(matches);
}
