/**
 * What control keeps of an object from an API server. Invariant: a field that the model reads is kept; what changes
 * all the time without meaning anything to an agent is not, so that it neither costs memory nor makes a new world.
 */
import { isRecord, type KubeObject, keptFields } from '@chainmail/kube';

const serviceName = 'kubernetes.io/service-name';
const ownPrefix = 'chainmail.dev/';

type Fields = Readonly<Record<string, unknown>>;

function only<T>(all: Readonly<Record<string, T>> | undefined, wanted: (name: string) => boolean) {
  const kept = Object.entries(all ?? {}).filter(([name]) => wanted(name));
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

/** Without the keys whose value is undefined. */
function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T;
}

function container(value: unknown): unknown {
  if (!isRecord(value)) return value;
  const { name, ports } = value;
  return defined({ name, ports });
}

function podSpec(spec: unknown): unknown {
  if (!isRecord(spec)) return spec;
  const { containers, initContainers, serviceAccountName, hostNetwork } = spec;
  const each = (list: unknown): unknown => (Array.isArray(list) ? list.map(container) : list);
  return defined({
    containers: each(containers),
    initContainers: each(initContainers),
    serviceAccountName,
    hostNetwork: hostNetwork === true ? true : undefined,
  });
}

function podStatus(status: unknown): unknown {
  if (!isRecord(status)) return status;
  const { phase, podIP, podIPs, conditions } = status;
  const ready = Array.isArray(conditions) ? conditions.filter((c) => isRecord(c) && c['type'] === 'Ready') : [];
  return defined({ phase, podIP, podIPs, conditions: ready.length === 0 ? undefined : ready });
}

function rest(object: KubeObject & Fields): Fields {
  const { apiVersion, kind, metadata, status, ...fields } = object;
  if (kind === 'Pod') return { spec: podSpec(fields['spec']), status: podStatus(status) };
  // An empty list comes as null (Go's nil), and must not look like one that is missing.
  if (kind === 'EndpointSlice')
    return { ...fields, endpoints: fields['endpoints'] ?? [], ports: fields['ports'] ?? [] };
  return fields;
}

/** The object without its status (a Pod's is part of what it is), version and foreign annotations. */
export function kept(object: KubeObject): KubeObject {
  const { name, namespace, uid, labels, annotations, generation, creationTimestamp } = object.metadata;
  const { kind } = object;
  const metadata = defined({
    ...{ name, namespace },
    labels: kind === 'EndpointSlice' ? only(labels, (l) => l === serviceName) : labels,
    annotations: only(annotations, (a) => a.startsWith(ownPrefix) && a !== `${ownPrefix}status`),
    // A deletion under way counts, its time does not.
    deletionTimestamp: object.metadata.deletionTimestamp,
    ...(kind === 'Pod' || kind === 'EndpointSlice' ? {} : { uid, generation, creationTimestamp }),
  });
  const { apiVersion } = object;
  return keptFields({ apiVersion, kind, metadata, ...rest(object as KubeObject & Fields) } as KubeObject);
}
