/** Whether the pod a token is bound to is there and of that service account, from the objects published in a folder or by an API server. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { type KubeObject, parseObjects } from '@chainmail/kube';
import type { BoundObject, Caller } from './attestor.ts';

const maxFileBytes = 1024 * 1024;

interface PodObject extends KubeObject {
  readonly spec?: { readonly serviceAccountName?: unknown };
  readonly status?: { readonly phase?: unknown };
}

async function readPod(dir: string, namespace: string, pod: BoundObject): Promise<PodObject | undefined> {
  const wanted = `pod.${namespace}.${pod.name}.json`;
  const name = (await fs.readdir(dir)).find((n) => n.toLowerCase() === wanted);
  if (name === undefined) return undefined;
  const file = path.join(dir, name);
  if ((await fs.stat(file)).size > maxFileBytes) return undefined;
  const { objects } = parseObjects(await fs.readFile(file, 'utf8'), file);
  return objects.map((o) => o.object).find((o) => o.kind === 'Pod' && o.metadata.name === pod.name) as
    | PodObject
    | undefined;
}

/** Why the pod does not vouch for the caller, or undefined when it does. Rejects when the folder cannot be read. */
export async function livePodProblem(dir: string, caller: Caller): Promise<string | undefined> {
  const { pod, namespace } = caller;
  if (pod === undefined) return undefined;
  const found = await readPod(dir, namespace, pod).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined; // the folder or the pod went away between two calls
    throw error;
  });
  return livePodFault(found, caller);
}

/** Why what stands under the pod's name does not vouch for the caller. */
export function livePodFault(found: PodObject | undefined, caller: Caller): string | undefined {
  const { pod, namespace, serviceAccount } = caller;
  const name = `pod ${namespace}/${pod?.name}`;
  if (pod === undefined || found === undefined || found.metadata.namespace !== namespace) return `there is no ${name}`;
  if (found.metadata.uid !== pod.uid) return `${name} is another one now (its uid differs)`;
  if ((found.spec?.serviceAccountName ?? 'default') !== serviceAccount.name)
    return `${name} has another service account`;
  const phase = found.status?.phase;
  return phase === 'Succeeded' || phase === 'Failed' ? `${name} has ended` : undefined;
}
