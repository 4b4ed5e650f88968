/**
 * From a loaded object to one of the kinds we know, typed, or to problems with file, line, path and remedy.
 * Invariant: what comes out typed has passed its whole schema.
 */

import { backendTrafficPolicy } from './kinds/backend-traffic-policy.ts';
import { configMap, deployment, endpointSlice, namespace, pod, service, serviceAccount } from './kinds/core.ts';
import { httpRoute } from './kinds/http-route.ts';
import { meshPolicy } from './kinds/mesh-policy.ts';
import { securityPolicy } from './kinds/security-policy.ts';
import type { KubeObject } from './object.ts';
import type { LoadedObject, Origin } from './parse-objects.ts';
import { checked, type FieldPath, formatPath, type Infer } from './schema/schema.ts';

/** Every kind we read: its API group, and whether it lives in a namespace. */
export const kinds = {
  Namespace: { group: '', namespaced: false, schema: namespace },
  ServiceAccount: { group: '', namespaced: true, schema: serviceAccount },
  ConfigMap: { group: '', namespaced: true, schema: configMap },
  Pod: { group: '', namespaced: true, schema: pod },
  Service: { group: '', namespaced: true, schema: service },
  EndpointSlice: { group: 'discovery.k8s.io', namespaced: true, schema: endpointSlice },
  Deployment: { group: 'apps', namespaced: true, schema: deployment },
  HTTPRoute: { group: 'gateway.networking.k8s.io', namespaced: true, schema: httpRoute },
  MeshPolicy: { group: 'chainmail.dev', namespaced: true, schema: meshPolicy },
  SecurityPolicy: { group: 'chainmail.dev', namespaced: true, schema: securityPolicy },
  BackendTrafficPolicy: { group: 'chainmail.dev', namespaced: true, schema: backendTrafficPolicy },
} as const;

export type KindName = keyof typeof kinds;
type ObjectOf<K extends KindName> = Infer<(typeof kinds)[K]['schema']>;
export type KnownObject = { [K in KindName]: ObjectOf<K> }[KindName];

/** One fault of an object, at the place where it stands. */
export interface ObjectProblem {
  readonly origin: Origin;
  readonly path: string;
  /** Path and reason, e.g. `spec.mtls.mode: "strict" is not allowed here; write STRICT or PERMISSIVE`. */
  readonly reason: string;
}

export type Decoded =
  | { readonly outcome: 'known'; readonly object: KnownObject }
  | { readonly outcome: 'invalid'; readonly kind: KindName; readonly problems: readonly ObjectProblem[] }
  /** A kind that this mesh does not read. */
  | { readonly outcome: 'foreign' };

const groupOf = (apiVersion: string): string => (apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '');

/** The kind's name if the object is of a kind and group that we read. */
function knownKind(object: KubeObject): KindName | undefined {
  const entry = Object.entries(kinds).find(([name]) => name === object.kind);
  return entry !== undefined && entry[1].group === groupOf(object.apiVersion) ? (entry[0] as KindName) : undefined;
}

/** The object as `kubectl apply` would store it: a namespaced one without a namespace stands in `default`. */
export function withNamespace<T extends KubeObject>(object: T): T {
  const kind = knownKind(object);
  if (kind === undefined || !kinds[kind].namespaced || object.metadata.namespace !== undefined) return object;
  return { ...object, metadata: { ...object.metadata, namespace: 'default' } };
}

/** The fields of an object that its kind's schema reads; of our own and other closed kinds, all. */
export function keptFields<T extends KubeObject>(object: T): T {
  const kind = knownKind(object);
  return kind === undefined ? object : ((kinds[kind].schema.prune?.(object) ?? object) as T);
}

/** A fault of a loaded object as a problem with its line. */
function problemAt(loaded: LoadedObject, path: FieldPath, message: string): ObjectProblem {
  const name = formatPath(path);
  return {
    origin: { file: loaded.origin.file, line: loaded.lineOf(path) },
    path: name,
    reason: name === '' ? message : `${name}: ${message}`,
  };
}

/** Checks the object against its kind. */
export function decodeObject(loaded: LoadedObject): Decoded {
  const object = withNamespace(loaded.object);
  const kind = knownKind(object);
  if (kind === undefined) return { outcome: 'foreign' };
  const result = checked<KnownObject>(kinds[kind].schema, object);
  if (result.ok) return { outcome: 'known', object: result.value };
  return { outcome: 'invalid', kind, problems: result.problems.map((p) => problemAt(loaded, p.path, p.message)) };
}
