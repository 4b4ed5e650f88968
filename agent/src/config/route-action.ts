/** What a route does: forward, redirect or answer. */
import type {
  DirectResponseAction,
  RedirectAction,
  RouteAction,
  WeightedCluster,
} from '@chainmail/xds/proto/envoy/config/route/v3/route_components';
import type { RegexMatchAndSubstitute } from '@chainmail/xds/proto/envoy/type/matcher/v3/regex';
import type { DirectResponseSpec, RedirectSpec, RouteActionSpec } from '../model/http.ts';
import type { WeightedClusterSpec } from '../model/listener.ts';
import type { CompileContext } from './compile-context.ts';
import { readDataSource } from './data-source.ts';
import type { MessageReader } from './message-reader.ts';
import { readRetryPolicy } from './retry.ts';
import { readRegex } from './string-match.ts';

/** Envoy's default of max_direct_response_body_size_bytes. */
const maxDirectBodyBytes = 4096;
const defaultTimeoutMs = 15_000;

const notFoundStatus = { SERVICE_UNAVAILABLE: 503, NOT_FOUND: 404, INTERNAL_SERVER_ERROR: 500 } as const;
const redirectStatus = {
  MOVED_PERMANENTLY: 301,
  FOUND: 302,
  SEE_OTHER: 303,
  TEMPORARY_REDIRECT: 307,
  PERMANENT_REDIRECT: 308,
} as const;

export function readRouteAction(
  r: MessageReader<RouteAction>,
  checkClusters: boolean,
  context: CompileContext,
): RouteActionSpec {
  r.oneOf('priority', { DEFAULT: null });
  r.only('maxInternalRedirects', 0);
  return {
    kind: 'route',
    ...readTarget(r, checkClusters, context),
    clusterNotFoundStatus: r.oneOf('clusterNotFoundResponseCode', notFoundStatus),
    timeoutMs: r.durationMs('timeout') ?? defaultTimeoutMs,
    idleTimeoutMs: r.durationMs('idleTimeout') ?? null,
    retry: r.inside('retryPolicy', readRetryPolicy) ?? null,
    prefixRewrite: r.take('prefixRewrite') || null,
    regexRewrite: r.inside('regexRewrite', readRewrite) ?? null,
    ...readHostRewrite(r),
    appendXForwardedHost: r.take('appendXForwardedHost'),
    upgrades: Object.fromEntries(
      r.each('upgradeConfigs', (u) => [u.take('upgradeType').toLowerCase(), u.take('enabled') ?? true] as const),
    ),
  };
}

type Target = Pick<RouteActionSpec, 'clusters' | 'clusterHeader'>;

function readTarget(r: MessageReader<RouteAction>, checkClusters: boolean, context: CompileContext): Target {
  const specifier = r.take('clusterSpecifier');
  const check = (name: string, path: string): void => {
    if (checkClusters) context.clusters.push({ name, path });
  };
  switch (specifier.case) {
    case 'cluster':
      check(specifier.value, r.at('cluster'));
      return { clusters: [{ name: specifier.value, weight: 1 }], clusterHeader: '' };
    case 'clusterHeader':
      return { clusters: [], clusterHeader: specifier.value.toLowerCase() };
    case 'weightedClusters':
      return {
        clusters: r.within('weightedClusters', specifier.value, (w) => readWeighted(w, check)),
        clusterHeader: '',
      };
    case 'clusterSpecifierPlugin':
    case 'inlineClusterSpecifierPlugin':
      throw r.unsupported(specifier.case);
    case undefined:
      throw r.invalid('clusterSpecifier', 'is required');
  }
}

function readWeighted(
  r: MessageReader<WeightedCluster>,
  check: (name: string, path: string) => void,
): readonly WeightedClusterSpec[] {
  const clusters = r.each('clusters', (c) => {
    const name = c.take('name');
    if (name === '') throw c.invalid('name', 'is required');
    check(name, c.at('name'));
    return { name, weight: c.take('weight') ?? 0 };
  });
  if (clusters.every((c) => c.weight === 0)) throw r.invalid('clusters', 'the sum of the weights must be above 0');
  return clusters;
}

function readRewrite(r: MessageReader<RegexMatchAndSubstitute>): {
  readonly pattern: string;
  readonly substitution: string;
} {
  return { pattern: r.required('pattern', readRegex), substitution: r.take('substitution') };
}

type HostRewrite = Pick<RouteActionSpec, 'hostRewrite' | 'autoHostRewrite' | 'hostRewriteHeader'>;

function readHostRewrite(r: MessageReader<RouteAction>): HostRewrite {
  const none: HostRewrite = { hostRewrite: null, autoHostRewrite: false, hostRewriteHeader: null };
  const specifier = r.take('hostRewriteSpecifier');
  switch (specifier.case) {
    case undefined:
      return none;
    case 'hostRewriteLiteral':
      return { ...none, hostRewrite: specifier.value };
    case 'autoHostRewrite':
      return { ...none, autoHostRewrite: specifier.value.value };
    case 'hostRewriteHeader':
      return { ...none, hostRewriteHeader: specifier.value.toLowerCase() };
    case 'hostRewritePathRegex':
      throw r.unsupported(specifier.case);
  }
}

export function readRedirect(r: MessageReader<RedirectAction>): RedirectSpec {
  const scheme = r.take('schemeRewriteSpecifier');
  const path = r.take('pathRewriteSpecifier');
  if (path.case === 'regexRewrite') throw r.unsupported('regexRewrite');
  return {
    kind: 'redirect',
    status: r.oneOf('responseCode', redirectStatus),
    scheme: scheme.case === 'schemeRedirect' ? scheme.value : null,
    httpsRedirect: scheme.case === 'httpsRedirect' && scheme.value,
    host: r.take('hostRedirect') || null,
    port: r.take('portRedirect') || null,
    path: path.case === 'pathRedirect' ? path.value : null,
    prefixRewrite: path.case === 'prefixRewrite' ? path.value : null,
    stripQuery: r.take('stripQuery'),
  };
}

export function readDirectResponse(
  r: MessageReader<DirectResponseAction>,
  context: CompileContext,
): DirectResponseSpec {
  const body = r.inside('body', (d) => readDataSource(d, context)) ?? Buffer.alloc(0);
  if (body.length > maxDirectBodyBytes) {
    throw r.invalid('body', `response body size is ${body.length} bytes; maximum is ${maxDirectBodyBytes}`);
  }
  return { kind: 'direct_response', status: r.take('status'), body: body.toString() };
}
