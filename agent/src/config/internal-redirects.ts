/** internal_redirect_policy of a route, and the older pair of fields that says less. */
import type { TypedExtensionConfig } from '@chainmail/xds/proto/envoy/config/core/v3/extension';
import type { InternalRedirectPolicy, RouteAction } from '@chainmail/xds/proto/envoy/config/route/v3/route_components';
import type { AllowListedRoutesConfig } from '@chainmail/xds/proto/envoy/extensions/internal_redirect/allow_listed_routes/v3/allow_listed_routes_config';
import type { PreviousRoutesConfig } from '@chainmail/xds/proto/envoy/extensions/internal_redirect/previous_routes/v3/previous_routes_config';
import type { SafeCrossSchemeConfig } from '@chainmail/xds/proto/envoy/extensions/internal_redirect/safe_cross_scheme/v3/safe_cross_scheme_config';
import type { InternalRedirectSpec, RedirectPredicateSpec, RouteActionSpec } from '../model/http.ts';
import { extension, type MessageReader } from './message-reader.ts';

const defaultCodes: readonly number[] = [302];
/** Others are left out, as in Envoy. */
const redirectCodes: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export function readInternalRedirects(r: MessageReader<RouteAction>): Pick<RouteActionSpec, 'internalRedirect'> {
  const policy = r.inside('internalRedirectPolicy', readPolicy);
  const old = r.oneOf('internalRedirectAction', {
    PASS_THROUGH_INTERNAL_REDIRECT: false,
    HANDLE_INTERNAL_REDIRECT: true,
  });
  const maxRedirects = r.take('maxInternalRedirects') ?? 1;
  if (policy !== undefined) return { internalRedirect: policy };
  if (!old) return {};
  const spec = { maxRedirects, codes: defaultCodes, crossScheme: false, predicates: [], copyHeaders: [] };
  return { internalRedirect: spec };
}

function readPolicy(r: MessageReader<InternalRedirectPolicy>): InternalRedirectSpec {
  const codes = r.take('redirectResponseCodes').filter((code) => redirectCodes.has(code));
  return {
    maxRedirects: r.take('maxInternalRedirects') ?? 1,
    codes: codes.length === 0 ? defaultCodes : codes,
    crossScheme: r.take('allowCrossSchemeRedirect'),
    predicates: r.each('predicates', readPredicate),
    copyHeaders: r.take('responseHeadersToCopy').map((name) => {
      const lower = name.toLowerCase();
      if (lower.startsWith(':') || lower === 'host') {
        throw r.invalid(
          'responseHeadersToCopy',
          `pseudo-headers and the Host header are not allowed to be copied: ${name}`,
        );
      }
      return lower;
    }),
  };
}

function readPredicate(r: MessageReader<TypedExtensionConfig>): RedirectPredicateSpec {
  const any = r.take('typedConfig');
  if (any === undefined) throw r.invalid('typedConfig', 'is required');
  return r.extension<RedirectPredicateSpec>('typedConfig', any, [
    extension<PreviousRoutesConfig, RedirectPredicateSpec>(
      'envoy.extensions.internal_redirect.previous_routes.v3.PreviousRoutesConfig',
      () => ({ kind: 'previous_routes' }),
    ),
    extension<AllowListedRoutesConfig, RedirectPredicateSpec>(
      'envoy.extensions.internal_redirect.allow_listed_routes.v3.AllowListedRoutesConfig',
      (a) => ({ kind: 'allow_listed_routes', names: a.take('allowedRouteNames') }),
    ),
    extension<SafeCrossSchemeConfig, RedirectPredicateSpec>(
      'envoy.extensions.internal_redirect.safe_cross_scheme.v3.SafeCrossSchemeConfig',
      () => ({ kind: 'safe_cross_scheme' }),
    ),
  ]);
}
