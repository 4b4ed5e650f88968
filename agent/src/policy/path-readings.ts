/**
 * What other readers may take a normalised path for. With path_with_escaped_slashes_action KEEP_UNCHANGED, Envoy's
 * default, `/x/..%2fadmin` goes to the application as it is; many decode it and serve /admin. Some drop path parameters
 * before they resolve dots (`/x/..;/admin`). Invariant: the path as it is sent comes first, and is all there is for a
 * path with none of this in it.
 */

export interface PathReadings {
  /** One of these may be what the application serves: a prohibition looks at all. */
  readonly possible: readonly string[];
  /** Where these differ in place and not only in parameters: a permission must hold for all. */
  readonly binding: readonly string[];
}

const telling = /%2f|%5c|;/i;
const dotsWithParameters = /\/\.\.?;/;

/** @param path without query, as it will be sent */
export function readingsOf(path: string): PathReadings | null {
  if (!telling.test(path)) return null;
  const decoded = resolve(path.replace(/%2f|%5c|\\/gi, '/').replace(/%2e/gi, '.'));
  const bare = resolve(decoded.replace(/;[^/]*/g, ''));
  const binding = /%2f|%5c/i.test(path) ? [path, decoded] : [path];
  // Dots behind an escape count as well: `/x%2f..;/admin`.
  const escapes = dotsWithParameters.test(path.replace(/%2f|%5c/gi, '/').replace(/%2e/gi, '.'));
  return { possible: [path, decoded, bare], binding: escapes ? [...binding, bare] : binding };
}

/** RFC 3986 section 5.2.4, and empty segments away. */
function resolve(path: string): string {
  const kept: string[] = [];
  const segments = path.split('/');
  for (const segment of segments) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  }
  const last = segments.at(-1) ?? '';
  const isFolder = kept.length > 0 && (last === '' || last === '.' || last === '..');
  return `/${kept.join('/')}${isFolder ? '/' : ''}`;
}
