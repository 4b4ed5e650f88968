/** Query parameters of a route: the first occurrence counts, nothing is percent-decoded, names keep their case. */
import type { QueryMatchSpec } from '../model/http.ts';
import { compileStringMatch } from '../policy/string-match.ts';

export type QueryMatch = (path: string) => boolean;

/** @throws UserError REGEX_INVALID, REGEX_TOO_LARGE */
export function compileQueryMatch(spec: QueryMatchSpec): QueryMatch {
  if (spec.value === null) return (path) => (queryParameter(path, spec.name) !== null) === spec.present;
  const matches = compileStringMatch(spec.value);
  return (path) => {
    const value = queryParameter(path, spec.name);
    return value !== null && matches(value);
  };
}

/** Raw value of the first parameter of that name in a path with query: '' without `=`, null if there is none. */
export function queryParameter(path: string, name: string): string | null {
  const question = path.indexOf('?');
  if (question < 0) return null;
  for (let at = question + 1; at <= path.length; ) {
    const next = path.indexOf('&', at);
    const end = next < 0 ? path.length : next;
    const equals = path.indexOf('=', at);
    const nameEnd = equals < 0 || equals > end ? end : equals;
    if (nameEnd - at === name.length && path.startsWith(name, at)) return path.slice(Math.min(nameEnd + 1, end), end);
    at = end + 1;
  }
  return null;
}
