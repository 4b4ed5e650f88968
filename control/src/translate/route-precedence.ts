/** Which match goes first (Gateway API, HTTPRouteRule): exact path, longer prefix, method, more headers, more queries. */
import type { HttpRouteMatch } from '@chainmail/kube';

function rank(match: HttpRouteMatch): readonly number[] {
  const type = match.path?.type ?? 'PathPrefix';
  const length = (match.path?.value ?? '/').length;
  return [
    type === 'Exact' ? 2 : type === 'RegularExpression' ? 1 : 0,
    length,
    match.method === undefined ? 0 : 1,
    match.headers?.length ?? 0,
    match.queryParams?.length ?? 0,
  ];
}

/** For sort(), which is stable: what is equal stays in the order of routes and rules. */
export function byPrecedence(a: HttpRouteMatch, b: HttpRouteMatch): number {
  const ra = rank(a);
  const rb = rank(b);
  for (const [i, x] of ra.entries()) {
    const difference = (rb[i] ?? 0) - x;
    if (difference !== 0) return difference;
  }
  return 0;
}
