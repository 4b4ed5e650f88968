/** Where the pod stands in each kind that has one, and the path to it. */

export interface PodPlace {
  readonly kind: string;
  /** Segments from the root of the document. */
  readonly path: readonly (string | number)[];
  readonly pod: unknown;
  /** Of the object that holds the pod, for a report. */
  readonly name: string;
  readonly namespace: string | undefined;
}

const template = ['spec', 'template'] as const;

const podPaths: Readonly<Record<string, { readonly group: string; readonly path: readonly string[] }>> = {
  Pod: { group: '', path: [] },
  ReplicationController: { group: '', path: template },
  Deployment: { group: 'apps', path: template },
  StatefulSet: { group: 'apps', path: template },
  DaemonSet: { group: 'apps', path: template },
  ReplicaSet: { group: 'apps', path: template },
  Job: { group: 'batch', path: template },
  CronJob: { group: 'batch', path: ['spec', 'jobTemplate', 'spec', 'template'] },
};

/** Items of nested Lists beyond this depth are left alone; Kubernetes itself does not nest them. */
const maxListDepth = 4;

/** All pods of a document, those inside Lists too; none for a kind we do not know. */
export function podsIn(document: unknown, path: readonly (string | number)[] = []): readonly PodPlace[] {
  if (!isObject(document)) return [];
  const { kind, apiVersion, items, metadata } = document;
  if (kind === 'List' && apiVersion === 'v1' && Array.isArray(items)) {
    if (path.length >= maxListDepth * 2) return [];
    return items.flatMap((item, i) => podsIn(item, [...path, 'items', i]));
  }
  const known = typeof kind === 'string' && Object.hasOwn(podPaths, kind) ? podPaths[kind] : undefined;
  if (typeof kind !== 'string' || known === undefined || groupOf(apiVersion) !== known.group) return [];
  const fields = isObject(metadata) ? metadata : {};
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  return [
    {
      kind,
      path: [...path, ...known.path],
      pod: known.path.reduce<unknown>((node, key) => (isObject(node) ? node[key] : undefined), document),
      name: text(fields['name']) ?? text(fields['generateName']) ?? '?',
      namespace: text(fields['namespace']),
    },
  ];
}

function groupOf(apiVersion: unknown): string | undefined {
  if (typeof apiVersion !== 'string') return undefined;
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
