/**
 * Internal redirects (internal_redirect_policy): where an upstream's Location leads within the routes, whether the
 * policy lets the request go there, and its way there. What does not pass is an answer for the client, and counted by
 * its reason. Invariant: a request head is changed only when the redirect is taken.
 */
import { method, token } from '../http1/known-headers.ts';
import type { InternalRedirectSpec, RedirectPredicateSpec } from '../model/http.ts';
import { readHeadroom } from '../net/stream.ts';
import type { RouteResult } from '../route/route-table.ts';
import type { WorkerRuntime } from '../worker/runtime.ts';
import type { Framing } from './body-framing.ts';
import type { Exchange } from './exchange.ts';
import { normalizePath } from './path-normalization.ts';
import { serveRedirected } from './serve.ts';

type Matched = Extract<RouteResult, { readonly kind: 'matched' }>;

/** What one request has been through. */
export class RedirectHistory {
  count = 0;
  /** `from`, NUL, `to`, by the names of routes. */
  readonly hops = new Set<string>();
}

interface Location {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly path: string;
}

/** Absolute URLs only, as in Envoy; a fragment is for the client's eyes. */
function parseLocation(text: string): Location | null {
  const parts = /^(https?):\/\/([a-z0-9._~:[\]-]+)((?:[/?][^#]*)?)(?:#.*)?$/i.exec(text);
  if (parts === null) return null;
  const [, scheme = '', host = '', rest = ''] = parts;
  const path = rest.startsWith('/') ? rest : `/${rest}`;
  return { scheme: scheme.toLowerCase() === 'https' ? 'https' : 'http', host, path };
}

/**
 * Turns the request into the one that the answer in responseHead asks for and gives its route; null when the answer is
 * for the client. from: name of the route that the answer came by.
 */
export function takeRedirect(x: Exchange, policy: InternalRedirectSpec, from: string): Matched | null {
  const { manager, view, requestHead: head } = x;
  const { at } = manager;
  const text = x.responseHead.get('location');
  if (text === null) return null;
  const location = settled(x, parseLocation(text));
  if (location === null) return refuse(x, at.passthrough_internal_redirect_bad_location);
  const wasHttps = view.scheme === 'https';
  const isHttps = location.scheme === 'https';
  if (wasHttps !== isHttps && !policy.crossScheme) return refuse(x, at.passthrough_internal_redirect_unsafe_scheme);
  const history = x.redirects ?? new RedirectHistory();
  if (history.count >= policy.maxRedirects) return refuse(x, at.passthrough_internal_redirect_too_many_redirects);
  const before = { host: view.authority, path: view.path, scheme: view.scheme };
  go(x, location);
  const result = manager.runtime.routes(manager.spec.routeConfig)?.match(view);
  if (result?.kind !== 'matched') {
    go(x, before);
    return refuse(x, at.passthrough_internal_redirect_no_route);
  }
  const to = result.route.spec.name;
  const hop = `${from}\0${to}`;
  if (!policy.predicates.every((p) => accepts(p, to, history.hops.has(hop), wasHttps, isHttps))) {
    go(x, before);
    return refuse(x, at.passthrough_internal_redirect_predicate);
  }
  history.count++;
  history.hops.add(hop);
  x.redirects = history;
  copyHeaders(x, policy.copyHeaders);
  if (x.responseHead.status === 303 && head.method !== method.GET && head.method !== method.HEAD) becomeGet(x);
  head.set('x-envoy-original-url', `${before.scheme}://${before.host}${before.path}`);
  view.forget();
  return result;
}

/** Serves the request again, by the route that takeRedirect gave, with a body of its own. The last attempt is over. */
export function serveAgain(x: Exchange, to: Matched, framing: Framing, body: Buffer, runtime: WorkerRuntime): void {
  const { redirects } = x;
  // The read buffer is in use until this turn is over.
  runtime.defer(() => {
    if (x.ended || x.redirects !== redirects) return;
    const end = readHeadroom + body.copy(runtime.readBuffer, readHeadroom);
    x.router.reset();
    serveRedirected(x, to, { framing, start: readHeadroom, end, last: true });
  });
}

/** A path is normalised here as it is at the door, or a policy would see another one than the upstream. */
function settled(x: Exchange, location: Location | null): Location | null {
  if (location === null) return null;
  const path = normalizePath(location.path, x.manager.spec);
  return path.kind === 'path' ? { ...location, path: path.path } : null;
}

function refuse(x: Exchange, stat: number): null {
  x.manager.count(stat);
  return null;
}

function go(x: Exchange, { host, path, scheme }: Location): void {
  x.requestHead.set('host', host);
  x.requestHead.setTarget(path);
  x.view.forget();
  x.view.scheme = scheme;
}

function accepts(
  predicate: RedirectPredicateSpec,
  to: string,
  wasThere: boolean,
  wasHttps: boolean,
  isHttps: boolean,
): boolean {
  switch (predicate.kind) {
    case 'previous_routes':
      return !wasThere;
    case 'allow_listed_routes':
      return predicate.names.includes(to);
    case 'safe_cross_scheme':
      return wasHttps || !isHttps;
  }
}

function copyHeaders({ requestHead, responseHead }: Exchange, names: readonly string[]): void {
  for (const name of names) {
    const values = responseHead.getAll(name);
    requestHead.removeName(name);
    for (const value of values) requestHead.add(name, value);
  }
}

/** RFC 9110 section 15.4.4. */
function becomeGet({ requestHead: head }: Exchange): void {
  head.method = method.GET;
  head.lineCanonical = false;
  head.remove(token['content-length']);
  head.remove(token['transfer-encoding']);
  head.contentLength = -1;
}
