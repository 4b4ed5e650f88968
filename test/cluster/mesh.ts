/** The mesh on the cluster, installed once for whichever suite comes first, as a user installs it. */
import { system } from '@chainmail/runtime';
import { type Cluster, isRolledOut, kinds } from './cluster.ts';
import { ApiError } from './kube-api.ts';

export const meshed = { 'chainmail.dev/inject': 'enabled' } as const;

/** Deployments of the mesh itself. */
export const components = [
  system.caServiceAccount,
  system.controlServiceAccount,
  system.injectorServiceAccount,
] as const;

export async function isInstalled(cluster: Cluster): Promise<boolean> {
  try {
    const found = components.map((name) => cluster.api.get(kinds.Deployment, system.namespace, name));
    return (await Promise.all(found)).every(isRolledOut);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return false;
    throw error;
  }
}

/** @throws Error with what meshctl said */
export async function installed(cluster: Cluster): Promise<void> {
  if (await isInstalled(cluster)) return;
  const { code, stdout, stderr } = await cluster.meshctl(['install']);
  if (code !== 0) throw new Error(`meshctl install: ${stdout}${stderr}`);
}
