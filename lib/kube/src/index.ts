/** @chainmail/kube: the objects we read, from files or an API server, their shapes and their checks. */
export {
  type Decoded,
  decodeObject,
  type KindName,
  type KnownObject,
  keptFields,
  kinds,
  type ObjectProblem,
  withNamespace,
} from './decode.ts';
export { readObjects, type Watch, watchObjects } from './files.ts';
export { applyPatch, diff, escapeSegment, type PatchOperation, pointerSegments } from './json-patch.ts';
export type { BackendTrafficPolicy } from './kinds/backend-traffic-policy.ts';
export type {
  ConfigMap,
  Container,
  Deployment,
  EndpointSlice,
  Namespace,
  Pod,
  PodSpec,
  Service,
  ServiceAccount,
} from './kinds/core.ts';
export type {
  HttpBackendRef,
  HttpHeaderModifier,
  HttpPathModifier,
  HttpRoute,
  HttpRouteFilter,
  HttpRouteMatch,
  HttpRouteRule,
} from './kinds/http-route.ts';
export type { MeshPolicy } from './kinds/mesh-policy.ts';
export type { AuthorizationRule, PathMatch, SecurityPolicy } from './kinds/security-policy.ts';
export type { TargetRef, TargetSelector } from './kinds/target.ts';
export { type KubeObject, type ObjectMeta, objectKey } from './object.ts';
export { hides, withOutOfSight } from './out-of-sight.ts';
export { type FileProblem, type Loaded, type LoadedObject, type Origin, parseObjects } from './parse-objects.ts';
export { parseQuantity } from './quantity.ts';
export { duration, durationMs } from './schema/duration.ts';
export {
  bool,
  checked,
  type FieldPath,
  formatPath,
  type Infer,
  integer,
  isRecord,
  list,
  map,
  object,
  oneOf,
  refine,
  type Schema,
  text,
} from './schema/schema.ts';
export { type StructuralSchema, withMessages, withRules } from './schema/structural.ts';
