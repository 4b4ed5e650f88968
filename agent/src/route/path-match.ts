/**
 * The path of a route: always without the query, always the normalised text that is forwarded. Compared as bytes, so
 * that a request that is matched by its path alone needs no string for it.
 */
import { ByteRange, type RequestView } from '../http/request-view.ts';
import type { PathMatchSpec } from '../model/http.ts';
import { compileRegex } from '../policy/regex.ts';
import { asciiLower } from '../policy/string-match.ts';

export type PathMatch = (view: RequestView) => boolean;

const slash = '/'.charCodeAt(0);
/** Good for one comparison. */
const range = new ByteRange();

/** @throws UserError REGEX_INVALID, REGEX_TOO_LARGE */
export function compilePathMatch(spec: PathMatchSpec): PathMatch {
  if (spec.kind === 'connect') return () => true;
  if (spec.kind === 'regex') {
    const regex = compileRegex(spec.value);
    return (view) => regex.matches(view.pathOnly);
  }
  if (!spec.ignoreCase) return comparison(spec.kind, Buffer.from(spec.value));
  return anyCase(spec.kind, asciiLower(spec.value));
}

/** A path that cannot be located (that of a CONNECT) is empty. */
function comparison(kind: 'prefix' | 'path' | 'path_separated_prefix', wanted: Uint8Array): PathMatch {
  return (view) => {
    if (!view.locatePath(range)) return wanted.length === 0;
    if (!range.startsWith(wanted)) return false;
    const end = range.start + wanted.length;
    return kind === 'prefix' || end === range.end || (kind !== 'path' && range.bytes[end] === slash);
  };
}

function anyCase(kind: 'prefix' | 'path' | 'path_separated_prefix', wanted: string): PathMatch {
  return (view) => {
    const path = asciiLower(view.pathOnly);
    if (kind === 'path') return path === wanted;
    if (!path.startsWith(wanted)) return false;
    return kind === 'prefix' || path.length === wanted.length || path.charCodeAt(wanted.length) === slash;
  };
}
