/** What an earlier installation made and the wanted one has no more. Invariant: only objects that meshctl applied. */
import type { KubeObject } from '@chainmail/kube';
import type { ApiClient } from '@chainmail/kube/cluster';
import { ownedSelector } from '@chainmail/manifests';
import { system } from '@chainmail/runtime';
import { fieldManager, listAll } from '../cluster/apply.ts';
import { listPath, type PlacedKind, pathOf, places } from '../cluster/paths.ts';

/** Kinds that come and go with an installation, the ones that let others in first. Definitions hold users' objects. */
export const removableKinds = [
  'MutatingWebhookConfiguration',
  'Deployment',
  'PodDisruptionBudget',
  'Service',
  'NetworkPolicy',
  'ConfigMap',
  'RoleBinding',
  'Role',
  'ClusterRoleBinding',
  'ClusterRole',
  'ServiceAccount',
] as const satisfies readonly PlacedKind[];

interface Managed {
  readonly managedFields?: readonly { readonly manager?: string; readonly operation?: string }[];
}

const isOurs = ({ metadata }: KubeObject): boolean =>
  (metadata as Managed).managedFields?.some((f) => f.manager === fieldManager && f.operation === 'Apply') === true;

/** Objects of the kinds above that meshctl has applied, in the order in which they may go. */
export async function installedObjects(api: ApiClient): Promise<readonly KubeObject[]> {
  const labelSelector = Object.entries(ownedSelector)
    .map(([k, v]) => `${k}=${v}`)
    .join(',');
  const lists = await Promise.all(
    removableKinds.map(async (kind) => {
      const path = listPath(kind, places[kind].namespaced ? system.namespace : undefined);
      const found = await listAll(api, path, { labelSelector });
      return found.filter(isOurs).map((o) => ({ ...o, apiVersion: places[kind].apiVersion, kind }));
    }),
  );
  return lists.flat();
}

/** @param wanted what the installation is to consist of */
export async function leftovers(api: ApiClient, wanted: readonly KubeObject[]): Promise<readonly KubeObject[]> {
  const kept = new Set(wanted.map(pathOf));
  return (await installedObjects(api)).filter((o) => !kept.has(pathOf(o)));
}
