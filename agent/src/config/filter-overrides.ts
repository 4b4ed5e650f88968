/** typed_per_filter_config: what a route, virtual host or route configuration changes of filters. */
import type { RouteConfiguration } from '@chainmail/xds/proto/envoy/config/route/v3/route';
import type { FilterConfig, Route, VirtualHost } from '@chainmail/xds/proto/envoy/config/route/v3/route_components';
import type { RBACPerRoute } from '@chainmail/xds/proto/envoy/extensions/filters/http/rbac/v3/rbac';
import type { FilterOverridesSpec, RbacOverrideSpec } from '../model/http.ts';
import { extension, type MessageReader } from './message-reader.ts';
import { readRbac } from './rbac.ts';

type Level = MessageReader<Route> | MessageReader<VirtualHost> | MessageReader<RouteConfiguration>;

/** By the filter's name, as Envoy finds them; a name that no filter has changes nothing. */
export function readFilterOverrides(level: Level): FilterOverridesSpec {
  const r = level as MessageReader<Route>;
  return Object.fromEntries(
    Object.entries(r.take('typedPerFilterConfig')).map(([name, any]) => [
      name,
      r.extension('typedPerFilterConfig', any, [rbac, wrapped]),
    ]),
  );
}

const rbac = extension<RBACPerRoute, RbacOverrideSpec>(
  'envoy.extensions.filters.http.rbac.v3.RBACPerRoute',
  (p) =>
    p.inside('rbac', (own) => {
      own.only('trackPerRuleStats', false);
      return { rules: own.inside('rules', readRbac) ?? null, shadowRules: own.inside('shadowRules', readRbac) ?? null };
    }) ?? null,
);

const wrapped = extension<FilterConfig, RbacOverrideSpec>('envoy.config.route.v3.FilterConfig', (f) => {
  f.take('isOptional');
  const any = f.take('config');
  if (f.take('disabled')) return null;
  if (any === undefined) throw f.invalid('config', 'is required unless disabled');
  return f.extension('config', any, [rbac]);
});
