/** The HTTP filters that are implemented. One file and one line here for each further one. */

import type { FilterConfig as GrpcStats } from '@chainmail/xds/proto/envoy/extensions/filters/http/grpc_stats/v3/config';
import type { RBAC } from '@chainmail/xds/proto/envoy/extensions/filters/http/rbac/v3/rbac';
import type { Router } from '@chainmail/xds/proto/envoy/extensions/filters/http/router/v3/router';
import type { HttpFilter } from '@chainmail/xds/proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import type { HttpFilterSpec } from '../model/http.ts';
import type { CompileContext } from './compile-context.ts';
import { type Extension, extension, type MessageReader } from './message-reader.ts';
import { readRbac } from './rbac.ts';

export interface CompiledHttpFilter {
  readonly spec: HttpFilterSpec;
  /** Set by the router. */
  readonly suppressEnvoyHeaders: boolean;
}

/** @param statPrefix of the connection manager, under which filters count */
export function readHttpFilter(
  r: MessageReader<HttpFilter>,
  statPrefix: string,
  context: CompileContext,
): CompiledHttpFilter {
  r.only('disabled', false);
  const name = r.take('name');
  const config = r.take('configType');
  if (config.case === undefined) throw r.invalid('typedConfig', 'is required');
  if (config.case !== 'typedConfig') throw r.unsupported(config.case);
  const implemented: readonly Extension<CompiledHttpFilter>[] = [
    extension<RBAC, CompiledHttpFilter>('envoy.extensions.filters.http.rbac.v3.RBAC', (f) => ({
      spec: readRbacFilter(f, name, statPrefix, context),
      suppressEnvoyHeaders: false,
    })),
    extension<GrpcStats, CompiledHttpFilter>('envoy.extensions.filters.http.grpc_stats.v3.FilterConfig', readGrpcStats),
    extension<Router, CompiledHttpFilter>('envoy.extensions.filters.http.router.v3.Router', readRouter),
  ];
  return r.extension('typedConfig', config.value, implemented);
}

function readRbacFilter(
  r: MessageReader<RBAC>,
  name: string,
  statPrefix: string,
  context: CompileContext,
): HttpFilterSpec {
  r.only('trackPerRuleStats', false);
  return {
    kind: 'rbac',
    name,
    stats: context.env.stats.rbac(`http.${statPrefix}`),
    rules: r.inside('rules', readRbac) ?? null,
    shadowRules: r.inside('shadowRules', readRbac) ?? null,
  };
}

function readRouter(r: MessageReader<Router>): CompiledHttpFilter {
  r.only('startChildSpan', false);
  r.only('respectExpectedRqTimeout', false);
  r.only('suppressGrpcRequestFailureCodeStats', false);
  return { spec: { kind: 'router' }, suppressEnvoyHeaders: r.take('suppressEnvoyHeaders') };
}

function readGrpcStats(r: MessageReader<GrpcStats>): CompiledHttpFilter {
  const told = r.take('perMethodStatSpecifier');
  const replaceDots = r.take('replaceDotsInGrpcServiceName');
  const spec = {
    kind: 'grpc_stats',
    methods: methodsOf(r, told),
    replaceDots,
    times: r.take('enableUpstreamStats'),
  } as const;
  return { spec, suppressEnvoyHeaders: false };
}

function methodsOf(r: MessageReader<GrpcStats>, told: GrpcStats['perMethodStatSpecifier']): 'all' | readonly string[] {
  switch (told.case) {
    case 'statsForAllMethods':
      return told.value ? 'all' : [];
    case 'individualMethodStatsAllowlist':
      return r.within('individualMethodStatsAllowlist', told.value, (list) =>
        list.each('services', (s) => s.take('methodNames').map((method) => `/${s.take('name')}/${method}`)).flat(),
      );
    case undefined:
      return [];
  }
}
