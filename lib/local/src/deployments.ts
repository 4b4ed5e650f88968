/**
 * What a Deployment wants next, given the pods it has: pure, one step at a time. Rolling: at most one pod above the
 * wanted number, and never fewer ready ones than wanted while new pods can still become ready.
 */
import { createHash } from 'node:crypto';
import type { Deployment, Pod } from './pod.ts';

export interface OwnedPod {
  readonly name: string;
  readonly hash: string;
  readonly ready: boolean;
  readonly terminating: boolean;
  /** Creation order; the youngest goes first when the number is lowered. */
  readonly sequence: number;
}

export interface DeploymentPlan {
  readonly create: number;
  readonly remove: readonly string[];
}

const hashLabel = 'pod-template-hash';

/** Ten characters over the template: a changed template gives new pods. */
export function templateHash(template: unknown): string {
  return createHash('sha256').update(JSON.stringify(template)).digest('hex').slice(0, 10);
}

export function planDeployment(replicas: number, hash: string, pods: readonly OwnedPod[]): DeploymentPlan {
  const live = pods.filter((p) => !p.terminating);
  const current = live.filter((p) => p.hash === hash).sort((a, b) => b.sequence - a.sequence);
  const old = live.filter((p) => p.hash !== hash).sort((a, b) => Number(a.ready) - Number(b.ready));
  if (old.length === 0) {
    const unreadyFirst = [...current].sort((a, b) => Number(a.ready) - Number(b.ready));
    const surplus = unreadyFirst.slice(0, Math.max(0, current.length - replicas));
    return { create: Math.max(0, replicas - current.length), remove: surplus.map((p) => p.name) };
  }
  const ready = live.filter((p) => p.ready).length;
  const spare = Math.max(0, ready - replicas);
  const retire = [...old.filter((p) => !p.ready), ...old.filter((p) => p.ready).slice(0, spare)];
  const create = current.length < replicas && live.length - retire.length <= replicas ? 1 : 0;
  return { create, remove: retire.map((p) => p.name) };
}

/** A Pod of the deployment's template, not yet admitted. */
export function podOf(deployment: Deployment, hash: string, suffix: string): Pod {
  const { template } = deployment.spec;
  const { name = '', namespace = 'default', uid = '' } = deployment.metadata;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...template.metadata,
      name: `${name}-${hash}-${suffix}`,
      namespace,
      labels: { ...template.metadata?.labels, [hashLabel]: hash },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Deployment', name, uid, controller: true }],
    },
    spec: template.spec,
  };
}
