/** The path of a route: always without the query, always the normalised text that is forwarded. */
import type { PathMatchSpec } from '../model/http.ts';
import { compileRegex } from '../policy/regex.ts';
import { asciiLower } from '../policy/string-match.ts';

export type PathMatch = (path: string) => boolean;

/** @throws UserError REGEX_INVALID, REGEX_TOO_LARGE */
export function compilePathMatch(spec: PathMatchSpec): PathMatch {
  if (spec.kind === 'connect') return () => true;
  if (spec.kind === 'regex') {
    const regex = compileRegex(spec.value);
    return (path) => regex.matches(path);
  }
  if (!spec.ignoreCase) return comparison(spec.kind, spec.value);
  const compare = comparison(spec.kind, asciiLower(spec.value));
  return (path) => compare(asciiLower(path));
}

function comparison(kind: 'prefix' | 'path' | 'path_separated_prefix', wanted: string): PathMatch {
  switch (kind) {
    case 'prefix':
      return wanted === '/' ? (path) => path.charCodeAt(0) === 0x2f : (path) => path.startsWith(wanted);
    case 'path':
      return (path) => path === wanted;
    case 'path_separated_prefix':
      return (path) =>
        path.startsWith(wanted) && (path.length === wanted.length || path.charCodeAt(wanted.length) === 0x2f);
  }
}
