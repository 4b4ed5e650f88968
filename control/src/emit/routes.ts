/** Route configurations: one virtual host, since the original destination has chosen the Service already. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { HttpHeaderModifier, HttpPathModifier, HttpRouteFilter, HttpRouteMatch } from '@chainmail/kube';
import {
  HeaderValueOption_HeaderAppendAction as Append,
  type HeaderValueOptionSchema,
} from '@chainmail/xds/proto/envoy/config/core/v3/base';
import { type RouteConfiguration, RouteConfigurationSchema } from '@chainmail/xds/proto/envoy/config/route/v3/route';
import {
  type HeaderMatcherSchema,
  type RedirectActionSchema,
  RedirectAction_RedirectResponseCode as RedirectCode,
  type RouteActionSchema,
  type RouteMatchSchema,
  type RouteSchema,
} from '@chainmail/xds/proto/envoy/config/route/v3/route_components';
import type { StringMatcherSchema } from '@chainmail/xds/proto/envoy/type/matcher/v3/string';
import type { Forward, Route, RouteModel } from '../translate/route-model.ts';
import { duration } from './any.ts';
import { defaultRetry, idempotentMethods, retryPolicy } from './retry.ts';

type RouteInit = MessageInitShape<typeof RouteSchema>;
type ActionInit = MessageInitShape<typeof RouteActionSchema>;
type HeaderMatch = MessageInitShape<typeof HeaderMatcherSchema>;
type Text = MessageInitShape<typeof StringMatcherSchema>;
type HeaderOption = MessageInitShape<typeof HeaderValueOptionSchema>;

const exactly = (value: string): Text => ({ matchPattern: { case: 'exact', value } });
const like = (regex: string): Text => ({ matchPattern: { case: 'safeRegex', value: { regex } } });
const header = (name: string, value: Text): HeaderMatch => ({
  name,
  headerMatchSpecifier: { case: 'stringMatch', value },
});

function pathSpecifier(
  path: HttpRouteMatch['path'],
): NonNullable<MessageInitShape<typeof RouteMatchSchema>['pathSpecifier']> {
  const value = path?.value ?? '/';
  switch (path?.type ?? 'PathPrefix') {
    case 'Exact':
      return { case: 'path', value };
    case 'RegularExpression':
      return { case: 'safeRegex', value: { regex: value } };
    default: {
      // Envoy's separated prefix is the Gateway API's; it takes no trailing slash, and not the bare root.
      const bare = value.replace(/\/+$/, '');
      return bare === '' ? { case: 'prefix', value: '/' } : { case: 'pathSeparatedPrefix', value: bare };
    }
  }
}

function routeMatch(match: HttpRouteMatch): Exclude<MessageInitShape<typeof RouteMatchSchema>, { $typeName: string }> {
  const headers = (match.headers ?? []).map((h) => {
    return header(h.name.toLowerCase(), h.type === 'RegularExpression' ? like(h.value) : exactly(h.value));
  });
  if (match.method !== undefined) headers.unshift(header(':method', exactly(match.method)));
  return {
    pathSpecifier: pathSpecifier(match.path),
    headers,
    queryParameters: (match.queryParams ?? []).map((q) => ({
      name: q.name,
      queryParameterMatchSpecifier: {
        case: 'stringMatch' as const,
        value: q.type === 'RegularExpression' ? like(q.value) : exactly(q.value),
      },
    })),
  };
}

function headerOptions(m: HttpHeaderModifier | undefined): HeaderOption[] {
  const option =
    (appendAction: Append) =>
    (h: { readonly name: string; readonly value: string }): HeaderOption => ({
      header: { key: h.name, value: h.value.replaceAll('%', '%%') },
      appendAction,
      keepEmptyValue: true,
    });
  return [
    ...(m?.set ?? []).map(option(Append.OVERWRITE_IF_EXISTS_OR_ADD)),
    ...(m?.add ?? []).map(option(Append.APPEND_IF_EXISTS_OR_ADD)),
  ];
}

function headerChanges(filters: readonly HttpRouteFilter[]): Partial<Exclude<RouteInit, { $typeName: string }>> {
  const request = filters.find((f) => f.type === 'RequestHeaderModifier')?.requestHeaderModifier;
  const response = filters.find((f) => f.type === 'ResponseHeaderModifier')?.responseHeaderModifier;
  return {
    ...(request === undefined
      ? {}
      : { requestHeadersToAdd: headerOptions(request), requestHeadersToRemove: [...(request.remove ?? [])] }),
    ...(response === undefined
      ? {}
      : { responseHeadersToAdd: headerOptions(response), responseHeadersToRemove: [...(response.remove ?? [])] }),
  };
}

type PathRewrite =
  | { readonly kind: 'full'; readonly path: string }
  | { readonly kind: 'prefix'; readonly prefix: string }
  | { readonly kind: 'regex'; readonly regex: string; readonly substitution: string };

const escapeRegex = (literal: string): string => literal.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** `/a` by `/b`: `/a/x` becomes `/b/x`. `/a` by `/` needs an expression: a plain prefix would make `//x` of `/a/x`. */
function pathRewrite(path: HttpPathModifier, match: HttpRouteMatch): PathRewrite {
  if (path.type === 'ReplaceFullPath') return { kind: 'full', path: path.replaceFullPath ?? '/' };
  const prefix = (match.path?.value ?? '/').replace(/\/+$/, '');
  const target = (path.replacePrefixMatch ?? '/').replace(/\/+$/, '');
  if (target === '') return { kind: 'regex', regex: `^${escapeRegex(prefix)}/*`, substitution: '/' };
  return { kind: 'prefix', prefix: prefix === '' ? `${target}/` : target };
}

type Rewrite = Partial<Exclude<ActionInit, { $typeName: string }>>;

function rewrite(filters: readonly HttpRouteFilter[], match: HttpRouteMatch): Rewrite {
  const url = filters.find((f) => f.type === 'URLRewrite')?.urlRewrite;
  if (url === undefined) return {};
  const host = url.hostname;
  return {
    ...(host === undefined ? {} : { hostRewriteSpecifier: { case: 'hostRewriteLiteral', value: host } as const }),
    ...(url.path === undefined ? {} : rewritten(pathRewrite(url.path, match))),
  };
}

function rewritten(path: PathRewrite): Rewrite {
  switch (path.kind) {
    case 'full':
      return { regexRewrite: { pattern: { regex: '^/.*$' }, substitution: path.path.replaceAll('\\', '\\\\') } };
    case 'prefix':
      return { prefixRewrite: path.prefix };
    case 'regex':
      return { regexRewrite: { pattern: { regex: path.regex }, substitution: path.substitution } };
  }
}

type Redirect = Exclude<MessageInitShape<typeof RedirectActionSchema>, { $typeName: string }>;

function redirected(path: PathRewrite): NonNullable<Redirect['pathRewriteSpecifier']> {
  switch (path.kind) {
    case 'full':
      return { case: 'pathRedirect', value: path.path };
    case 'prefix':
      return { case: 'prefixRewrite', value: path.prefix };
    case 'regex':
      return { case: 'regexRewrite', value: { pattern: { regex: path.regex }, substitution: path.substitution } };
  }
}

const redirectCodes: Readonly<Record<number, RedirectCode>> = {
  301: RedirectCode.MOVED_PERMANENTLY,
  302: RedirectCode.FOUND,
  303: RedirectCode.SEE_OTHER,
  307: RedirectCode.TEMPORARY_REDIRECT,
  308: RedirectCode.PERMANENT_REDIRECT,
};

function redirect(filters: readonly HttpRouteFilter[], match: HttpRouteMatch): Redirect {
  const r = filters.find((f) => f.type === 'RequestRedirect')?.requestRedirect;
  const scheme = r?.scheme;
  return {
    responseCode: redirectCodes[r?.statusCode ?? 302] ?? RedirectCode.FOUND,
    ...(scheme === undefined ? {} : { schemeRewriteSpecifier: { case: 'schemeRedirect', value: scheme } as const }),
    ...(r?.hostname === undefined ? {} : { hostRedirect: r.hostname }),
    ...(r?.port === undefined ? {} : { portRedirect: r.port }),
    ...(r?.path === undefined ? {} : { pathRewriteSpecifier: redirected(pathRewrite(r.path, match)) }),
  };
}

function clusterSpecifier(forward: Forward): NonNullable<ActionInit['clusterSpecifier']> {
  const [only] = forward.backends;
  if (forward.backends.length === 1 && only !== undefined) return { case: 'cluster', value: only.cluster };
  const clusters = forward.backends.map((b) => ({ name: b.cluster, weight: b.weight }));
  return { case: 'weightedClusters', value: { clusters } };
}

/** One route, or two where the default retries depend on the method. */
function forwardRoutes(route: Route, forward: Forward): RouteInit[] {
  const match = routeMatch(route.match);
  const build = (name: string, headers: HeaderMatch[], retry: typeof defaultRetry.any): RouteInit => ({
    name,
    match: { ...match, headers: [...headers, ...(match.headers ?? [])] },
    ...headerChanges(route.filters),
    action: {
      case: 'route',
      value: {
        clusterSpecifier: clusterSpecifier(forward),
        timeout: duration(forward.timeoutMs),
        retryPolicy: retryPolicy(retry, forward.perTryTimeoutMs),
        ...rewrite(route.filters, route.match),
      },
    },
  });
  if (forward.retry !== undefined) return [build(route.name, [], forward.retry)];
  const { method } = route.match;
  if (method !== undefined) {
    return [build(route.name, [], idempotentMethods.includes(method) ? defaultRetry.idempotent : defaultRetry.any)];
  }
  const idempotent = header(':method', like(idempotentMethods.join('|')));
  return [
    build(`${route.name}/idempotent`, [idempotent], defaultRetry.idempotent),
    build(route.name, [], defaultRetry.any),
  ];
}

function routesOf(route: Route): RouteInit[] {
  const { action } = route;
  switch (action.kind) {
    case 'forward':
      return forwardRoutes(route, action);
    case 'redirect': {
      const value = redirect(route.filters, route.match);
      return [
        {
          name: route.name,
          match: routeMatch(route.match),
          ...headerChanges(route.filters),
          action: { case: 'redirect', value },
        },
      ];
    }
    case 'refuse': {
      const value = { status: action.status };
      return [{ name: route.name, match: routeMatch(route.match), action: { case: 'directResponse', value } }];
    }
  }
}

export function routeConfiguration(model: RouteModel): RouteConfiguration {
  const routes = model.routes.flatMap(routesOf);
  return create(RouteConfigurationSchema, {
    name: model.name,
    virtualHosts: [{ name: model.name, domains: ['*'], routes }],
  });
}
