/**
 * Objects of an API server. Invariant: nothing is told before every kind has been listed once, since half a world
 * would take configuration away from agents; afterwards what was read stays until the server says otherwise.
 */
import { isRecord, type KindName, type KubeObject, type LoadedObject, objectKey, type Watch } from '@chainmail/kube';
import { type ApiClient, Reflector, type ReflectorFigures } from '@chainmail/kube/cluster';
import type { Clock, Logger, Timer } from '@chainmail/runtime';
import { kept } from './kept-fields.ts';
import type { Source } from './source.ts';

export interface KubeSourceOptions {
  readonly client: Pick<ApiClient, 'list' | 'watch'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** In [0, 1). */
  readonly random?: () => number;
}

/** What the server has of an object beside what it was told: for writing the status. */
export interface Live {
  readonly object: KubeObject;
  readonly version: string;
  readonly status: unknown;
}

export interface KubeSource extends Source {
  /** By `Kind/namespace/name`. */
  live(key: string): Live | undefined;
  /** Takes the answer to a status that was just written, ahead of its event. */
  took(key: string, live: Live): void;
  figures(): Readonly<Record<string, ReflectorFigures>>;
}

interface Entry {
  readonly loaded: LoadedObject;
  version: string;
  status: unknown;
}

const chainmail = '/apis/chainmail.dev/v1alpha1';

/** Kinds that others read: no part of the configuration, so they are not watched. */
type Unread = 'ServiceAccount' | 'ConfigMap' | 'Deployment';

interface List {
  readonly path: string;
  readonly fieldSelector?: string;
}

/** Where each kind is listed. A pod that has ended is in no world: the server need not send it. */
const lists: Readonly<Record<Exclude<KindName, Unread>, List>> = {
  Namespace: { path: '/api/v1/namespaces' },
  Pod: { path: '/api/v1/pods', fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed' },
  Service: { path: '/api/v1/services' },
  EndpointSlice: { path: '/apis/discovery.k8s.io/v1/endpointslices' },
  HTTPRoute: { path: '/apis/gateway.networking.k8s.io/v1/httproutes' },
  MeshPolicy: { path: `${chainmail}/meshpolicies` },
  SecurityPolicy: { path: `${chainmail}/securitypolicies` },
  BackendTrafficPolicy: { path: `${chainmail}/backendtrafficpolicies` },
};

/** Changes that come together are told together. */
const settleMs = 20;

const firstLine = (): number => 1;

/** Only these kinds have a status of ours. */
const reported: ReadonlySet<string> = new Set(['HTTPRoute', 'MeshPolicy', 'SecurityPolicy', 'BackendTrafficPolicy']);

function entryOf(raw: KubeObject): Entry {
  const object = kept(raw);
  const origin = { file: objectKey(raw), line: 1 };
  return {
    loaded: { object, origin, lineOf: firstLine },
    version: raw.metadata.resourceVersion ?? '',
    status: reported.has(raw.kind) ? (raw as { status?: unknown }).status : undefined,
  };
}

/** A new status alone is no change; it is taken over into the entry that stays. */
function isSame(held: Entry, next: Entry): boolean {
  if (JSON.stringify(held.loaded.object) !== JSON.stringify(next.loaded.object)) return false;
  held.version = next.version;
  held.status = next.status;
  return true;
}

/** A route of another controller's Gateway alone is none of ours, and must not be judged by us. */
function isOurs({ kind, ...fields }: KubeObject): boolean {
  if (kind !== 'HTTPRoute') return true;
  const spec = (fields as { spec?: unknown }).spec;
  const parents = isRecord(spec) ? spec['parentRefs'] : undefined;
  return Array.isArray(parents) && parents.some((p: unknown) => isRecord(p) && p['kind'] === 'Service');
}

export function kubeSource(options: KubeSourceOptions): KubeSource {
  const { client, clock, log } = options;
  const random = options.random === undefined ? {} : { random: options.random };
  let onChange = (): void => {};
  const byKind = new Map(
    Object.entries(lists).map(([kind, list]) => {
      const common = { client, clock, log, isSame, project: entryOf, ...random, ...list };
      return [kind, new Reflector<Entry>({ ...common, onChange: () => onChange() })];
    }),
  );
  const reflectors = [...byKind.values()];
  const entry = (key: string): Entry | undefined => {
    const [kind = '', ...name] = key.split('/');
    return byKind.get(kind)?.get(name.join('/'));
  };
  return {
    start(tell): Watch {
      let timer: Timer | undefined;
      const publish = (): void => {
        timer = undefined;
        const all = reflectors.flatMap((r) => r.values());
        tell({ objects: all.map((e) => e.loaded).filter((l) => isOurs(l.object)), problems: [] });
      };
      onChange = () => {
        if (timer === undefined && reflectors.every((r) => r.synced)) timer = clock.after(settleMs, publish);
      };
      for (const r of reflectors) r.start();
      return {
        close() {
          timer?.cancel();
          for (const r of reflectors) r.stop();
        },
      };
    },
    live(key) {
      const found = entry(key);
      return found && { object: found.loaded.object, version: found.version, status: found.status };
    },
    took(key, { version, status }) {
      const found = entry(key);
      if (found === undefined) return;
      found.version = version;
      found.status = status;
    },
    figures: () => Object.fromEntries([...byKind].map(([kind, r]) => [kind, r.figures])),
  };
}
