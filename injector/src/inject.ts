/**
 * Injection as a pure function: a pod, its namespace and the installation's values give a decision, a JSON Patch and
 * a report. It always starts from the pod without our parts, so its own output comes out as an empty patch, and a
 * container that someone added after us is taken in on the next call.
 */

import { diff, type PatchOperation } from '@chainmail/kube';
import { annotations, containers, messageOf, UserError } from '@chainmail/runtime';
import { conflicts } from './conflicts.ts';
import { type Decision, decide } from './decide.ts';
import { agentContainer, initContainer, meshVolumes } from './mesh-containers.ts';
import { type Overrides, readOverrides } from './overrides.ts';
import type { Namespace, Pod } from './pod.ts';
import { podShapeError } from './pod.ts';
import { podSecurityWarnings } from './pod-security.ts';
import { type Rewritten, rewriteHandlers } from './probes.ts';
import { type CreatablePath, formatStatus, type InjectionStatus } from './status.ts';
import { uninject } from './uninject.ts';
import type { AgentValues } from './values.ts';

export interface InjectionReport {
  /** What was done and what was left, one sentence each. */
  readonly notes: readonly string[];
  /** What the user should look at; shown by kubectl. */
  readonly warnings: readonly string[];
  /** All reasons of a refusal. */
  readonly refusals: readonly string[];
}

export interface Injection {
  readonly decision: Decision;
  readonly patch: readonly PatchOperation[];
  readonly report: InjectionReport;
}

const defaultContainerAnnotation = 'kubectl.kubernetes.io/default-container';

/**
 * What to do with a pod. Pure; never throws for what a user wrote.
 * @param pod a Pod or a pod template, of any shape
 */
export function inject(pod: unknown, namespace: Namespace, values: AgentValues): Injection {
  const misshapen = podShapeError(pod);
  if (misshapen !== undefined) return refused([misshapen]);
  const current = pod as Pod;
  const decision = decide(current, namespace, values.systemNamespace);
  if (decision.kind === 'deny') return refused([decision.reason]);
  if (decision.kind === 'skip') return { decision, patch: [], report: { notes: [], warnings: [], refusals: [] } };
  try {
    return injectNow(current, decision, namespace, values);
  } catch (error) {
    if (error instanceof UserError) return refused([messageOf(error)]);
    throw error;
  }
}

function refused(refusals: readonly string[]): Injection {
  const reason = refusals.join('; ');
  return { decision: { kind: 'deny', reason }, patch: [], report: { notes: [], warnings: [], refusals } };
}

function injectNow(current: Pod, decision: Decision, namespace: Namespace, values: AgentValues): Injection {
  const original = uninject(current).pod;
  const found = conflicts(original);
  if (found.length > 0) return refused(found);
  const overrides = readOverrides(original, values);
  const rewritten = rewriteHandlers(original);
  const injected = assemble(original, rewritten, overrides, values);
  const report: InjectionReport = {
    notes: [
      ...rewritten.moved.map((m) => `moved ${m.field} of '${m.container}'`),
      ...rewritten.notes,
      ...overrides.notes,
    ],
    warnings: [...podSecurityWarnings(namespace), ...fallbackWarnings(original, values)],
    refusals: [],
  };
  return { decision, patch: diff(current, injected), report };
}

function assemble(original: Pod, rewritten: Rewritten, overrides: Overrides, values: AgentValues): Pod {
  const { metadata, spec } = rewritten.pod;
  const added = meshVolumes(values);
  const init = initContainer(values, overrides);
  const agent = agentContainer(values, overrides, original.spec, rewritten.probes);
  const { initContainers = [], containers: own } = spec;
  const { nativeSidecar } = values;
  const defaultContainer = defaultContainerOf(original);
  const status: InjectionStatus = {
    version: 1,
    initContainers: nativeSidecar ? [containers.init, containers.agent] : [containers.init],
    ...(nativeSidecar ? {} : { containers: [containers.agent] }),
    volumes: added.map((v) => v.name),
    annotations: Object.keys(defaultContainer),
    created: createdIn(original),
    handlers: rewritten.moved,
  };
  return {
    ...rewritten.pod,
    metadata: {
      ...metadata,
      annotations: { ...metadata?.annotations, ...defaultContainer, [annotations.status]: formatStatus(status) },
    },
    spec: {
      ...spec,
      // Without a native sidecar nobody serves while init containers run, so interception begins after the user's.
      initContainers: nativeSidecar ? [init, agent, ...(initContainers ?? [])] : [...(initContainers ?? []), init],
      ...(nativeSidecar ? {} : { containers: [agent, ...own] }),
      volumes: [...(spec.volumes ?? []), ...added],
    },
  };
}

/** What the fallback cannot do, where it matters to this pod. */
function fallbackWarnings({ spec }: Pod, { nativeSidecar }: AgentValues): readonly string[] {
  if (nativeSidecar) return [];
  const ends = spec['restartPolicy'] === 'Never' || spec['restartPolicy'] === 'OnFailure';
  return [
    ...(ends ? ['without native sidecars this pod does not complete: its agent goes on running'] : []),
    ...(spec.initContainers?.length ? ['without native sidecars init containers run outside of the mesh'] : []),
  ];
}

/** `kubectl logs` and `exec` go to the application, unless the user chose. */
function defaultContainerOf({ metadata, spec }: Pod): Readonly<Record<string, string>> {
  const first = spec.containers[0];
  const chosen = metadata?.annotations?.[defaultContainerAnnotation];
  return first === undefined || chosen !== undefined ? {} : { [defaultContainerAnnotation]: first.name };
}

function createdIn({ metadata, spec }: Pod): InjectionStatus['created'] {
  const places: readonly (readonly [CreatablePath, unknown])[] = [
    ['/metadata', metadata],
    ['/metadata/annotations', metadata?.annotations],
    ['/spec/initContainers', spec.initContainers],
    ['/spec/volumes', spec.volumes],
  ];
  const created = places.filter(([, value]) => value === undefined || value === null);
  return Object.fromEntries(created.map(([path, value]) => [path, value === null ? 'null' : 'absent']));
}
