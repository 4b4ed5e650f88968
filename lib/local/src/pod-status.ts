/** PodStatus from the states of the containers, as the kubelet reports it. Pure. */
import type { Condition, ContainerStatus, Pod, PodSpec, PodStatus } from './pod.ts';
import { isSidecar } from './pod.ts';

export interface PodFacts {
  readonly spec: PodSpec;
  readonly init: readonly ContainerStatus[];
  readonly app: readonly ContainerStatus[];
  /** All init containers have done their part: regular ones ended well, sidecars started. */
  readonly initialized: boolean;
  readonly podIps: readonly string[];
  readonly hostIp: string;
  readonly startTime: string;
  readonly now: string;
  /** Why the pod is not even trying to start its containers. */
  readonly blocked?: { readonly reason: string; readonly message: string };
  readonly failed?: string;
  readonly previous?: PodStatus;
}

function phaseOf(f: PodFacts): PodStatus['phase'] {
  if (f.failed !== undefined) return 'Failed';
  if (!f.initialized || f.app.length === 0) return 'Pending';
  const ended = f.app.every((c) => c.state.terminated !== undefined);
  if (!ended) return 'Running';
  return f.app.every((c) => c.state.terminated?.exitCode === 0) ? 'Succeeded' : 'Failed';
}

function condition(type: string, ok: boolean, f: PodFacts, why?: { reason: string; message: string }): Condition {
  const status = ok ? 'True' : 'False';
  const before = f.previous?.conditions.find((c) => c.type === type);
  const lastTransitionTime = before?.status === status ? (before.lastTransitionTime ?? f.now) : f.now;
  return { type, status, lastTransitionTime, ...(ok || why === undefined ? {} : why) };
}

function unreadyNames(f: PodFacts): string[] {
  const sidecars = new Set((f.spec.initContainers ?? []).filter(isSidecar).map((c) => c.name));
  return [...f.init.filter((c) => sidecars.has(c.name)), ...f.app].filter((c) => !c.ready).map((c) => c.name);
}

export function podStatus(f: PodFacts): PodStatus {
  const phase = phaseOf(f);
  const unready = unreadyNames(f);
  const ready = phase === 'Running' && unready.length === 0;
  const why = { reason: 'ContainersNotReady', message: `containers with unready status: [${unready.join(' ')}]` };
  return {
    phase,
    ...(f.blocked ?? (f.failed === undefined ? {} : { reason: 'Failed', message: f.failed })),
    hostIP: f.hostIp,
    ...(f.podIps[0] === undefined ? {} : { podIP: f.podIps[0] }),
    podIPs: f.podIps.map((ip) => ({ ip })),
    startTime: f.startTime,
    conditions: [
      condition('PodScheduled', true, f),
      condition('Initialized', f.initialized, f),
      condition('ContainersReady', ready, f, why),
      condition('Ready', ready, f, why),
    ],
    initContainerStatuses: f.init,
    containerStatuses: f.app,
  };
}

function failedContainer(status: PodStatus): string | undefined {
  const bad = status.containerStatuses.find((c) => (c.state.terminated?.exitCode ?? 0) !== 0);
  return bad === undefined ? undefined : `container ${bad.name} ended with exit code ${bad.state.terminated?.exitCode}`;
}

/** Why a pod is not ready, in the words of its containers; undefined when it is or simply needs more time. */
export function troubleOf(pod: Pod): string | undefined {
  const { status } = pod;
  if (status === undefined) return undefined;
  if (status.phase === 'Failed') return status.message ?? failedContainer(status) ?? 'failed';
  if (status.reason !== undefined && status.message !== undefined) return `${status.reason}: ${status.message}`;
  for (const c of [...status.initContainerStatuses, ...status.containerStatuses]) {
    const waiting = c.state.waiting;
    if (waiting?.message !== undefined) return `container ${c.name}: ${waiting.reason}: ${waiting.message}`;
  }
  return undefined;
}
