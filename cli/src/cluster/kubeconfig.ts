/** Which cluster a command means: --kubeconfig, $KUBECONFIG, ~/.kube/config, or the pod meshctl runs in. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ApiClient, ClusterAccess } from '@chainmail/kube/cluster';
import { UserError } from '@chainmail/runtime';

export interface ClusterFlags {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
}

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly exists: (file: string) => boolean;
}

const here = (): Surroundings => ({ env: process.env, home: os.homedir(), exists: fs.existsSync });

/** undefined when there is none. Pure. */
export function clusterAccess(flags: ClusterFlags, at: Surroundings = here()): ClusterAccess | undefined {
  const { context } = flags;
  if (flags.kubeconfig !== undefined) return { kubeconfig: flags.kubeconfig, context };
  const listed = at.env['KUBECONFIG'] ?? '';
  const files = listed.split(path.delimiter).filter((f) => f !== '');
  if (files.length === 1 || files.some(at.exists)) return { kubeconfig: listed, context };
  const usual = path.join(at.home, '.kube/config');
  if (files.length === 0 && at.exists(usual)) return { kubeconfig: usual, context };
  if (at.env['KUBERNETES_SERVICE_HOST'] !== undefined && context === undefined) return {};
  return undefined;
}

/** @throws UserError TARGET_NONE */
export function requiredAccess(flags: ClusterFlags): ClusterAccess {
  const access = clusterAccess(flags);
  if (access !== undefined) return access;
  throw new UserError('TARGET_NONE', 'no cluster to talk to: neither KUBECONFIG nor ~/.kube/config is there', {
    hint: 'give --kubeconfig FILE, and --context NAME if it holds several',
  });
}

/** @throws UserError TARGET_NONE, KUBE_CREDENTIALS */
export async function connect(flags: ClusterFlags): Promise<ApiClient> {
  const access = requiredAccess(flags);
  const { ApiClient: Client } = await import('@chainmail/kube/cluster'); // most of a second that --help need not wait
  return new Client(access);
}
