/**
 * @chainmail/kube/cluster: a real API server. Apart from the package's main entry, because it loads
 * @kubernetes/client-node, which costs 80 MB and most of a second that a folder of files does not need.
 */
export { ApiClient, type ApiRequest, type Query } from './api-client.ts';
export { ApiError, isConflict, isExpired, isNotFound } from './api-error.ts';
export type { ClusterAccess } from './credentials.ts';
export { LeaderElection, type LeaderOptions } from './leader-election.ts';
export {
  type ExecEnd,
  type PodAnswer,
  type PodContainer,
  type PodPort,
  PodStreams,
} from './pod-streams.ts';
export { Reflector, type ReflectorFigures, type ReflectorOptions } from './reflector.ts';
