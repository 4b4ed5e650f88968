/** The pods of a cluster that carry an agent, and which agents are older than the installation's. Pure but for reading. */
import type { ApiClient } from '@chainmail/kube/cluster';
import { containers } from '@chainmail/runtime';
import { listAll } from './apply.ts';
import { listPath } from './paths.ts';
import { isReady, type PodObject } from './rollout.ts';

export interface InjectedPod {
  readonly namespace: string;
  readonly name: string;
  readonly agentImage: string;
  readonly ready: boolean;
  /** Being deleted, or run to its end. */
  readonly leaving: boolean;
}

const agentOf = (pod: PodObject): string | undefined =>
  [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])].find((c) => c.name === containers.agent)
    ?.image;

export function injectedPods(pods: readonly PodObject[]): readonly InjectedPod[] {
  return pods.flatMap((pod) => {
    const agentImage = agentOf(pod);
    if (agentImage === undefined) return [];
    const { namespace = '', name = '', deletionTimestamp } = pod.metadata;
    const over = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
    return [{ namespace, name, agentImage, ready: isReady(pod), leaving: over || deletionTimestamp !== undefined }];
  });
}

export async function readInjectedPods(api: ApiClient): Promise<readonly InjectedPod[]> {
  return injectedPods(await listAll(api, listPath('Pod')));
}

export const podName = (p: { readonly namespace: string; readonly name: string }): string => `${p.namespace}/${p.name}`;

const mostNamed = 20;

/** Names, cut where a person stops reading. */
export function named(pods: readonly InjectedPod[]): readonly string[] {
  const first = pods.slice(0, mostNamed).map(podName);
  return pods.length > mostNamed ? [...first, `and ${pods.length - mostNamed} more`] : first;
}
