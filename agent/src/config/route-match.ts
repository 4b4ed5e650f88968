/** RouteMatch: path, headers, query parameters, fraction and gRPC. */
import type { RouteMatch } from '@chainmail/xds/proto/envoy/config/route/v3/route_components';
import type { PathMatchSpec, RouteMatchSpec } from '../model/http.ts';
import { readFraction } from './fraction.ts';
import type { MessageReader } from './message-reader.ts';
import { readHeaderMatch, readQueryMatch, readRegex } from './string-match.ts';

export function readRouteMatch(r: MessageReader<RouteMatch>): RouteMatchSpec {
  return {
    path: readPath(r),
    headers: r.each('headers', readHeaderMatch),
    query: r.each('queryParameters', readQueryMatch),
    fraction: r.inside('runtimeFraction', readFraction) ?? null,
    grpc: r.inside('grpc', () => true) ?? false,
  };
}

function readPath(r: MessageReader<RouteMatch>): PathMatchSpec {
  const specifier = r.take('pathSpecifier');
  const ignoreCase = r.take('caseSensitive') === false;
  switch (specifier.case) {
    case 'prefix':
    case 'path':
      return { kind: specifier.case, value: specifier.value, ignoreCase };
    case 'pathSeparatedPrefix':
      return { kind: 'path_separated_prefix', value: specifier.value, ignoreCase };
    case 'safeRegex':
      if (ignoreCase) throw r.unsupported('caseSensitive', 'false is not implemented for safe_regex; write (?i)');
      return { kind: 'regex', value: r.within('safeRegex', specifier.value, readRegex) };
    case 'connectMatcher':
      return { kind: 'connect' };
    case 'pathMatchPolicy':
      throw r.unsupported(specifier.case);
    case undefined:
      throw r.invalid('pathSpecifier', 'is required');
  }
}
