/** The mesh on the cluster, installed once for whichever suite comes first, as a user installs it. */
import { system } from '@chainmail/runtime';
import { answered } from './calls.ts';
import { type Cluster, isRolledOut, kinds, type Undo } from './cluster.ts';
import { ApiError } from './kube-api.ts';
import { app, deployment, idle, lingering, pod, ready, service } from './workloads.ts';

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

/** A meshed namespace in which `client` is answered by two replicas of `web`, also while they are replaced; its name. */
export async function webAndClient(cluster: Cluster, undo: Undo): Promise<string> {
  await installed(cluster);
  const home = await cluster.namespace(undo, meshed);
  const web = { container: { ...app, ...ready, ...lingering } };
  await cluster.api.apply([pod('client', { container: idle }), deployment('web', web, 2), service('web')], home);
  await cluster.available(home, 'web');
  await cluster.ready(home, 'client');
  await answered(cluster, { namespace: home, pod: 'client' }, 'http://web/');
  return home;
}
