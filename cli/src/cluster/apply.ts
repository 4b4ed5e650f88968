/**
 * Server-side apply of the objects of an installation under our field manager. Invariant: fields of other managers are
 * left alone; one that both set is a conflict that is told, and taken over only when asked.
 */
import { diff, type KubeObject } from '@chainmail/kube';
import type { ApiClient } from '@chainmail/kube/cluster';
import { objectName } from '@chainmail/manifests';
import { UserError } from '@chainmail/runtime';
import { pathOf } from './paths.ts';

export const fieldManager = 'meshctl';

export type Outcome = 'changed' | 'created' | 'unchanged';

export interface Change {
  readonly object: KubeObject;
  readonly outcome: Outcome;
  /** `spec.replicas: 2 -> 3`, one for each field; empty for what is new or the same. */
  readonly fields: readonly string[];
}

export interface ApplyOptions {
  /** Ask what would happen, and change nothing. */
  readonly dryRun?: boolean;
  /** Take over fields that another manager has set. */
  readonly force?: boolean;
}

/** Bookkeeping of the API server, and what others write. */
const notOurs = ['managedFields', 'resourceVersion', 'generation', 'uid', 'creationTimestamp'] as const;

function comparable(object: KubeObject): unknown {
  const { metadata, status: _, ...rest } = object as KubeObject & { readonly status?: unknown };
  const kept = Object.entries(metadata).filter(([name]) => !notOurs.some((n) => n === name));
  return { ...rest, metadata: Object.fromEntries(kept) };
}

const longest = 100;
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > longest ? `${text.slice(0, longest)}...` : text;
}

function valueAt(object: unknown, pointer: string): unknown {
  return pointer
    .split('/')
    .slice(1)
    .map((s) => s.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>((o, key) => (o as Record<string, unknown> | undefined)?.[key], object);
}

/** What two lists or two texts of several lines do not share, as `-"old" +"new"`; the rest would hide it. */
function differingParts(before: unknown, after: unknown): string | undefined {
  const parts = (v: unknown): readonly string[] | undefined => {
    if (Array.isArray(v) && v.every((i) => typeof i === 'string')) return v;
    return typeof v === 'string' && v.includes('\n') ? v.split('\n') : undefined;
  };
  const [old, now] = [parts(before), parts(after)];
  if (old === undefined || now === undefined) return undefined;
  const [gone, fresh] = [old.filter((p) => !now.includes(p)), now.filter((p) => !old.includes(p))];
  return [...gone.map((p) => `-${shown(p)}`), ...fresh.map((p) => `+${shown(p)}`)].join(' ') || 'in another order';
}

/** What differs between two states of an object, in lines. Pure. */
export function changedFields(before: KubeObject, after: KubeObject): readonly string[] {
  const old = comparable(before);
  return diff(old, comparable(after)).map((operation) => {
    const name = operation.path.slice(1).replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~');
    if (operation.op === 'remove') return `${name}: ${shown(valueAt(old, operation.path))} -> removed`;
    if (operation.op === 'add') return `${name}: ${shown(operation.value)} added`;
    const was = valueAt(old, operation.path);
    return `${name}: ${differingParts(was, operation.value) ?? `${shown(was)} -> ${shown(operation.value)}`}`;
  });
}

function isConflict(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ApiError' && 'status' in error && error.status === 409;
}

export async function applyObject(api: ApiClient, object: KubeObject, options: ApplyOptions = {}): Promise<Change> {
  const path = pathOf(object);
  const before = await api.get(path);
  const query = {
    fieldManager,
    ...(options.force === true ? { force: true } : {}),
    ...(options.dryRun === true ? { dryRun: 'All' } : {}),
  };
  const contentType = 'application/apply-patch+yaml';
  const after = await api
    .request({ method: 'PATCH', path, query, body: object, contentType })
    .catch((error: unknown) => {
      if (!isConflict(error)) throw error;
      throw new UserError('APPLY_CONFLICT', `${objectName(object)}: ${error.message}`, {
        hint: 'somebody else set these fields; --force takes them over',
        cause: error,
      });
    });
  if (before === undefined) return { object, outcome: 'created', fields: [] };
  const fields = changedFields(before, after as KubeObject);
  return { object, outcome: fields.length === 0 ? 'unchanged' : 'changed', fields };
}

/** Deletes what is there. True when something was. */
export async function removeObject(api: ApiClient, path: string, dryRun = false): Promise<boolean> {
  if ((await api.get(path)) === undefined) return false;
  const query = { propagationPolicy: 'Background', ...(dryRun ? { dryRun: 'All' } : {}) };
  await api.request({ method: 'DELETE', path, query });
  return true;
}

/** Every object of a list, however long. */
export async function listAll(
  api: ApiClient,
  path: string,
  query: Readonly<Record<string, string>> = {},
): Promise<readonly KubeObject[]> {
  const all: KubeObject[] = [];
  let more: string | undefined;
  do {
    const page = await api.list(path, { ...query, limit: 500, ...(more === undefined ? {} : { continue: more }) });
    all.push(...(page.items ?? []));
    more = page.metadata?.continue || undefined;
  } while (more !== undefined);
  return all;
}
