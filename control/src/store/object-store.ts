/**
 * The objects that hold now. Invariant: an object that is broken keeps the last state in which it was sound, also
 * when the whole file or folder around it can no longer be read; it says so in its record.
 */
import {
  decodeObject,
  type FileProblem,
  hides,
  isRecord,
  type KindName,
  type KnownObject,
  type Loaded,
  type LoadedObject,
  type ObjectProblem,
  type Origin,
  objectKey,
  withNamespace,
} from '@chainmail/kube';
import type { BrokenMeshPolicy, BrokenPolicies, BrokenSecurityPolicy } from '../model/policy-index.ts';

/** What became of one object. */
export interface ObjectRecord {
  readonly key: string;
  readonly kind: KindName;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly origin: Origin;
  /** Which version of its spec this is about, where an API server counts them. */
  readonly generation: number | undefined;
  /** Which object of that name, where an API server tells them apart. */
  readonly uid: string | undefined;
  /** Empty when it was accepted. */
  readonly problems: readonly ObjectProblem[];
  /** Broken, and an earlier state of it holds. */
  readonly keepsLastGood: boolean;
  /** A MeshPolicy about authorization that is broken and never was sound. */
  readonly deniesMeanwhile: boolean;
}

export interface StoreState {
  readonly objects: readonly KnownObject[];
  readonly records: readonly ObjectRecord[];
  /** Files and documents that are no objects. */
  readonly fileProblems: readonly FileProblem[];
  /** Policies that are broken and never were sound, where they would have said who may do what. */
  readonly broken: BrokenPolicies;
}

interface Good {
  readonly object: KnownObject;
  readonly origin: Origin;
}

type Fresh = { readonly record: ObjectRecord; readonly object: KnownObject | undefined; readonly loaded: LoadedObject };

/** Published by whoever runs the pods, as against the text a user wrote of the same object. */
function isLive(object: KnownObject): boolean {
  if (object.kind === 'Service') return (object.spec.clusterIP ?? '') !== '';
  return object.kind === 'Pod' && object.status !== undefined;
}

const policyKinds: ReadonlySet<KindName> = new Set([
  'MeshPolicy',
  'SecurityPolicy',
  'BackendTrafficPolicy',
  'HTTPRoute',
]);

function freshOf(loaded: LoadedObject): Fresh | undefined {
  const decoded = decodeObject(loaded);
  if (decoded.outcome === 'foreign') return undefined;
  const { metadata, kind } = withNamespace(loaded.object);
  const record: ObjectRecord = {
    key: objectKey(withNamespace(loaded.object)),
    kind: kind as KindName,
    namespace: metadata.namespace,
    name: metadata.name ?? `${metadata.generateName}*`,
    origin: loaded.origin,
    generation: metadata.generation,
    uid: metadata.uid,
    problems: decoded.outcome === 'invalid' ? decoded.problems : [],
    keepsLastGood: false,
    deniesMeanwhile: false,
  };
  return { record, object: decoded.outcome === 'known' ? decoded.object : undefined, loaded };
}

/** Of two texts of one object: the live one, else the later source's; of two policies the first, and the user is told. */
function prefer(held: Fresh, next: Fresh): Fresh {
  if (policyKinds.has(held.record.kind)) {
    const { file, line } = next.record.origin;
    const reason = `is also defined in ${file}:${line}; this one holds: remove one of them`;
    const problem: ObjectProblem = { origin: next.record.origin, path: '', reason };
    return { ...held, record: { ...held.record, problems: [...held.record.problems, problem] } };
  }
  if (held.object !== undefined && isLive(held.object) && !(next.object !== undefined && isLive(next.object)))
    return held;
  return next;
}

/** It was to say who may come in: until it can be read, nobody may. */
function isAboutAuthorization(loaded: LoadedObject): boolean {
  const spec = (loaded.object as { spec?: unknown }).spec;
  return !isRecord(spec) || 'authorization' in spec;
}

/** The Services that a broken policy names, as far as that can be read. */
function readableTargets(loaded: LoadedObject): string[] {
  const spec = (loaded.object as { spec?: unknown }).spec;
  const refs = isRecord(spec) && Array.isArray(spec['targetRefs']) ? spec['targetRefs'] : [];
  return refs.flatMap((r: unknown) => (isRecord(r) && typeof r['name'] === 'string' ? [r['name']] : []));
}

export class ObjectStore {
  #good = new Map<string, Good>();
  /** Sources hand over the same object while nothing about it changed: it is checked once. */
  readonly #checked = new WeakMap<LoadedObject, Fresh | 'foreign'>();

  apply(loaded: Loaded): StoreState {
    const fresh = new Map<string, Fresh>();
    for (const one of loaded.objects) {
      const next = this.#check(one);
      if (next === 'foreign') continue;
      const held = fresh.get(next.record.key);
      fresh.set(next.record.key, held === undefined ? next : prefer(held, next));
    }
    const good = new Map<string, Good>();
    const records: ObjectRecord[] = [];
    const security: BrokenSecurityPolicy[] = [];
    const mesh: BrokenMeshPolicy[] = [];
    for (const [key, { record, object, loaded: text }] of fresh) {
      const earlier = this.#good.get(key);
      if (object !== undefined) good.set(key, { object, origin: record.origin });
      else if (earlier !== undefined) good.set(key, earlier);
      else if (record.kind === 'SecurityPolicy') security.push(brokenPolicy(record, text));
      const neverSound = object === undefined && earlier === undefined;
      const deniesMeanwhile = neverSound && record.kind === 'MeshPolicy' && isAboutAuthorization(text);
      if (deniesMeanwhile) mesh.push({ namespace: record.namespace ?? 'default', name: record.name });
      records.push({ ...record, keepsLastGood: object === undefined && !neverSound, deniesMeanwhile });
    }
    for (const [key, held] of this.#good) {
      if (fresh.has(key)) continue;
      const problem = loaded.problems.find((p) => hides(p, held.origin.file));
      if (problem === undefined) continue; // deleted
      good.set(key, held);
      records.push(lostRecord(key, held, problem));
    }
    this.#good = good;
    const objects = [...good.values()].map((g) => g.object);
    return { objects, records, fileProblems: loaded.problems, broken: { security, mesh } };
  }

  #check(loaded: LoadedObject): Fresh | 'foreign' {
    const known = this.#checked.get(loaded);
    if (known !== undefined) return known;
    const fresh = freshOf(loaded) ?? 'foreign';
    this.#checked.set(loaded, fresh);
    return fresh;
  }
}

function brokenPolicy(record: ObjectRecord, text: LoadedObject): BrokenSecurityPolicy {
  return { namespace: record.namespace ?? 'default', name: record.name, services: readableTargets(text) };
}

/** The record of an object whose file or folder became unreadable. */
function lostRecord(key: string, held: Good, problem: FileProblem): ObjectRecord {
  const { metadata, kind } = held.object;
  return {
    key,
    kind,
    namespace: 'namespace' in metadata ? metadata.namespace : undefined,
    name: metadata.name,
    origin: held.origin,
    generation: metadata.generation,
    uid: metadata.uid,
    problems: [{ origin: problem.origin, path: '', reason: `cannot be read now: ${problem.reason}` }],
    keepsLastGood: true,
    deniesMeanwhile: false,
  };
}
