/**
 * Conditions about a request as plain data, simplified while they are built, so that what can never hold is seen
 * here and not by every agent. Independent of Envoy's messages.
 */

export type Expression =
  | { readonly is: 'always' }
  | { readonly is: 'never' }
  | { readonly is: 'all'; readonly of: readonly Expression[] }
  | { readonly is: 'any'; readonly of: readonly Expression[] }
  | { readonly is: 'not'; readonly of: Expression }
  /** The peer's SPIFFE ID, whole; never holds for a peer without one. */
  | { readonly is: 'identity'; readonly exact: string }
  /** The beginning of the peer's SPIFFE ID; ends in `/`, so that whole segments are compared. */
  | { readonly is: 'identity-below'; readonly prefix: string }
  | { readonly is: 'client-address'; readonly address: string; readonly bits: number }
  | { readonly is: 'method'; readonly method: string }
  | { readonly is: 'path'; readonly match: 'exact' | 'prefix' | 'regex'; readonly value: string }
  /** Without a value: the header is there. */
  | { readonly is: 'header'; readonly name: string; readonly value?: string };

export const always: Expression = { is: 'always' };
export const never: Expression = { is: 'never' };

export function all(of: readonly Expression[]): Expression {
  const rest = of.filter((e) => e.is !== 'always');
  if (rest.some((e) => e.is === 'never')) return never;
  const [only] = rest;
  return only === undefined ? always : rest.length === 1 ? only : { is: 'all', of: rest };
}

export function any(of: readonly Expression[]): Expression {
  const rest = of.filter((e) => e.is !== 'never');
  if (rest.some((e) => e.is === 'always')) return always;
  const [only] = rest;
  return only === undefined ? never : rest.length === 1 ? only : { is: 'any', of: rest };
}

export function not(of: Expression): Expression {
  if (of.is === 'always') return never;
  if (of.is === 'never') return always;
  return of.is === 'not' ? of.of : { is: 'not', of };
}
