/**
 * Paths as policies, routes and upstreams shall all see them (RFC 3986 section 6.2.2, Envoy's normalize_path,
 * merge_slashes and path_with_escaped_slashes_action). Pure; the query is never touched.
 */

export interface PathRules {
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: 'keep' | 'reject' | 'redirect' | 'forward';
}

export type NormalizedPath =
  | { readonly kind: 'path'; readonly path: string }
  /** The caller shall ask again with this path and query. */
  | { readonly kind: 'redirect'; readonly path: string }
  | { readonly kind: 'reject' };

const reject: NormalizedPath = { kind: 'reject' };
const escapedSlash = /%(?:2f|5c)/i;

/** Normalises a path with query. */
export function normalizePath(target: string, rules: PathRules): NormalizedPath {
  const query = target.indexOf('?');
  const search = query < 0 ? '' : target.slice(query);
  let path = query < 0 ? target : target.slice(0, query);
  let unescaped = false;
  if (rules.escapedSlashes !== 'keep' && escapedSlash.test(path)) {
    if (rules.escapedSlashes === 'reject') return reject;
    path = path.replace(/%2f/gi, '/').replace(/%5c/gi, '\\');
    unescaped = true;
  }
  if (rules.normalizePath) {
    const clean = canonical(path);
    if (clean === null) return reject;
    path = clean;
  }
  // Without normalize_path nobody has agreed on what a backslash is: a server may take it for a slash after the policy.
  if (path.includes('\\')) return reject;
  if (rules.mergeSlashes) path = path.replace(/\/{2,}/g, '/');
  return unescaped && rules.escapedSlashes === 'redirect'
    ? { kind: 'redirect', path: path + search }
    : { kind: 'path', path: path + search };
}

/** Backslashes to slashes, unreserved escapes decoded, dot segments resolved; null for an escaped NUL. */
function canonical(path: string): string | null {
  if (path.includes('%00')) return null;
  const decoded = path.replaceAll('\\', '/').replace(/%([0-9a-f]{2})/gi, (escaped, hex: string) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    return /[A-Za-z0-9\-._~]/.test(char) ? char : escaped;
  });
  return removeDotSegments(decoded);
}

/** RFC 3986 section 5.2.4 for an absolute path. */
function removeDotSegments(path: string): string {
  const segments = path.split('/').slice(1);
  const kept: string[] = [];
  segments.forEach((segment, i) => {
    const last = i === segments.length - 1;
    if (segment === '..') kept.pop();
    else if (segment !== '.') kept.push(segment);
    if (last && (segment === '.' || segment === '..')) kept.push('');
  });
  return `/${kept.join('/')}`;
}
