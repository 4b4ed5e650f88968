/** typed_per_filter_config at run time: the most specific level that names a filter decides about it. */
import type { FilterOverridesSpec, RbacOverrideSpec } from '../model/http.ts';
import { compileRbac } from '../policy/rbac.ts';
import type { MatchedRoute } from '../route/route-table.ts';
import type { RbacFilter } from './manager.ts';

interface Override {
  readonly rules: RbacFilter['rules'];
  readonly shadowRules: RbacFilter['shadowRules'];
}

/** By the name of the filter. */
export type RbacOverrides = ReadonlyMap<string, Override>;

/** Null when no level says anything. @throws UserError REGEX_INVALID, CIDR_INVALID */
export function compileOverrides({ spec, virtualHost, config }: MatchedRoute): RbacOverrides | null {
  const levels: readonly (FilterOverridesSpec | undefined)[] = [config.filters, virtualHost.filters, spec.filters];
  const merged = Object.assign({}, ...levels) as FilterOverridesSpec;
  const entries = Object.entries(merged);
  return entries.length === 0 ? null : new Map(entries.map(([name, own]) => [name, compile(own)]));
}

function compile(spec: RbacOverrideSpec): Override {
  return {
    rules: spec === null || spec.rules === null ? null : compileRbac(spec.rules),
    shadowRules: spec === null || spec.shadowRules === null ? null : compileRbac(spec.shadowRules),
  };
}

/** The filter with this route's rules, if the route has any for it. */
export function overridden(filter: RbacFilter, overrides: RbacOverrides): RbacFilter {
  const own = overrides.get(filter.name);
  return own === undefined ? filter : { ...own, name: filter.name, stats: filter.stats };
}
