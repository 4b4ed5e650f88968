/** @chainmail/local: runs Pods, Services and the mesh itself on one Linux machine, without a cluster. */
export type { ComponentStatus } from './component.ts';
export { type ComponentName, componentNames, type MeshOptions } from './control-plane.ts';
export {
  DevClient,
  type ExecResult,
  type ExecStreams,
  type PodRef,
  type ProxyResponse,
} from './dev-client.ts';
export type { DevPod, DevStatus } from './dev-status.ts';
export type { ExecRequest } from './exec-api.ts';
export type { NamedPod, Pod, PodSpec, PodStatus, Service } from './pod.ts';
export { type Readiness, readinessOf, waitUntilReady } from './readiness.ts';
export { type RunPaths, runPaths, runRoot } from './run-paths.ts';
export { checkHost, type LocalMesh, type LocalMeshOptions, startLocalMesh, stopLocalMesh } from './start.ts';
