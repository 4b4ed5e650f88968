/** request_mirror_policies of a route, a virtual host or a route configuration. */
import type { RouteConfiguration } from '@chainmail/xds/proto/envoy/config/route/v3/route';
import type {
  RouteAction_RequestMirrorPolicy as Policy,
  RouteAction,
  VirtualHost,
} from '@chainmail/xds/proto/envoy/config/route/v3/route_components';
import type { MirrorSpec } from '../model/http.ts';
import type { CompileContext } from './compile-context.ts';
import { readFraction } from './fraction.ts';
import type { MessageReader } from './message-reader.ts';

/** The three levels have the same field. */
export function readMirrors(
  level: MessageReader<RouteAction> | MessageReader<VirtualHost> | MessageReader<RouteConfiguration>,
  checkClusters: boolean,
  context: CompileContext,
): { readonly mirrors?: readonly MirrorSpec[] } {
  const r = level as MessageReader<RouteAction>;
  const mirrors = r.each('requestMirrorPolicies', (p) => readMirror(p, checkClusters, context));
  return mirrors.length === 0 ? {} : { mirrors };
}

function readMirror(r: MessageReader<Policy>, checkClusters: boolean, context: CompileContext): MirrorSpec {
  const cluster = r.take('cluster');
  const clusterHeader = r.take('clusterHeader').toLowerCase();
  if (cluster !== '' && clusterHeader !== '') {
    throw r.invalid('', 'Only one of cluster or cluster_header in request mirror policy can be specified');
  }
  if (cluster === '' && clusterHeader === '') {
    throw r.invalid('', 'Exactly one of cluster or cluster_header in request mirror policy need to be specified');
  }
  if (checkClusters && cluster !== '') context.clusters.push({ name: cluster, path: r.at('cluster') });
  return {
    cluster,
    clusterHeader,
    fraction: r.inside('runtimeFraction', readFraction) ?? null,
    hostSuffix: !r.take('disableShadowHostSuffixAppend'),
  };
}
