/** Injection taken back, by the status annotation: the pod is again what its author wrote. */

import { diff, type PatchOperation } from '@chainmail/kube';
import { annotations, containers, volumes } from '@chainmail/runtime';
import type { Pod, PodMetadata, PodSpec } from './pod.ts';
import { restoreHandlers } from './probes.ts';
import { type CreatablePath, type InjectionStatus, parseStatus } from './status.ts';

export interface Uninjection {
  readonly pod: Pod;
  readonly patch: readonly PatchOperation[];
}

/**
 * The pod without our parts; the pod itself when it has none.
 * @throws UserError STATUS_INVALID when the annotation cannot be read
 */
export function uninject(pod: Pod): Uninjection {
  const text = pod.metadata?.annotations?.[annotations.status];
  if (text === undefined) return { pod, patch: [] };
  const status = parseStatus(text);
  const restored = restoreHandlers(pod, status.handlers);
  const result: Pod = {
    ...restored,
    spec: withoutOurs(restored.spec, status),
    metadata: withoutAnnotations(restored.metadata ?? {}, status),
  };
  const whole = isEmptyAndCreated(result.metadata, '/metadata', status)
    ? dropped(result, 'metadata', '/metadata', status)
    : result;
  return { pod: whole as Pod, patch: diff(pod, whole) };
}

/** A name the status lists goes only if it is one of ours: the annotation may be forged. */
function ours(listed: readonly string[], known: Readonly<Record<string, string>>): (item: { name: string }) => boolean {
  const both = new Set(listed.filter((n) => Object.values(known).includes(n)));
  return ({ name }) => both.has(name);
}

function withoutOurs(spec: PodSpec, status: InjectionStatus): PodSpec {
  const isOurContainer = ours(status.initContainers, containers);
  const isOurVolume = ours(status.volumes, volumes);
  const isOurAgent = ours(status.containers ?? [], containers);
  const cleaned: PodSpec = {
    ...spec,
    containers: spec.containers.filter((c) => !isOurAgent(c)),
    ...(spec.initContainers ? { initContainers: spec.initContainers.filter((c) => !isOurContainer(c)) } : {}),
    ...(spec.volumes ? { volumes: spec.volumes.filter((v) => !isOurVolume(v)) } : {}),
  };
  return (['initContainers', 'volumes'] as const).reduce<PodSpec>(
    (s, key) => (isEmptyAndCreated(s[key], `/spec/${key}`, status) ? dropped(s, key, `/spec/${key}`, status) : s),
    cleaned,
  );
}

function withoutAnnotations(metadata: PodMetadata, status: InjectionStatus): PodMetadata {
  const gone = new Set([annotations.status, ...status.annotations]);
  const left = Object.fromEntries(Object.entries(metadata.annotations ?? {}).filter(([name]) => !gone.has(name)));
  const cleaned = { ...metadata, annotations: left };
  const path = '/metadata/annotations';
  return isEmptyAndCreated(left, path, status) ? dropped(cleaned, 'annotations', path, status) : cleaned;
}

function isEmptyAndCreated(value: unknown, path: CreatablePath, status: InjectionStatus): boolean {
  return (
    typeof value === 'object' && value !== null && Object.keys(value).length === 0 && status.created[path] !== undefined
  );
}

/** Without the field, or with the null that stood there. */
function dropped<T extends object>(object: T, key: keyof T & string, path: CreatablePath, status: InjectionStatus): T {
  if (status.created[path] === 'null') return { ...object, [key]: null };
  const { [key]: _, ...rest } = object;
  return rest as T;
}
