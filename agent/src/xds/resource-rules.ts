/** How each type of resource is compiled from its message, when it comes and again when the runtime has changed. */
import { create, type Message } from '@bufbuild/protobuf';
import type { AnySchema } from '@bufbuild/protobuf/wkt';
import type { Cluster } from '@chainmail/xds/proto/envoy/config/cluster/v3/cluster';
import type { ClusterLoadAssignment } from '@chainmail/xds/proto/envoy/config/endpoint/v3/endpoint';
import type { Listener } from '@chainmail/xds/proto/envoy/config/listener/v3/listener';
import type { RouteConfiguration } from '@chainmail/xds/proto/envoy/config/route/v3/route';
import type { Runtime } from '@chainmail/xds/proto/envoy/service/runtime/v3/rtds';
import { messageNamed } from '@chainmail/xds/registry';
import type { CompileEnvironment } from '../config/compile-context.ts';
import { compileAssignment } from '../config/endpoints.ts';
import {
  type ClusterResource,
  clusterResource,
  type ListenerResource,
  listenerResource,
  routeResource,
} from '../config/resources.ts';
import { compileRuntime } from '../config/runtime-layers.ts';
import type { EndpointsSpec } from '../model/cluster.ts';
import type { RouteConfigSpec } from '../model/http.ts';
import { acceptResource } from './accept.ts';
import { type ResourceKind, resourceTypes } from './resource-types.ts';

export interface ResourceRules<M extends Message, C> {
  readonly kind: ResourceKind;
  readonly compile: (message: M, env: CompileEnvironment) => C;
  readonly nameOf: (compiled: C) => string;
}

export const clusterRules: ResourceRules<Cluster, ClusterResource> = {
  kind: 'cds',
  compile: (m, env) => clusterResource(m, '', env),
  nameOf: ({ spec }) => spec.name,
};

export const listenerRules: ResourceRules<Listener, ListenerResource> = {
  kind: 'lds',
  compile: (m, env) => listenerResource(m, '', env),
  nameOf: ({ spec }) => spec.name,
};

export const assignmentRules: ResourceRules<ClusterLoadAssignment, EndpointsSpec> = {
  kind: 'eds',
  compile: (m) => compileAssignment(m, ''),
  nameOf: ({ cluster }) => cluster,
};

export const routeRules: ResourceRules<RouteConfiguration, RouteConfigSpec> = {
  kind: 'rds',
  compile: (m, env) => routeResource(m, '', env),
  nameOf: ({ name }) => name,
};

export const runtimeRules: ResourceRules<Runtime, ReturnType<typeof compileRuntime>> = {
  kind: 'rtds',
  compile: (m) => compileRuntime(m, ''),
  nameOf: ({ name }) => name,
};

/** What a resource that was good before gives now, or null if it does not compile any more. */
export function recompiled<M extends Message, C>(
  { kind, compile, nameOf }: ResourceRules<M, C>,
  name: string,
  raw: Uint8Array,
  env: CompileEnvironment,
): C | null {
  const any = create(messageNamed<typeof AnySchema>('google.protobuf.Any'), {
    typeUrl: resourceTypes[kind],
    value: raw,
  });
  const result = acceptResource(kind, name, any, (m: M) => compile(m, env), nameOf);
  return result.ok ? result.compiled : null;
}
