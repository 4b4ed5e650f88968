/** Envoy's StringMatcher compiled to one function. Only ASCII letters fold, as in Envoy. */
import type { StringMatchSpec } from '../model/tls.ts';
import { compileRegex } from './regex.ts';

export type StringMatch = (value: string) => boolean;

const upper = /[A-Z]/;

/** Lower case for A-Z alone: U+0130 and its like keep their length and their meaning. */
export function asciiLower(text: string): string {
  return upper.test(text) ? text.replace(/[A-Z]+/g, (run) => run.toLowerCase()) : text;
}

/**
 * Compiles a matcher. ignoreCase has no effect on a regex, which says `(?i)` itself.
 * @throws UserError REGEX_INVALID, REGEX_TOO_LARGE
 */
export function compileStringMatch(spec: StringMatchSpec): StringMatch {
  if (spec.kind === 'regex') {
    const regex = compileRegex(spec.value);
    return (value) => regex.matches(value);
  }
  if (!spec.ignoreCase) return comparison(spec.kind, spec.value);
  const compare = comparison(spec.kind, asciiLower(spec.value));
  return (value) => compare(asciiLower(value));
}

function comparison(kind: Exclude<StringMatchSpec['kind'], 'regex'>, wanted: string): StringMatch {
  switch (kind) {
    case 'exact':
      return (value) => value === wanted;
    case 'prefix':
      return (value) => value.startsWith(wanted);
    case 'suffix':
      return (value) => value.endsWith(wanted);
    case 'contains':
      return (value) => value.includes(wanted);
  }
}
