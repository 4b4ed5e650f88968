/** One xDS resource compiled alone, with everything that was found inside it. */
import type { Cluster } from '@chainmail/xds/proto/envoy/config/cluster/v3/cluster';
import type { Listener } from '@chainmail/xds/proto/envoy/config/listener/v3/listener';
import type { RouteConfiguration } from '@chainmail/xds/proto/envoy/config/route/v3/route';
import type { RouteConfigSpec } from '../model/http.ts';
import type { SecretSpec } from '../model/tls.ts';
import { type CompiledCluster, compileCluster } from './cluster.ts';
import { CompileContext, type CompileEnvironment, type Reference } from './compile-context.ts';
import { type CompiledListener, compileListener } from './listener.ts';
import { type MessageReader, readMessage } from './message-reader.ts';
import { readRouteConfig } from './route-config.ts';

export interface ListenerResource extends CompiledListener {
  readonly secrets: readonly SecretSpec[];
  readonly inlineRoutes: readonly RouteConfigSpec[];
  /** Route configurations that must arrive by RDS, each once. */
  readonly rds: readonly string[];
  /** Clusters of inline routes, to be checked where all clusters are known. */
  readonly clusters: readonly Reference[];
}

export interface ClusterResource extends CompiledCluster {
  readonly secrets: readonly SecretSpec[];
}

/** @throws FieldError */
export function listenerResource(message: Listener, path: string, env: CompileEnvironment): ListenerResource {
  const context = new CompileContext(env);
  const compiled = compileListener(message, path, context);
  const { secrets, inlineRoutes, rds, clusters } = context;
  return {
    ...compiled,
    secrets: [...secrets.values()],
    inlineRoutes,
    rds: [...new Set(rds.map((r) => r.name))],
    clusters,
  };
}

/** @throws FieldError */
export function clusterResource(message: Cluster, path: string, env: CompileEnvironment): ClusterResource {
  const context = new CompileContext(env);
  const compiled = compileCluster(message, path, context);
  return { ...compiled, secrets: [...context.secrets.values()] };
}

/** @throws FieldError */
export function routeResource(message: RouteConfiguration, path: string, env: CompileEnvironment): RouteConfigSpec {
  const context = new CompileContext(env);
  const read = (r: MessageReader<RouteConfiguration>): RouteConfigSpec =>
    readRouteConfig(r, { checkClusters: false }, context);
  return readMessage(message, path, read, env.runtime);
}
