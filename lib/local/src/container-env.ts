/**
 * The environment of a container, as the kubelet builds it: envFrom, then env in order, with $(VAR) expansion and
 * the downward API. Pure: objects come in as look-ups. A reference that is not there is an error that names it.
 */
import { UserError } from '@chainmail/runtime';
import type { Container, DataObject, EnvVar, KeyRef, NamedPod } from './pod.ts';
import { resourceValue } from './quantity.ts';

export interface EnvSources {
  readonly configMap: (namespace: string, name: string) => DataObject | undefined;
  readonly secret: (namespace: string, name: string) => DataObject | undefined;
  readonly podIps: readonly string[];
  readonly hostIp: string;
}

/** The text of a downward-API field; undefined for a path that names none. */
export function fieldValue(pod: NamedPod, path: string, podIps: readonly string[], hostIp: string): string | undefined {
  const subscript = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (subscript !== null) return pod.metadata[subscript[1] as 'labels' | 'annotations']?.[subscript[2] ?? ''] ?? '';
  switch (path) {
    case 'metadata.name':
      return pod.metadata.name;
    case 'metadata.namespace':
      return pod.metadata.namespace;
    case 'metadata.uid':
      return pod.metadata.uid;
    case 'metadata.labels':
      return mapText(pod.metadata.labels);
    case 'metadata.annotations':
      return mapText(pod.metadata.annotations);
    case 'spec.nodeName':
      return pod.spec.nodeName ?? '';
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? 'default';
    case 'status.hostIP':
    case 'status.hostIPs':
      return hostIp;
    case 'status.podIP':
      return podIps[0] ?? '';
    case 'status.podIPs':
      return podIps.join(',');
    default:
      return undefined;
  }
}

/** `key="escaped value"` lines sorted by key, the kubelet's format of labels and annotations in a file. */
function mapText(map: Readonly<Record<string, string>> | undefined): string {
  const lines = Object.entries(map ?? {}).map(([k, v]) => `${k}=${JSON.stringify(v)}`);
  return lines.sort().join('\n');
}

/** Replaces $(NAME) with what is set so far; an unknown name stays as written, $$(NAME) is the text $(NAME). */
export function expand(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\(([^)]*)\)/g, (whole, name: string | undefined) => {
    if (whole === '$$') return '$';
    return name !== undefined && Object.hasOwn(env, name) ? (env[name] ?? '') : whole;
  });
}

/** The decoded keys of a ConfigMap or Secret as text. */
export function dataText(object: DataObject): Record<string, string> {
  const decode = object.kind === 'Secret' ? (v: string) => Buffer.from(v, 'base64').toString() : (v: string) => v;
  const out: Record<string, string> = {};
  for (const [k, v] of Object.entries(object.data ?? {})) out[k] = decode(v);
  for (const [k, v] of Object.entries(object.stringData ?? {})) out[k] = v;
  return out;
}

function keyValue(kind: string, object: DataObject | undefined, ref: KeyRef, where: string): string | undefined {
  const value = object === undefined ? undefined : dataText(object)[ref.key];
  if (value !== undefined || ref.optional === true) return value;
  const what = object === undefined ? `${kind} ${ref.name} not found` : `${kind} ${ref.name} has no key ${ref.key}`;
  throw new UserError('LOCAL_ENV_REFERENCE', `${where}: ${what}`, { hint: `add it to the folder of -f` });
}

function refValue(v: EnvVar, pod: NamedPod, container: Container, sources: EnvSources): string | undefined {
  const where = `${pod.metadata.namespace}/${pod.metadata.name} container ${container.name} env ${v.name}`;
  const ns = pod.metadata.namespace;
  const from = v.valueFrom;
  if (from?.fieldRef !== undefined) {
    const value = fieldValue(pod, from.fieldRef.fieldPath, sources.podIps, sources.hostIp);
    if (value !== undefined) return value;
    throw new UserError('LOCAL_ENV_REFERENCE', `${where}: unknown fieldPath ${from.fieldRef.fieldPath}`);
  }
  if (from?.configMapKeyRef !== undefined) {
    const ref = from.configMapKeyRef;
    return keyValue('ConfigMap', sources.configMap(ns, ref.name), ref, where);
  }
  if (from?.secretKeyRef !== undefined) {
    const ref = from.secretKeyRef;
    return keyValue('Secret', sources.secret(ns, ref.name), ref, where);
  }
  if (from?.resourceFieldRef !== undefined) {
    const ref = from.resourceFieldRef;
    const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
    const target = ref.containerName === undefined ? container : all.find((c) => c.name === ref.containerName);
    const value = resourceValue(target?.resources, ref.resource, ref.divisor);
    if (value !== undefined) return value;
    throw new UserError('LOCAL_ENV_REFERENCE', `${where}: no value for resource ${ref.resource}`);
  }
  throw new UserError('LOCAL_ENV_REFERENCE', `${where}: valueFrom names no known source`);
}

function bulk(container: Container, pod: NamedPod, sources: EnvSources): Record<string, string> {
  const env: Record<string, string> = {};
  for (const from of container.envFrom ?? []) {
    const ref = from.configMapRef ?? from.secretRef;
    if (ref === undefined) continue;
    const find = from.configMapRef === undefined ? sources.secret : sources.configMap;
    const object = find(pod.metadata.namespace, ref.name);
    if (object === undefined && ref.optional !== true) {
      const where = `${pod.metadata.namespace}/${pod.metadata.name} container ${container.name} envFrom`;
      throw new UserError('LOCAL_ENV_REFERENCE', `${where}: ${ref.name} not found`);
    }
    for (const [k, v] of Object.entries(object === undefined ? {} : dataText(object)))
      env[`${from.prefix ?? ''}${k}`] = v;
  }
  return env;
}

/** Everything the container's own spec sets; what the runtime adds (PATH, HOME, HOSTNAME) is not in it. */
export function containerEnv(pod: NamedPod, container: Container, sources: EnvSources): Record<string, string> {
  const env = bulk(container, pod, sources);
  for (const v of container.env ?? []) {
    const value = v.valueFrom === undefined ? expand(v.value ?? '', env) : refValue(v, pod, container, sources);
    if (value !== undefined) env[v.name] = value;
  }
  return env;
}
