/** Where a redirect leads: always an absolute URL, as Envoy writes it. */
import type { RequestView } from '../http/request-view.ts';
import type { RedirectSpec } from '../model/http.ts';
import { schemeOf } from './compile.ts';
import { redirectPath, replaceMatchedPath } from './rewrite.ts';
import type { MatchedRoute } from './route-table.ts';

/** The `location` of a redirect route. The query stays unless the new path has its own or the route strips it. */
export function redirectLocation(route: MatchedRoute, view: RequestView): string {
  const spec = route.action;
  if (spec.kind !== 'redirect') throw new Error(`route '${route.spec.name}' is no redirect`);
  const before = schemeOf(view);
  const scheme = spec.httpsRedirect ? 'https' : (spec.scheme ?? before);
  return `${scheme}://${authorityOf(spec, before, scheme, view)}${pathOf(spec, route, view)}`;
}

/** The `location` for a virtual host that demands TLS: the same URL with https. */
export function httpsLocation(view: RequestView): string {
  return `https://${dropPort(view.authority, ':80')}${view.path}`;
}

/** A new host drops the old port; without one the port goes only where it was the default of the scheme we leave. */
function authorityOf(spec: RedirectSpec, before: string, scheme: string, view: RequestView): string {
  const old = spec.host ?? (spec.port === null ? view.authority : view.authority.replace(/:[0-9]*$/, ''));
  if (spec.port !== null) return `${old}:${spec.port}`;
  if (spec.host !== null || before === scheme) return old;
  return dropPort(old, before === 'http' ? ':80' : ':443');
}

function dropPort(authority: string, port: ':80' | ':443'): string {
  return authority.endsWith(port) ? authority.slice(0, -port.length) : authority;
}

function pathOf(spec: RedirectSpec, route: MatchedRoute, view: RequestView): string {
  const query = spec.stripQuery ? '' : view.path.slice(view.pathOnly.length);
  if (spec.path !== null) return spec.path.includes('?') && !spec.stripQuery ? spec.path : spec.path + query;
  const path =
    redirectPath(route, view) ??
    (spec.prefixRewrite === null
      ? view.pathOnly
      : replaceMatchedPath(route.spec.match.path, spec.prefixRewrite, view.pathOnly));
  return path + query;
}
