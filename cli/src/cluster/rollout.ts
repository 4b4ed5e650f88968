/** How far a Deployment is, and what holds its pods up, in words. Pure but for `deploymentStates`. */
import type { KubeObject } from '@chainmail/kube';
import type { ApiClient } from '@chainmail/kube/cluster';
import { system } from '@chainmail/runtime';
import { listAll } from './apply.ts';
import { listPath } from './paths.ts';

export interface DeploymentObject extends KubeObject {
  readonly spec?: {
    readonly replicas?: number;
    readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly updatedReplicas?: number;
    readonly availableReplicas?: number;
  };
}

interface ContainerStatus {
  readonly name: string;
  readonly ready?: boolean;
  readonly restartCount?: number;
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly terminated?: { readonly reason?: string; readonly exitCode?: number };
  };
}

export interface PodObject extends KubeObject {
  readonly spec?: {
    readonly serviceAccountName?: string;
    readonly nodeName?: string;
    readonly containers?: readonly { readonly name: string; readonly image?: string }[];
    readonly initContainers?: readonly { readonly name: string; readonly image?: string }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}

export interface Rollout {
  readonly name: string;
  readonly done: boolean;
  /** `2 of 2 pods ready`. */
  readonly progress: string;
  /** What the pods that are not ready say. */
  readonly troubles: readonly string[];
}

export const isReady = (pod: PodObject): boolean =>
  pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') === true;

/** Waiting reasons that are on the way to running. */
const onTheWay = new Set(['ContainerCreating', 'PodInitializing']);

export function troubleOf(pod: PodObject): string | undefined {
  const unscheduled = pod.status?.conditions?.find((c) => c.type === 'PodScheduled' && c.status === 'False');
  if (unscheduled !== undefined) return `not scheduled: ${unscheduled.message ?? ''}`;
  const all = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  for (const c of all) {
    const { waiting, terminated } = c.state ?? {};
    if (waiting?.reason !== undefined && !onTheWay.has(waiting.reason))
      return `container ${c.name}: ${waiting.reason}${waiting.message === undefined ? '' : `: ${waiting.message}`}`;
    if (terminated !== undefined && terminated.exitCode !== 0)
      return `container ${c.name} ended: ${terminated.reason ?? ''} (exit code ${terminated.exitCode})`;
  }
  const waiting = all.find((c) => c.state?.waiting !== undefined);
  if (waiting !== undefined) return `container ${waiting.name} is starting`;
  const unready = pod.status?.containerStatuses?.find((c) => c.ready !== true);
  return unready === undefined ? undefined : `container ${unready.name} is not ready`;
}

export function rolloutOf(deployment: DeploymentObject, pods: readonly PodObject[]): Rollout {
  const { metadata, spec, status = {} } = deployment;
  const wanted = spec?.replicas ?? 1;
  const { updatedReplicas = 0, availableReplicas = 0, replicas = 0, observedGeneration = 0 } = status;
  const current = observedGeneration >= (metadata.generation ?? 0);
  const done = current && updatedReplicas >= wanted && availableReplicas >= wanted && replicas === updatedReplicas;
  const labels = Object.entries(spec?.selector?.matchLabels ?? {});
  const own = pods.filter((p) => labels.every(([k, v]) => p.metadata.labels?.[k] === v));
  const troubles = own
    .filter((p) => !isReady(p))
    .flatMap((p) => {
      const trouble = troubleOf(p);
      return trouble === undefined ? [] : [`${p.metadata.name}: ${trouble}`];
    });
  const ready = current ? Math.min(updatedReplicas, availableReplicas) : 0;
  return { name: metadata.name ?? '', done, progress: `${ready} of ${wanted} pods ready`, troubles };
}

/** Our own Deployments as they are now. */
export async function rollouts(api: ApiClient, names: readonly string[]): Promise<readonly Rollout[]> {
  const [deployments, pods] = await Promise.all([
    listAll(api, listPath('Deployment', system.namespace)),
    listAll(api, listPath('Pod', system.namespace)),
  ]);
  return names.map((name) => {
    const found = deployments.find((d) => d.metadata.name === name);
    if (found === undefined) return { name, done: false, progress: 'is not there', troubles: [] };
    return rolloutOf(found, pods);
  });
}
