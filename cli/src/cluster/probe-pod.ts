/** A pod that is asked of the API server and not stored: what becomes of it tells whether the webhooks work. */
import type { ApiClient } from '@chainmail/kube/cluster';
import { containers, labels } from '@chainmail/runtime';
import { listPath } from './paths.ts';
import type { PodObject } from './rollout.ts';

/** Passes Pod Security `restricted`, so that what is refused is ours. */
function probePod(labelled: boolean): object {
  const securityContext = {
    ...{ allowPrivilegeEscalation: false, runAsNonRoot: true, runAsUser: 65_532 },
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: 'meshctl-check-',
      ...(labelled ? { labels: { [labels.inject]: 'enabled' } } : {}),
    },
    spec: { containers: [{ name: 'check', image: 'chainmail.dev/check', securityContext }] },
  };
}

/** Whether the pod came back with an agent. labelled: it asks for one itself. @throws ApiError when it is refused */
export async function getsAgent(api: ApiClient, namespace: string, labelled: boolean): Promise<boolean> {
  const pod = (await api.request({
    method: 'POST',
    path: listPath('Pod', namespace),
    query: { dryRun: 'All' },
    body: probePod(labelled),
  })) as PodObject;
  return pod.spec?.initContainers?.some((c) => c.name === containers.agent) === true;
}
