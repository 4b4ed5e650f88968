/** Applies a JSON Patch (RFC 6902) of an admission response: add, remove, replace, test, copy, move. Pure. */
import { UserError } from '@chainmail/runtime';

export interface PatchOperation {
  readonly op: string;
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

type Node = Record<string, unknown> | unknown[];

const broken = (o: PatchOperation, why: string): UserError =>
  new UserError('LOCAL_ADMISSION_PATCH', `patch ${o.op} ${o.path}: ${why}`);

function tokens(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((t) => t.replaceAll('~1', '/').replaceAll('~0', '~'));
}

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null;

function get(root: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((at, key) => {
    if (!isNode(at)) return undefined;
    return Array.isArray(at) ? at[Number(key)] : at[key];
  }, root);
}

function parentOf(root: unknown, o: PatchOperation): { readonly parent: Node; readonly key: string } {
  const path = tokens(o.path);
  const key = path.at(-1);
  const parent = get(root, path.slice(0, -1));
  if (key === undefined || !isNode(parent)) throw broken(o, 'its parent does not exist');
  if (key === '__proto__') throw broken(o, 'not a field');
  return { parent, key };
}

function add(root: unknown, o: PatchOperation, value: unknown): void {
  const { parent, key } = parentOf(root, o);
  if (!Array.isArray(parent)) {
    parent[key] = value;
    return;
  }
  const at = key === '-' ? parent.length : Number(key);
  if (!Number.isInteger(at) || at < 0 || at > parent.length) throw broken(o, 'no such index');
  parent.splice(at, 0, value);
}

function remove(root: unknown, o: PatchOperation): unknown {
  const { parent, key } = parentOf(root, o);
  const old = get(parent, [key]);
  if (old === undefined) throw broken(o, 'nothing is there');
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
  return old;
}

function applyOne(root: unknown, o: PatchOperation): void {
  const from = { ...o, path: o.from ?? '' };
  switch (o.op) {
    case 'replace':
      remove(root, o);
      add(root, o, structuredClone(o.value));
      break;
    case 'add':
      add(root, o, structuredClone(o.value));
      break;
    case 'remove':
      remove(root, o);
      break;
    case 'move':
      add(root, o, remove(root, from));
      break;
    case 'copy':
      add(root, o, structuredClone(get(root, tokens(from.path))));
      break;
    case 'test':
      if (JSON.stringify(get(root, tokens(o.path))) !== JSON.stringify(o.value)) throw broken(o, 'the test fails');
      break;
    default:
      throw broken(o, 'unknown operation');
  }
}

/** A changed copy; the input stays as it is. Throws UserError when an operation cannot be applied. */
export function applyPatch<T>(document: T, operations: readonly PatchOperation[]): T {
  const copy = structuredClone(document);
  for (const o of operations) applyOne(copy, o);
  return copy;
}
