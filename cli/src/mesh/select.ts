/** Which pods a command is about: a namespace, or a reference as `web`, `shop/web`, `deploy/web` or a pod's name. Pure. */
import { UserError } from '@chainmail/runtime';
import type { MeshPod } from './mesh-client.ts';

const kinds = new Set(['pod', 'pods', 'po', 'deploy', 'deployment', 'deployments']);

/** @throws UserError POD_NOT_FOUND naming what there is */
export function selectPods(
  pods: readonly MeshPod[],
  reference: string | undefined,
  namespace: string | undefined,
): readonly MeshPod[] {
  const inside = pods.filter((p) => namespace === undefined || p.namespace === namespace);
  if (reference === undefined) return inside;
  const [first = '', second] = reference.split('/');
  const name = second ?? first;
  const wantedNamespace = second === undefined || kinds.has(first) ? namespace : first;
  const hits = pods
    .filter((p) => wantedNamespace === undefined || p.namespace === wantedNamespace)
    .filter((p) => p.name === name || p.workload === name);
  if (hits.length > 0) return hits;
  const known = [...new Set(inside.map((p) => `${p.namespace}/${p.workload}`))].join(', ');
  throw new UserError('POD_NOT_FOUND', `there is no pod or Deployment ${reference}`, {
    hint: `there are: ${known || 'none'}`,
  });
}
