/** What the files of a configMap, secret, projected or downwardAPI volume hold. Pure but for the token source given. */
import { UserError } from '@chainmail/runtime';
import { dataText, fieldValue } from './container-env.ts';
import type { DataObject, DownwardItem, KeyToPath, NamedPod, ProjectedSource, Volume } from './pod.ts';

export interface VolumeFile {
  readonly content: Buffer;
  readonly mode: number;
  /** A token or secret: readable by the container's own user only, where there is one such user. */
  readonly secret: boolean;
}

export interface VolumeSources {
  readonly configMap: (namespace: string, name: string) => DataObject | undefined;
  readonly secret: (namespace: string, name: string) => DataObject | undefined;
  readonly token: (pod: NamedPod, audience: string | undefined, expirationSeconds: number) => string;
  readonly podIps: readonly string[];
  readonly hostIp: string;
}

const defaultFileMode = 0o644;
const defaultTokenSeconds = 3600;

/** A relative path without `..`, the only kind that may become a file below a volume. */
export function isSafePath(name: string): boolean {
  return name !== '' && !name.startsWith('/') && name.split('/').every((p) => p !== '' && p !== '.' && p !== '..');
}

function bytesOf(object: DataObject): Map<string, Buffer> {
  const out = new Map<string, Buffer>();
  if (object.kind === 'Secret') {
    for (const [k, v] of Object.entries(object.data ?? {})) out.set(k, Buffer.from(v, 'base64'));
    for (const [k, v] of Object.entries(object.stringData ?? {})) out.set(k, Buffer.from(v));
    return out;
  }
  for (const [k, v] of Object.entries(dataText(object))) out.set(k, Buffer.from(v));
  for (const [k, v] of Object.entries(object.binaryData ?? {})) out.set(k, Buffer.from(v, 'base64'));
  return out;
}

interface Selection {
  readonly kind: string;
  readonly name: string;
  readonly items: readonly KeyToPath[] | undefined;
  readonly optional: boolean | undefined;
  readonly mode: number;
}

function dataFiles(object: DataObject | undefined, want: Selection): [string, VolumeFile][] {
  if (object === undefined) {
    if (want.optional === true) return [];
    throw new UserError('LOCAL_VOLUME_SOURCE', `${want.kind} ${want.name} not found`);
  }
  const all = bytesOf(object);
  const items = want.items ?? [...all.keys()].map((key): KeyToPath => ({ key, path: key }));
  return items.flatMap((item): [string, VolumeFile][] => {
    const content = all.get(item.key);
    if (content !== undefined) {
      return [[item.path, { content, mode: item.mode ?? want.mode, secret: want.kind === 'Secret' }]];
    }
    if (want.optional === true) return [];
    throw new UserError('LOCAL_VOLUME_SOURCE', `${want.kind} ${want.name} has no key ${item.key}`);
  });
}

function downwardFiles(
  items: readonly DownwardItem[] | undefined,
  pod: NamedPod,
  mode: number,
  sources: VolumeSources,
): [string, VolumeFile][] {
  return (items ?? []).map((item) => {
    const field = item.fieldRef?.fieldPath ?? '';
    const value = fieldValue(pod, field, sources.podIps, sources.hostIp);
    if (value === undefined) throw new UserError('LOCAL_VOLUME_SOURCE', `downwardAPI: unknown fieldPath '${field}'`);
    return [item.path, { content: Buffer.from(value), mode: item.mode ?? mode, secret: false }];
  });
}

function projectedFiles(
  source: ProjectedSource,
  pod: NamedPod,
  mode: number,
  sources: VolumeSources,
): [string, VolumeFile][] {
  const ns = pod.metadata.namespace;
  if (source.serviceAccountToken !== undefined) {
    const { path, audience, expirationSeconds = defaultTokenSeconds } = source.serviceAccountToken;
    const content = Buffer.from(sources.token(pod, audience, expirationSeconds));
    return [[path, { content, mode, secret: true }]];
  }
  if (source.configMap !== undefined) {
    const { name, items, optional } = source.configMap;
    return dataFiles(sources.configMap(ns, name), { kind: 'ConfigMap', name, items, optional, mode });
  }
  if (source.secret !== undefined) {
    const { name, items, optional } = source.secret;
    return dataFiles(sources.secret(ns, name), { kind: 'Secret', name, items, optional, mode });
  }
  return downwardFiles(source.downwardAPI?.items, pod, mode, sources);
}

function entriesOf(volume: Volume, pod: NamedPod, sources: VolumeSources): [string, VolumeFile][] {
  const ns = pod.metadata.namespace;
  if (volume.configMap !== undefined) {
    const { name, items, optional, defaultMode: mode = defaultFileMode } = volume.configMap;
    return dataFiles(sources.configMap(ns, name), { kind: 'ConfigMap', name, items, optional, mode });
  }
  if (volume.secret !== undefined) {
    const { secretName: name, items, optional, defaultMode: mode = defaultFileMode } = volume.secret;
    return dataFiles(sources.secret(ns, name), { kind: 'Secret', name, items, optional, mode });
  }
  if (volume.projected !== undefined) {
    const mode = volume.projected.defaultMode ?? defaultFileMode;
    return (volume.projected.sources ?? []).flatMap((s) => projectedFiles(s, pod, mode, sources));
  }
  const mode = volume.downwardAPI?.defaultMode ?? defaultFileMode;
  return downwardFiles(volume.downwardAPI?.items, pod, mode, sources);
}

/** Path below the volume to content. Throws UserError when a source is missing, so that the pod waits and says why. */
export function volumeFiles(volume: Volume, pod: NamedPod, sources: VolumeSources): Map<string, VolumeFile> {
  const files = new Map(entriesOf(volume, pod, sources));
  for (const name of files.keys()) {
    if (!isSafePath(name))
      throw new UserError('LOCAL_VOLUME_PATH', `volume ${volume.name}: '${name}' leaves the volume`);
  }
  return files;
}

/** The shortest token life a volume asks for, in seconds; undefined when it holds no token. */
export function tokenLifeSeconds(volume: Volume): number | undefined {
  const lives = (volume.projected?.sources ?? []).flatMap((s) =>
    s.serviceAccountToken === undefined ? [] : [s.serviceAccountToken.expirationSeconds ?? defaultTokenSeconds],
  );
  return lives.length === 0 ? undefined : Math.min(...lives);
}

/** True for volumes whose files come from objects and follow them. */
export const hasContent = (v: Volume): boolean =>
  v.configMap !== undefined || v.secret !== undefined || v.projected !== undefined || v.downwardAPI !== undefined;
