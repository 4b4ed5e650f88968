/**
 * The difference of two JSON values as RFC 6902 operations, and their application. Lists of named items are compared
 * by name, so that adding a container is one `add`, not a new list.
 */
import { isDeepStrictEqual } from 'node:util';

export type Json = unknown;

export type PatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: Json }
  | { readonly op: 'remove'; readonly path: string };

/** One segment of a JSON Pointer (RFC 6901): `~` before `/`. */
export function escapeSegment(segment: string): string {
  return segment.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** @throws Error on a pointer that does not begin with `/` */
export function pointerSegments(pointer: string): readonly string[] {
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) throw new Error(`not a JSON Pointer: ${pointer}`);
  return pointer
    .slice(1)
    .split('/')
    .map((s) => s.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** Operations that make `before` into `after`, in the order in which they must be applied. */
export function diff(before: Json, after: Json, path = ''): readonly PatchOperation[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (isObject(before) && isObject(after)) return diffObjects(before, after, path);
  if (Array.isArray(before) && Array.isArray(after)) return diffLists(before, after, path);
  return [{ op: 'replace', path, value: after }];
}

type Fields = Readonly<Record<string, Json>>;

function isObject(value: Json): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function diffObjects(before: Fields, after: Fields, path: string): readonly PatchOperation[] {
  const at = (key: string): string => `${path}/${escapeSegment(key)}`;
  const has = (o: Fields, key: string): boolean => Object.hasOwn(o, key) && o[key] !== undefined;
  const removed = Object.keys(before).filter((k) => has(before, k) && !has(after, k));
  return [
    ...removed.map((k): PatchOperation => ({ op: 'remove', path: at(k) })),
    ...Object.keys(after)
      .filter((k) => has(after, k))
      .flatMap((k): readonly PatchOperation[] =>
        has(before, k) ? diff(before[k], after[k], at(k)) : [{ op: 'add', path: at(k), value: after[k] }],
      ),
  ];
}

function diffLists(before: readonly Json[], after: readonly Json[], path: string): readonly PatchOperation[] {
  const [oldNames, newNames] = [names(before), names(after)];
  const kept = oldNames?.filter((n) => newNames?.includes(n));
  const sameOrder = isDeepStrictEqual(
    kept,
    newNames?.filter((n) => oldNames?.includes(n)),
  );
  if (oldNames === undefined || newNames === undefined || !sameOrder) return [{ op: 'replace', path, value: after }];
  const gone = oldNames.flatMap((n, i) => (newNames.includes(n) ? [] : [i])).reverse();
  return [
    ...gone.map((i): PatchOperation => ({ op: 'remove', path: `${path}/${i}` })),
    ...newNames.flatMap((n, i): readonly PatchOperation[] => {
      const old = oldNames.indexOf(n);
      return old < 0
        ? [{ op: 'add', path: `${path}/${i}`, value: after[i] }]
        : diff(before[old], after[i], `${path}/${i}`);
    }),
  ];
}

/** The names of all items, or undefined when one has none or two share one. */
function names(list: readonly Json[]): readonly string[] | undefined {
  const all = list.map((item) => (isObject(item) ? item['name'] : undefined));
  const usable = all.every((n) => typeof n === 'string') && new Set(all).size === all.length;
  return usable ? all : undefined;
}

const operations: readonly string[] = ['add', 'replace', 'remove'] satisfies PatchOperation['op'][];

/** A patched copy. @throws Error where an operation does not fit the document, or is none of ours */
export function applyPatch(document: Json, patch: readonly PatchOperation[]): Json {
  const root = { document: structuredClone(document) };
  for (const operation of patch) applyOne(root, operation);
  return root.document;
}

function applyOne(root: { document: Json }, operation: PatchOperation): void {
  if (!operations.includes(operation.op)) throw new Error(`patch operation ${operation.op} is not known`);
  const segments = ['document', ...pointerSegments(operation.path)];
  const key = segments.pop() ?? '';
  const parent = segments.reduce<Json>((node, s) => child(node, s, operation.path), root);
  if (Array.isArray(parent)) editList(parent, key, operation);
  else if (isObject(parent)) editObject(parent as Record<string, Json>, key, operation);
  else throw misfit(operation.path);
}

function child(node: Json, segment: string, path: string): Json {
  const next = Array.isArray(node)
    ? node[indexOf(segment)]
    : isObject(node) && Object.hasOwn(node, segment)
      ? node[segment]
      : undefined;
  if (next === undefined) throw misfit(path);
  return next;
}

/** RFC 6901, 4: digits without a leading zero; anything else is no place in a list. */
const indexOf = (segment: string): number => (/^(0|[1-9]\d{0,8})$/.test(segment) ? Number(segment) : -1);

function editList(list: Json[], key: string, operation: PatchOperation): void {
  const index = key === '-' ? list.length : indexOf(key);
  const last = operation.op === 'add' ? list.length : list.length - 1;
  if (!Number.isInteger(index) || index < 0 || index > last) throw misfit(operation.path);
  if (operation.op === 'remove') list.splice(index, 1);
  else list.splice(index, operation.op === 'add' ? 0 : 1, structuredClone(operation.value));
}

function editObject(object: Record<string, Json>, key: string, operation: PatchOperation): void {
  if (operation.op !== 'add' && !Object.hasOwn(object, key)) throw misfit(operation.path);
  if (operation.op === 'remove') delete object[key];
  // Assigning to `__proto__` would change the object's prototype instead.
  else Object.defineProperty(object, key, { ...ownField, value: structuredClone(operation.value) });
}

const ownField = { writable: true, enumerable: true, configurable: true } as const;

function misfit(path: string): Error {
  return new Error(`the patch does not fit the document at ${path}`);
}
