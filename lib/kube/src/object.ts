/** The part that all Kubernetes objects share, and the name an object goes by. */

export interface ObjectMeta {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly generation?: number;
  readonly resourceVersion?: string;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
}

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

/** `Kind/namespace/name`, or `Kind/name` where there is no namespace: unique in a store, readable in a log. */
export function objectKey(o: KubeObject): string {
  const { namespace, name, generateName } = o.metadata;
  return [o.kind, namespace, name ?? `${generateName}*`].filter((p) => p !== undefined).join('/');
}
