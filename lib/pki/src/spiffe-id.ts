/**
 * SPIFFE IDs by SPIFFE-ID.md: parsed once, compared as parts, never by pattern on the printed text.
 * Invariant: an id that exists obeys every rule; its trust domain is in lower case. Imports nothing, workers load it.
 */

/** The longest URI a conforming implementation has to accept, and the longest this one does. */
const maxBytes = 2048;
const maxTrustDomainBytes = 255;

export interface SpiffeId {
  /** Lower case. */
  readonly trustDomain: string;
  /** Empty for the id of a trust domain itself, else it begins with a slash. */
  readonly path: string;
}

export type SpiffeIdResult =
  | { readonly ok: true; readonly id: SpiffeId }
  | { readonly ok: false; readonly reason: string };

const refuse = (reason: string): SpiffeIdResult => ({ ok: false, reason });

function trustDomainProblem(name: string): string | undefined {
  if (name === '') return 'the trust domain is empty';
  if (name.length > maxTrustDomainBytes) return `the trust domain is longer than ${maxTrustDomainBytes} bytes`;
  if (!/^[a-z0-9._-]+$/.test(name)) return 'the trust domain has characters other than a-z, 0-9, dot, dash, underscore';
  return undefined;
}

function segmentProblem(segment: string): string | undefined {
  if (segment === '') return 'the path has an empty segment or ends with a slash';
  if (segment === '.' || segment === '..') return 'the path has a dot segment';
  if (!/^[a-zA-Z0-9._-]+$/.test(segment)) {
    return 'the path has characters other than a-z, A-Z, 0-9, dot, dash, underscore';
  }
  return undefined;
}

/** Reads `spiffe://trust-domain/path`; the outcome is a value, since peers send anything. */
export function readSpiffeId(text: string): SpiffeIdResult {
  if (text.length > maxBytes) return refuse(`longer than ${maxBytes} bytes`);
  if (text.slice(0, 9).toLowerCase() !== 'spiffe://') return refuse('the scheme is not spiffe://');
  const rest = text.slice(9);
  const slash = rest.indexOf('/');
  const trustDomain = (slash < 0 ? rest : rest.slice(0, slash)).toLowerCase();
  const path = slash < 0 ? '' : rest.slice(slash);
  const bad =
    trustDomainProblem(trustDomain) ??
    (path === ''
      ? undefined
      : path
          .slice(1)
          .split('/')
          .map(segmentProblem)
          .find((p) => p !== undefined));
  return bad === undefined ? { ok: true, id: { trustDomain, path } } : refuse(bad);
}

/** `spiffe://td/path`, the one spelling that certificates and policies carry. */
export function formatSpiffeId(id: SpiffeId): string {
  return `spiffe://${id.trustDomain}${id.path}`;
}

/** Whole and exact: no prefix, suffix or pattern (CVE-2026-39350 came from one). */
export function equalSpiffeIds(a: SpiffeId, b: SpiffeId): boolean {
  return a.trustDomain === b.trustDomain && a.path === b.path;
}

/** Whether text is a trust domain name as an option or a policy may give it (lower case only). */
export function isTrustDomain(text: string): boolean {
  return trustDomainProblem(text) === undefined;
}

export interface Workload {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** The namespace and service account of one of our workload ids, or undefined for an id of another shape. */
export function workloadOf(id: SpiffeId): Workload | undefined {
  const [empty, ns, namespace, sa, serviceAccount, ...more] = id.path.split('/');
  if (empty !== '' || ns !== 'ns' || sa !== 'sa' || more.length > 0) return undefined;
  return namespace === undefined || serviceAccount === undefined ? undefined : { namespace, serviceAccount };
}
