/** Where an API server keeps objects of a kind. Pure. */
import type { KubeObject } from '@chainmail/kube';

interface Place {
  readonly apiVersion: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

const namespaced = (version: string, plural: string): Place => ({ apiVersion: version, plural, namespaced: true });
const global = (version: string, plural: string): Place => ({ apiVersion: version, plural, namespaced: false });

const rbac = 'rbac.authorization.k8s.io/v1';

/** Every kind that meshctl reads or writes. */
export const places = {
  Namespace: global('v1', 'namespaces'),
  ConfigMap: namespaced('v1', 'configmaps'),
  Secret: namespaced('v1', 'secrets'),
  Pod: namespaced('v1', 'pods'),
  Service: namespaced('v1', 'services'),
  ServiceAccount: namespaced('v1', 'serviceaccounts'),
  Deployment: namespaced('apps/v1', 'deployments'),
  PodDisruptionBudget: namespaced('policy/v1', 'poddisruptionbudgets'),
  NetworkPolicy: namespaced('networking.k8s.io/v1', 'networkpolicies'),
  EndpointSlice: namespaced('discovery.k8s.io/v1', 'endpointslices'),
  Lease: namespaced('coordination.k8s.io/v1', 'leases'),
  ClusterRole: global(rbac, 'clusterroles'),
  ClusterRoleBinding: global(rbac, 'clusterrolebindings'),
  Role: namespaced(rbac, 'roles'),
  RoleBinding: namespaced(rbac, 'rolebindings'),
  MutatingWebhookConfiguration: global('admissionregistration.k8s.io/v1', 'mutatingwebhookconfigurations'),
  CustomResourceDefinition: global('apiextensions.k8s.io/v1', 'customresourcedefinitions'),
} as const satisfies Readonly<Record<string, Place>>;

export type PlacedKind = keyof typeof places;

const root = (version: string): string => (version.includes('/') ? `/apis/${version}` : `/api/${version}`);

/** The list of a kind; of one namespace, or of all. */
export function listPath(kind: PlacedKind, namespace?: string): string {
  const { apiVersion: version, plural } = places[kind];
  return namespace === undefined ? `${root(version)}/${plural}` : `${root(version)}/namespaces/${namespace}/${plural}`;
}

export function objectPath(kind: PlacedKind, name: string, namespace?: string): string {
  return `${listPath(kind, namespace)}/${name}`;
}

export const isPlaced = (kind: string): kind is PlacedKind => Object.hasOwn(places, kind);

/** @throws Error for a kind that is not in the table: a bug, since we render every object ourselves */
export function pathOf({ kind, metadata }: KubeObject): string {
  if (!isPlaced(kind)) throw new Error(`no path is known for objects of kind ${kind}`);
  return objectPath(kind, metadata.name ?? '', places[kind].namespaced ? metadata.namespace : undefined);
}
