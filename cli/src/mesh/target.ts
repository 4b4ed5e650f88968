/**
 * Which mesh a command is about. Said by a flag or MESHCTL_TARGET it is that one; otherwise a local mesh that runs, else
 * the cluster of the kubeconfig. With both there, the one that was taken is told.
 */
import fs from 'node:fs';
import { runPaths } from '@chainmail/local';
import { UserError } from '@chainmail/runtime';
import { Flags } from '@oclif/core';
import { type ClusterFlags, clusterAccess, requiredAccess } from '../cluster/kubeconfig.ts';
import { clusterFlags } from '../flags.ts';
import { clusterMesh } from './cluster-mesh.ts';
import { localMesh } from './local-mesh.ts';
import type { MeshClient } from './mesh-client.ts';

export const targets = ['dev', 'kubernetes'] as const;
export type Target = (typeof targets)[number];

export const targetFlags = {
  ...clusterFlags,
  target: Flags.option({ options: targets, env: 'MESHCTL_TARGET' })({
    description: 'which mesh: dev or kubernetes; what is there by default',
  }),
  name: Flags.string({ description: 'which local mesh; dev by default' }),
} as const;

export interface TargetFlags extends ClusterFlags {
  readonly target?: Target | undefined;
  readonly name?: string | undefined;
}

export interface Found {
  readonly localRuns: boolean;
  readonly clusterThere: boolean;
}

export interface Choice {
  readonly target: Target;
  /** Worth a word: both were there. */
  readonly note?: string;
}

const defaultName = 'dev';

/** Pure. @throws UserError TARGET_NONE, TARGET_CONTRADICTION */
export function chooseTarget(flags: TargetFlags, found: Found): Choice {
  const asksDev = flags.name !== undefined;
  const asksCluster = flags.kubeconfig !== undefined || flags.context !== undefined;
  if ((asksDev && (asksCluster || flags.target === 'kubernetes')) || (asksCluster && flags.target === 'dev')) {
    throw new UserError(
      'TARGET_CONTRADICTION',
      '--name is about a local mesh, --kubeconfig and --context about a cluster',
      {
        hint: 'give one of them',
      },
    );
  }
  if (flags.target !== undefined) return { target: flags.target };
  if (asksDev) return { target: 'dev' };
  if (asksCluster) return { target: 'kubernetes' };
  if (found.localRuns) {
    const note = 'the local mesh dev runs and is shown; --target kubernetes asks the cluster';
    return { target: 'dev', ...(found.clusterThere ? { note } : {}) };
  }
  if (found.clusterThere) return { target: 'kubernetes' };
  throw new UserError('TARGET_NONE', 'there is no mesh to talk to: no local one runs, and there is no kubeconfig', {
    hint: 'meshctl dev up -f DIR starts one here; --kubeconfig FILE or KUBECONFIG names a cluster',
  });
}

/** @throws UserError TARGET_NONE, TARGET_CONTRADICTION, KUBE_CREDENTIALS */
export async function openMesh(flags: TargetFlags): Promise<MeshClient> {
  const access = flags.target === 'dev' ? undefined : clusterAccess(flags);
  const localRuns = fs.existsSync(runPaths(defaultName).socket);
  const { target, note } = chooseTarget(flags, { localRuns, clusterThere: access !== undefined });
  if (note !== undefined) process.stderr.write(`meshctl: ${note}\n`);
  if (target === 'dev') return localMesh(flags.name ?? defaultName);
  return clusterMesh(requiredAccess(flags));
}
