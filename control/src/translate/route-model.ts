/**
 * The routes of a Service's port, as plain data: everything to the Service itself, or what HTTPRoutes attached to it
 * say (Gateway API, GAMMA). A route of the Service's namespace holds for every caller; one of another namespace only
 * for callers in that namespace, and there instead of the others.
 */
import {
  durationMs,
  type HttpRoute,
  type HttpRouteFilter,
  type HttpRouteMatch,
  type HttpRouteRule,
} from '@chainmail/kube';
import { trafficPolicyOf } from '../model/policy-index.ts';
import { keyOf, type MeshService, type MeshServicePort, type World } from '../model/world.ts';
import { nowhere, outboundName } from './resource-names.ts';
import { byPrecedence } from './route-precedence.ts';
import { type RetrySettings, trafficSettings } from './traffic-settings.ts';

export interface Backend {
  readonly cluster: string;
  readonly weight: number;
}

export interface Forward {
  readonly kind: 'forward';
  readonly backends: readonly Backend[];
  /** 0: none. */
  readonly timeoutMs: number;
  readonly perTryTimeoutMs: number | undefined;
  /** Undefined: the default, by method. */
  readonly retry: RetrySettings | undefined;
}

/** No backend of the rule exists, or all have weight 0. */
export interface Refuse {
  readonly kind: 'refuse';
  readonly status: number;
}

export type RouteAction = Forward | Refuse | { readonly kind: 'redirect' };

export interface Route {
  readonly name: string;
  readonly match: HttpRouteMatch;
  readonly filters: readonly HttpRouteFilter[];
  readonly action: RouteAction;
}

export interface RouteModel {
  readonly name: string;
  readonly routes: readonly Route[];
}

export interface RouteIssue {
  readonly namespace: string;
  readonly name: string;
  readonly reason: 'BackendNotFound' | 'RefNotPermitted' | 'NoMatchingParent';
  readonly message: string;
}

interface PortOfService {
  readonly world: World;
  readonly service: MeshService;
  readonly port: MeshServicePort;
}

function isParent(route: HttpRoute, { service, port }: PortOfService): boolean {
  return route.spec.parentRefs.some(
    (p) =>
      p.name === service.name &&
      (p.namespace ?? route.metadata.namespace) === service.namespace &&
      (p.port === undefined || p.port === port.port) &&
      (p.sectionName === undefined || p.sectionName === port.name),
  );
}

/** The HTTPRoutes that hold for callers of a namespace: its own (consumer) routes, else those of the Service's. */
function routesFor(at: PortOfService, callerNamespace: string): HttpRoute[] {
  const attached = at.world.routes.filter((r) => isParent(r, at));
  const consumer = attached.filter((r) => r.metadata.namespace === callerNamespace);
  return consumer.length > 0 ? consumer : attached.filter((r) => r.metadata.namespace === at.service.namespace);
}

/** Whether callers of this namespace get routes of their own for the port. */
export function hasConsumerRoutes(at: PortOfService, callerNamespace: string): boolean {
  if (callerNamespace === at.service.namespace) return false;
  return at.world.routes.some((r) => r.metadata.namespace === callerNamespace && isParent(r, at));
}

type BackendRef = NonNullable<HttpRouteRule['backendRefs']>[number];

/** The cluster of a backendRef, or why there is none. */
function resolve(ref: BackendRef, route: HttpRoute, world: World): { cluster: string } | { issue: RouteIssue } {
  const { namespace: own, name } = route.metadata;
  const namespace = ref.namespace ?? own;
  const issue = (reason: RouteIssue['reason'], message: string) => ({
    issue: { namespace: own, name, reason, message },
  });
  const key = keyOf(namespace, ref.name);
  if (namespace !== own)
    return issue(
      'RefNotPermitted',
      `Service ${key}: backends in other namespaces need a ReferenceGrant, which is not read yet`,
    );
  const service = world.services.get(key);
  if (service === undefined) return issue('BackendNotFound', `no Service ${key}`);
  if (ref.port === undefined) return issue('BackendNotFound', `Service ${key}: say which port of it`);
  if (!service.ports.some((p) => p.port === ref.port))
    return issue('BackendNotFound', `Service ${key} has no TCP port ${ref.port}`);
  return { cluster: outboundName(namespace, ref.name, ref.port) };
}

function action(rule: HttpRouteRule, route: HttpRoute, at: PortOfService): RouteAction {
  if (rule.filters?.some((f) => f.type === 'RequestRedirect')) return { kind: 'redirect' };
  const backends = (rule.backendRefs ?? [])
    .filter((b) => (b.weight ?? 1) > 0)
    .map((b) => {
      const found = resolve(b, route, at.world);
      return { cluster: 'cluster' in found ? found.cluster : nowhere, weight: b.weight ?? 1 };
    });
  if (backends.every((b) => b.cluster === nowhere)) return { kind: 'refuse', status: 500 };
  const settings = trafficSettings(trafficPolicyOf(at.world.policies, at.service, at.port));
  const request = rule.timeouts?.request;
  const perTry = rule.timeouts?.backendRequest;
  return {
    kind: 'forward',
    backends,
    timeoutMs: request === undefined ? settings.requestTimeoutMs : durationMs(request),
    perTryTimeoutMs: perTry === undefined ? settings.retry?.perTryTimeoutMs : durationMs(perTry),
    retry: settings.retry,
  };
}

function routesOfRule(rule: HttpRouteRule, index: number, route: HttpRoute, at: PortOfService): Route[] {
  const name = `HTTPRoute/${route.metadata.namespace}/${route.metadata.name}/${rule.name ?? index}`;
  const matches = rule.matches === undefined || rule.matches.length === 0 ? [{}] : rule.matches;
  return matches.map((match) => ({ name, match, filters: rule.filters ?? [], action: action(rule, route, at) }));
}

function defaultRoute(at: PortOfService, name: string): Route {
  const settings = trafficSettings(trafficPolicyOf(at.world.policies, at.service, at.port));
  return {
    name: 'default',
    match: {},
    filters: [],
    action: {
      kind: 'forward',
      backends: [{ cluster: name, weight: 1 }],
      timeoutMs: settings.requestTimeoutMs,
      perTryTimeoutMs: settings.retry?.perTryTimeoutMs,
      retry: settings.retry,
    },
  };
}

export function routeModel(at: PortOfService, callerNamespace: string): RouteModel {
  const name = outboundName(at.service.namespace, at.service.name, at.port.port);
  const attached = routesFor(at, callerNamespace);
  if (attached.length === 0) return { name, routes: [defaultRoute(at, name)] };
  const routes = attached.flatMap((r) => (r.spec.rules ?? [{}]).flatMap((rule, i) => routesOfRule(rule, i, r, at)));
  return { name, routes: [...routes].sort((a, b) => byPrecedence(a.match, b.match)) };
}

/** What is wrong with a route that is well-formed: parents and backends that do not exist or may not be used. */
export function routeIssues(route: HttpRoute, world: World): RouteIssue[] {
  const { namespace, name } = route.metadata;
  const orphans = route.spec.parentRefs
    .map((p) => keyOf(p.namespace ?? namespace, p.name))
    .filter((key) => !world.services.has(key))
    .map((key): RouteIssue => ({ namespace, name, reason: 'NoMatchingParent', message: `no Service ${key}` }));
  const backends = (route.spec.rules ?? []).flatMap((rule) => rule.backendRefs ?? []);
  const broken = backends.flatMap((ref) => {
    const found = resolve(ref, route, world);
    return 'issue' in found ? [found.issue] : [];
  });
  return [...orphans, ...broken];
}
