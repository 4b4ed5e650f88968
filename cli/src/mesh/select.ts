/** Which pods a command is about: a namespace, or a reference as `web`, `shop/web`, `deploy/web` or a pod's name. Pure. */
import { UserError } from '@chainmail/runtime';
import type { MeshPod } from './mesh-client.ts';

const kinds = new Set(['pod', 'pods', 'po', 'deploy', 'deployment', 'deployments']);

const listed = (names: readonly string[]): string => `there are: ${[...new Set(names)].join(', ') || 'none'}`;

const noNamespace = (namespace: string, pods: readonly MeshPod[]): UserError =>
  new UserError('NAMESPACE_EMPTY', `there is no pod in namespace ${namespace}`, {
    hint: listed(pods.map((p) => p.namespace)),
  });

/** @throws UserError POD_NOT_FOUND, NAMESPACE_EMPTY naming what there is */
export function selectPods(
  pods: readonly MeshPod[],
  reference: string | undefined,
  namespace: string | undefined,
): readonly MeshPod[] {
  const inside = pods.filter((p) => namespace === undefined || p.namespace === namespace);
  if (reference === undefined) {
    if (namespace !== undefined && inside.length === 0) throw noNamespace(namespace, pods);
    return inside;
  }
  const [first = '', second] = reference.split('/');
  const name = second ?? first;
  const wantedNamespace = second === undefined || kinds.has(first) ? namespace : first;
  const hits = pods
    .filter((p) => wantedNamespace === undefined || p.namespace === wantedNamespace)
    .filter((p) => p.name === name || p.workload === name);
  if (hits.length > 0) return hits;
  const where = wantedNamespace === undefined || second !== undefined ? '' : ` in namespace ${wantedNamespace}`;
  throw new UserError('POD_NOT_FOUND', `there is no pod or Deployment ${reference}${where}`, {
    hint: listed(inside.map((p) => `${p.namespace}/${p.workload}`)),
  });
}
