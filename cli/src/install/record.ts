/** What an installation wrote down about itself: its version and the values it was made from. */
import type { KubeObject } from '@chainmail/kube';
import type { ApiClient } from '@chainmail/kube/cluster';
import { type InstallValues, installRecord, installValues } from '@chainmail/manifests';
import { system, UserError } from '@chainmail/runtime';
import { parse } from 'yaml';
import { objectPath } from '../cluster/paths.ts';

export interface Installed {
  readonly version: string;
  readonly values: InstallValues;
  /** As written down, for a newer meshctl to put its own defaults under. */
  readonly given: unknown;
}

/** undefined when the mesh is not installed. @throws UserError RECORD_INVALID */
export async function readInstalled(api: ApiClient): Promise<Installed | undefined> {
  const found = await api.get(objectPath('ConfigMap', installRecord.name, system.namespace));
  if (found === undefined) return undefined;
  const { data = {} } = found as KubeObject & { readonly data?: Readonly<Record<string, string>> };
  try {
    const given: unknown = parse(data[installRecord.valuesKey] ?? '') ?? {};
    return { version: data[installRecord.versionKey] ?? '', values: installValues(given), given };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UserError('RECORD_INVALID', `ConfigMap ${system.namespace}/${installRecord.name}: ${why}`, {
      hint: 'remove the ConfigMap and run meshctl install with all values again',
      cause,
    });
  }
}
