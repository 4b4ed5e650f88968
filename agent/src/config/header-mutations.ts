/** Headers added and removed by a route, virtual host or route configuration. */

import { messageOf } from '@chainmail/runtime';
import type { HeaderValueOption } from '@chainmail/xds/proto/envoy/config/core/v3/base';
import type { RouteConfiguration } from '@chainmail/xds/proto/envoy/config/route/v3/route';
import type {
  Route,
  VirtualHost,
  WeightedCluster_ClusterWeight as Weight,
} from '@chainmail/xds/proto/envoy/config/route/v3/route_components';
import { compileHeaderFormat } from '../log/format.ts';
import type { HeaderAddSpec, HeaderMutationsSpec } from '../model/http.ts';
import type { MessageReader } from './message-reader.ts';

const actions = {
  APPEND_IF_EXISTS_OR_ADD: 'append',
  ADD_IF_ABSENT: 'add_if_absent',
  OVERWRITE_IF_EXISTS_OR_ADD: 'overwrite',
  OVERWRITE_IF_EXISTS: 'overwrite_if_exists',
} as const;

/** The three levels have the same four fields. */
export function readHeaderMutations(
  level: MessageReader<Route> | MessageReader<VirtualHost> | MessageReader<RouteConfiguration> | MessageReader<Weight>,
): HeaderMutationsSpec {
  const r = level as MessageReader<Route>;
  const spec: HeaderMutationsSpec = {
    requestAdd: r.each('requestHeadersToAdd', readHeaderAdd),
    requestRemove: removed(r, 'requestHeadersToRemove'),
    responseAdd: r.each('responseHeadersToAdd', readHeaderAdd),
    responseRemove: removed(r, 'responseHeadersToRemove'),
  };
  checkOperators(r, [...spec.requestAdd, ...spec.responseAdd]);
  return spec;
}

/** An operator that does not exist is refused here, in Envoy's words. */
export function checkOperators(
  r: { invalid(name: string, reason: string): Error },
  added: readonly HeaderAddSpec[],
): void {
  for (const { name, value } of added) {
    try {
      compileHeaderFormat(value);
    } catch (error) {
      throw r.invalid('', `header ${name}: ${messageOf(error)}`);
    }
  }
}

/** Envoy refuses to remove what the request cannot live without. */
function removed(
  r: MessageReader<Route>,
  field: 'requestHeadersToRemove' | 'responseHeadersToRemove',
): readonly string[] {
  return r.take(field).map((name) => {
    const lower = name.toLowerCase();
    if (lower.startsWith(':') || lower === 'host') throw r.invalid(field, `${name} may not be removed`);
    return lower;
  });
}

export function readHeaderAdd(r: MessageReader<HeaderValueOption>): HeaderAddSpec {
  const append = r.take('append');
  const action = r.oneOf('appendAction', actions);
  const { name, value } = r.required('header', (h) => {
    h.only('rawValue');
    return { name: h.take('key').toLowerCase(), value: h.take('value') };
  });
  if (name.startsWith(':') || name === 'host') throw r.invalid('header', `${name} may not be added`);
  const effective = append === undefined ? action : append ? 'append' : 'overwrite';
  return { name, value, action: effective, keepEmpty: r.take('keepEmptyValue') };
}
