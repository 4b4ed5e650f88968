/** Finds the pod a person means: `name`, `namespace/name`, or the name of a Deployment for one of its pods. Pure. */
import type { DevPod } from '@chainmail/local';
import { UserError } from '@chainmail/runtime';

/** A pod of a Deployment is called `<deployment>-<hash>-<5 letters>`. */
const deploymentPod = /^(.+)-[0-9a-f]{8,10}-[a-z0-9]{5}$/;

/** The Deployment a pod's name tells, or the pod's own name. */
export function workloadOf(podName: string): string {
  return deploymentPod.exec(podName)?.[1] ?? podName;
}

function matches(pod: DevPod, name: string): boolean {
  return pod.name === name || workloadOf(pod.name) === name;
}

/** Ready pods first; throws a UserError with the names there are. */
export function findPod(pods: readonly DevPod[], reference: string, namespace: string | undefined): DevPod {
  const slash = reference.indexOf('/');
  const wantedNamespace = slash === -1 ? namespace : reference.slice(0, slash);
  const name = reference.slice(slash + 1);
  const there = pods.filter((p) => wantedNamespace === undefined || p.namespace === wantedNamespace);
  const hits = there.filter((p) => matches(p, name)).sort((a, b) => Number(b.ready) - Number(a.ready));
  const [first] = hits;
  const namespaces = new Set(hits.map((p) => p.namespace));
  if (first === undefined) {
    const known = there.map((p) => `${p.namespace}/${p.name}`).join(', ');
    throw new UserError(
      'POD_NOT_FOUND',
      `there is no pod ${reference}${slash === -1 && namespace !== undefined ? ` in namespace ${namespace}` : ''}`,
      { hint: `there are: ${known || 'none'}` },
    );
  }
  if (namespaces.size > 1) {
    throw new UserError('POD_AMBIGUOUS', `${name} is in the namespaces ${[...namespaces].join(', ')}`, {
      hint: 'add -n NAMESPACE',
    });
  }
  return first;
}
