/** The objects of a fake API server, with versions and a history to watch; no HTTP here. */
import { applyPatch, type PatchOperation } from '../../json-patch.ts';
import type { KubeObject } from '../../object.ts';
import { isRecord } from '../../schema/schema.ts';

/** One resource path taken apart. */
export interface Place {
  /** `/api/v1` or `/apis/GROUP/VERSION`. */
  readonly base: string;
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

export interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly version: number;
  readonly place: Place;
  readonly object: KubeObject;
}

export class Refused extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

export function placeOf(path: string): Place | undefined {
  const m = /^(\/api\/v1|\/apis\/[^/]+\/[^/]+)\/(.+)$/.exec(path);
  if (m === null) return undefined;
  const [base = '', rest = ''] = m.slice(1);
  const parts = rest.split('/');
  const inNamespace = parts[0] === 'namespaces' && parts.length > 2;
  const [resource = '', name, subresource] = inNamespace ? parts.slice(2) : parts;
  return { base, resource, namespace: inNamespace ? parts[1] : undefined, name, subresource };
}

/** A merge patch (RFC 7386), which is what server-side apply comes to for fields that only one manager owns. */
function merged(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const out: Record<string, unknown> = { ...(isRecord(target) ? target : {}) };
  for (const [k, v] of Object.entries(patch)) {
    if (v === null) delete out[k];
    else out[k] = merged(out[k], v);
  }
  return out;
}

const listKey = ({ base, resource }: Place): string => `${base}/${resource}`;
const keyOf = (p: Place): string => `${listKey(p)}|${p.namespace ?? ''}|${p.name}`;

/** `a=b`, `a`, `!a`, joined by commas. */
export function fitsLabels(object: KubeObject, selector: string): boolean {
  const labels = object.metadata.labels ?? {};
  return selector.split(',').every((term) => {
    if (term.startsWith('!')) return labels[term.slice(1)] === undefined;
    const [key = '', value] = term.split('=');
    return value === undefined ? labels[key] !== undefined : labels[key] === value;
  });
}

/** `metadata.name=a,status.phase!=b`. */
export function fitsFields(object: KubeObject, selector: string): boolean {
  return selector.split(',').every((term) => {
    const [, path = '', not, wanted] = /^([\w.]+)(!?)=(.*)$/.exec(term) ?? [];
    const value = path.split('.').reduce<unknown>((o, key) => (isRecord(o) ? o[key] : undefined), object);
    return (value === wanted) === (not === '');
  });
}

export class FakeObjects {
  readonly #objects = new Map<string, { place: Place; object: KubeObject }>();
  #history: Change[] = [];
  #version = 1;
  #uid = 0;
  /** Versions up to this one are gone from the history. */
  compacted = 0;
  onChange: (change: Change) => void = () => {};

  get version(): number {
    return this.#version;
  }

  list(place: Place): KubeObject[] {
    return [...this.#objects.values()]
      .filter((o) => listKey(o.place) === listKey(place))
      .filter((o) => place.namespace === undefined || o.place.namespace === place.namespace)
      .map((o) => o.object);
  }

  since(version: number): readonly Change[] {
    if (version < this.compacted) throw new Refused(410, 'Expired', `too old resource version: ${version}`);
    return this.#history.filter((c) => c.version > version);
  }

  /** Forgets the history: who watches from before must list again. */
  compact(): void {
    this.compacted = this.#version;
    this.#history = [];
  }

  get(place: Place): KubeObject {
    const found = this.#objects.get(keyOf(place));
    if (found === undefined) throw new Refused(404, 'NotFound', `${place.resource} "${place.name}" not found`);
    return found.object;
  }

  create(list: Place, body: KubeObject): KubeObject {
    const name = body.metadata.name ?? `${body.metadata.generateName}${++this.#uid}`;
    const place = { ...list, name };
    if (this.#objects.has(keyOf(place))) {
      throw new Refused(409, 'AlreadyExists', `${place.resource} "${name}" already exists`);
    }
    const namespace = list.namespace === undefined ? {} : { namespace: list.namespace };
    const metadata = { uid: `uid-${++this.#uid}`, generation: 1, ...body.metadata, name, ...namespace };
    return this.#store('ADDED', place, { ...body, metadata });
  }

  replace(place: Place, body: KubeObject): KubeObject {
    const held = this.get(place);
    const { resourceVersion } = body.metadata;
    if (resourceVersion !== undefined && resourceVersion !== held.metadata.resourceVersion) {
      throw new Refused(409, 'Conflict', `the object has been modified; please apply your changes to the latest`);
    }
    if (place.subresource === 'status') {
      return this.#store('MODIFIED', place, { ...held, ...('status' in body ? { status: body.status } : {}) });
    }
    const { uid, name, namespace } = held.metadata;
    const metadata = { ...body.metadata, uid, name, ...(namespace === undefined ? {} : { namespace }) };
    return this.#store('MODIFIED', place, { ...body, metadata } as KubeObject);
  }

  patch(place: Place, contentType: string, body: unknown): KubeObject {
    if (contentType.startsWith('application/apply-patch')) {
      const { namespace } = place;
      if (!this.#objects.has(keyOf(place))) return this.create({ ...place, ...{ namespace } }, body as KubeObject);
      return this.replace(place, merged(this.get(place), body) as KubeObject);
    }
    const held = this.get(place);
    if (contentType.startsWith('application/json-patch')) {
      const [first, ...rest] = body as [{ op: string; path: string; value: unknown }, ...PatchOperation[]];
      if (first.op !== 'test') return this.replace(place, applyPatch(held, body as PatchOperation[]) as KubeObject);
      if (first.path !== '/metadata/resourceVersion') {
        throw new Refused(400, 'BadRequest', 'this fake tests nothing but the version');
      }
      if (first.value !== held.metadata.resourceVersion) throw new Refused(422, 'Invalid', 'the test failed');
      return this.replace(place, applyPatch(held, rest) as KubeObject);
    }
    return this.replace(place, merged(held, body) as KubeObject);
  }

  remove(place: Place): KubeObject {
    const held = this.get(place);
    this.#objects.delete(keyOf(place));
    return this.#note('DELETED', place, held);
  }

  #store(type: Change['type'], place: Place, object: KubeObject): KubeObject {
    const stored = this.#note(type, place, object);
    this.#objects.set(keyOf(place), { place: { ...place, subresource: undefined }, object: stored });
    return stored;
  }

  #note(type: Change['type'], place: Place, object: KubeObject): KubeObject {
    const version = ++this.#version;
    const metadata = { ...object.metadata, resourceVersion: String(version) };
    const stored = structuredClone({ ...object, metadata });
    const change = { type, version, place, object: stored };
    this.#history.push(change);
    this.onChange(change);
    return stored;
  }
}
