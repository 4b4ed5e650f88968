/** What the supervisor tells about itself: the shape of GET /status, and how a pod comes into it. Pure. */
import type { FileProblem } from '@chainmail/kube';
import type { ComponentStatus } from './component.ts';
import { isReady } from './endpoints.ts';
import type { NamedPod } from './pod.ts';
import { isSidecar } from './pod.ts';
import type { PodView } from './pod-set.ts';
import { troubleOf } from './pod-status.ts';

export interface DevPod {
  readonly namespace: string;
  readonly name: string;
  readonly phase: string;
  readonly ready: boolean;
  /** Containers that are ready of those that count, sidecars included. */
  readonly readyContainers: number;
  readonly containers: number;
  /** Names of the containers that count and are not ready, sidecars first. */
  readonly unready: readonly string[];
  readonly restarts: number;
  readonly ips: readonly string[];
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly containerNames: readonly string[];
  readonly terminating: boolean;
  readonly createdAt: string;
  /** Why it is not ready, when that is known. */
  readonly trouble?: string;
}

export interface DevStatus {
  readonly name: string;
  readonly phase: 'starting' | 'running' | 'stopping';
  readonly pid: number;
  readonly dirs: readonly string[];
  readonly runDir: string;
  /** Network namespace of the node, by its name in /run/netns; its bridge carries all traffic between pods. */
  readonly nodeNetns: string;
  readonly bridge: string;
  readonly meshed: boolean;
  readonly components: readonly ComponentStatus[];
  readonly pods: readonly DevPod[];
  readonly services: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly clusterIPs: readonly string[];
  }[];
  readonly problems: readonly FileProblem[];
}

interface Counted {
  readonly ready: number;
  readonly all: number;
  readonly unready: readonly string[];
  readonly restarts: number;
}

function counted(pod: NamedPod): Counted {
  const sidecars = new Set((pod.spec.initContainers ?? []).filter(isSidecar).map((c) => c.name));
  const init = pod.status?.initContainerStatuses ?? [];
  const all = [...init.filter((c) => sidecars.has(c.name)), ...(pod.status?.containerStatuses ?? [])];
  return {
    ready: all.filter((c) => c.ready).length,
    all: pod.spec.containers.length + sidecars.size,
    unready: all.filter((c) => !c.ready).map((c) => c.name),
    restarts: [...init.filter((c) => !sidecars.has(c.name)), ...all].reduce((n, c) => n + c.restartCount, 0),
  };
}

export function devPod(view: PodView): DevPod {
  const { pod } = view;
  const { ready, all, unready, restarts } = counted(pod);
  const trouble = view.problem ?? troubleOf(pod);
  return {
    namespace: pod.metadata.namespace,
    name: pod.metadata.name,
    phase: view.terminating ? 'Terminating' : (pod.status?.phase ?? 'Pending'),
    ready: isReady(pod) && !view.terminating,
    readyContainers: ready,
    containers: all,
    unready,
    restarts,
    ips: (pod.status?.podIPs ?? []).map((p) => p.ip),
    serviceAccount: pod.spec.serviceAccountName ?? 'default',
    labels: pod.metadata.labels ?? {},
    containerNames: [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].map((c) => c.name),
    terminating: view.terminating,
    createdAt: pod.metadata.creationTimestamp ?? '',
    ...(trouble === undefined ? {} : { trouble }),
  };
}
