/** Objects of an installation as plain data, the labels they share, and the order in which they are applied. */
import type { KubeObject } from '@chainmail/kube';

export interface InstallObject extends KubeObject {
  readonly [field: string]: unknown;
}

/** What a part of the mesh is called in the label of all its objects. */
export type Part = 'base' | 'ca' | 'control' | 'crds' | 'injector';

export const partLabel = 'app.kubernetes.io/component';

/** On every object that an installation makes; `meshctl uninstall` and `upgrade` find what is left by them. */
export const ownedSelector = { 'app.kubernetes.io/part-of': 'chainmail' } as const;

export function metaLabels(part: Part): Readonly<Record<string, string>> {
  return { ...ownedSelector, [partLabel]: part };
}

/** `Kind/namespace/name` as a person reads it. */
export function objectName(o: KubeObject): string {
  const { namespace, name = '' } = o.metadata;
  return namespace === undefined ? `${o.kind} ${name}` : `${o.kind} ${namespace}/${name}`;
}
