/** A route configuration compiled for matching. */
import type { RequestView } from '../http/request-view.ts';
import type {
  DirectResponseSpec,
  HeaderMutationsSpec,
  RedirectSpec,
  RouteActionSpec,
  RouteConfigSpec,
  RouteSpec,
  VirtualClusterSpec,
  VirtualHostSpec,
} from '../model/http.ts';

export interface MatchedRoute {
  readonly spec: RouteSpec;
  readonly virtualHost: VirtualHostSpec;
  readonly config: RouteConfigSpec;
  readonly action: RouteActionSpec | RedirectSpec | DirectResponseSpec;
  /** Levels to apply, in order: route, virtual host, route configuration; those without mutations left out. */
  readonly mutations: readonly HeaderMutationsSpec[];
  /** Which virtual cluster a request counts for; null without any. */
  readonly virtualCluster: ((request: RequestView) => VirtualClusterSpec) | null;
}

export type RouteResult =
  | { readonly kind: 'matched'; readonly route: MatchedRoute }
  | { readonly kind: 'tls-required'; readonly virtualHost: VirtualHostSpec }
  | { readonly kind: 'none' };

export interface RouteTable {
  readonly spec: RouteConfigSpec;
  match(request: RequestView): RouteResult;
  /** The same for a CONNECT, which has no path. */
  matchConnect(request: RequestView): RouteResult;
}
