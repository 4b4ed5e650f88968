/**
 * What the user's folder says, indexed by kind: the objects this machine runs, what others read, and what nobody
 * does. Pure. Invariant: of two objects with one name the first is kept and the second is a problem.
 */
import { type FileProblem, type KubeObject, type Loaded, objectKey } from '@chainmail/kube';
import { apiGroup, system } from '@chainmail/runtime';
import type { DataObject, Deployment, Pod, Service } from './pod.ts';

export interface DesiredState {
  readonly namespaces: ReadonlyMap<string, KubeObject>;
  readonly serviceAccounts: ReadonlyMap<string, KubeObject>;
  readonly configMaps: ReadonlyMap<string, DataObject>;
  readonly secrets: ReadonlyMap<string, DataObject>;
  readonly services: ReadonlyMap<string, Service>;
  readonly pods: ReadonlyMap<string, Pod>;
  readonly deployments: ReadonlyMap<string, Deployment>;
  readonly problems: readonly FileProblem[];
}

/** Read by the control plane straight from the folder. */
const readByControl = new Set([apiGroup, 'gateway.networking.k8s.io']);
/** Nothing on this machine would act on them, and an application works the same without. */
const harmless = new Set(['NetworkPolicy', 'PodDisruptionBudget', 'HorizontalPodAutoscaler', 'Role', 'RoleBinding']);

const namespaced = (o: KubeObject): KubeObject =>
  o.metadata.namespace === undefined ? { ...o, metadata: { ...o.metadata, namespace: 'default' } } : o;

/** RFC 1123, as an API server would demand: names become parts of paths here. */
const objectName = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

function nameProblem({ kind, metadata: { name, namespace } }: KubeObject): string | undefined {
  const bad = [name, namespace].find((n) => n !== undefined && !objectName.test(n));
  return bad === undefined ? undefined : `${kind}: '${bad}' is not a name: use a-z, 0-9, "-" and ".", up to 253`;
}

function shapeProblem(o: KubeObject): string | undefined {
  const spec = (o as { spec?: { template?: { spec?: unknown }; type?: string; ports?: unknown } }).spec;
  if (o.metadata.name === undefined) return `${o.kind}: metadata.name is missing`;
  if (o.kind === 'Pod' && typeof spec !== 'object') return 'Pod: spec is missing';
  if (o.kind === 'Deployment' && typeof spec?.template?.spec !== 'object')
    return 'Deployment: spec.template.spec is missing';
  if (o.kind === 'Service' && typeof spec !== 'object') return 'Service: spec is missing';
  if (o.kind === 'Service' && spec?.type === 'ExternalName')
    return 'Service: ExternalName: pods here reach no outside name';
  return undefined;
}

const implicit = (name: string): KubeObject => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });

function withNamespaceLabel(o: KubeObject): KubeObject {
  const labels = { ...o.metadata.labels, 'kubernetes.io/metadata.name': o.metadata.name ?? '' };
  return { ...o, metadata: { ...o.metadata, labels } };
}

export function desiredState(loaded: Loaded): DesiredState {
  const maps = {
    Namespace: new Map<string, KubeObject>(),
    ServiceAccount: new Map<string, KubeObject>(),
    ConfigMap: new Map<string, DataObject>(),
    Secret: new Map<string, DataObject>(),
    Service: new Map<string, Service>(),
    Pod: new Map<string, Pod>(),
    Deployment: new Map<string, Deployment>(),
  };
  const problems: FileProblem[] = [...loaded.problems];
  for (const { object, origin } of loaded.objects) {
    const map = Object.hasOwn(maps, object.kind)
      ? (maps as Readonly<Record<string, Map<string, KubeObject>>>)[object.kind]
      : undefined;
    if (map === undefined) {
      const group = object.apiVersion.split('/')[0] ?? '';
      if (readByControl.has(group) || harmless.has(object.kind)) continue;
      problems.push({ origin, reason: `${object.kind} (${object.apiVersion}) does not run under meshctl dev` });
      continue;
    }
    const reason = shapeProblem(object) ?? nameProblem(object);
    if (reason !== undefined) {
      problems.push({ origin, reason });
      continue;
    }
    const o = object.kind === 'Namespace' ? withNamespaceLabel(object) : namespaced(object);
    const key = object.kind === 'Namespace' ? (o.metadata.name ?? '') : `${o.metadata.namespace}/${o.metadata.name}`;
    if (map.has(key)) problems.push({ origin, reason: `${objectKey(o)} is defined twice; the first one counts` });
    else map.set(key, o);
  }
  for (const name of ['default', system.namespace]) {
    if (!maps.Namespace.has(name)) maps.Namespace.set(name, withNamespaceLabel(implicit(name)));
  }
  for (const { object, origin } of loaded.objects) {
    const ns = namespaced(object).metadata.namespace ?? '';
    const runs = object.kind !== 'Namespace' && Object.hasOwn(maps, object.kind);
    if (runs && !maps.Namespace.has(ns)) {
      problems.push({
        origin,
        reason: `${object.kind} ${object.metadata.name}: there is no Namespace ${ns} in the folder`,
      });
    }
  }
  return {
    namespaces: maps.Namespace,
    serviceAccounts: maps.ServiceAccount,
    configMaps: maps.ConfigMap,
    secrets: maps.Secret,
    services: maps.Service,
    pods: maps.Pod,
    deployments: maps.Deployment,
    problems,
  };
}
