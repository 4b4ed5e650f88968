/**
 * A google.protobuf.FieldMask applied to a message in JSON form. Invariant: a path is good or not by the descriptors
 * alone, as in protobuf's own FieldMaskUtil: it names fields as the proto does and goes on through single messages
 * only, never through a list, a map or an Any.
 */
import type { DescMessage } from '@bufbuild/protobuf';
import { isObject, type Json } from './redact.ts';

const anyType = 'google.protobuf.Any';

/** `a.b,c` as its paths. */
export const maskPaths = (mask: string): readonly string[] => mask.split(',').filter((p) => p !== '');

/** @returns undefined when the message has no such field */
export function maskedMessage(desc: DescMessage, value: Json, paths: readonly string[]): Json | undefined {
  const wanted = paths.map((p) => p.split('.'));
  return wanted.every((p) => isPath(desc, p)) ? trimmed(desc, value, wanted) : undefined;
}

/** The same for an entry of a dump, whose resource stands in an Any: paths go on in there, and must, as in Envoy. */
export function maskedEntry(
  desc: DescMessage,
  value: Json,
  paths: readonly string[],
  descOf: (typeUrl: string) => DescMessage | undefined,
): Json | undefined {
  const split = paths.map((path) => splitAtAny(desc, path));
  const field = split.find((s) => s.inner !== null)?.outer;
  const resource = isObject(value) && field !== undefined ? value[field] : undefined;
  if (!isObject(value) || field === undefined || resource === undefined || !isObject(resource)) {
    return maskedMessage(desc, value, paths);
  }
  const inner = descOf(String(resource['@type'] ?? ''));
  const wanted = split.flatMap((s) => (s.inner === null ? [] : [s.inner]));
  const trimmedResource = inner === undefined ? undefined : maskedMessage(inner, resource, wanted);
  if (trimmedResource === undefined) return undefined;
  const outer = split.map((s) => s.outer);
  return maskedMessage(desc, { ...value, [field]: trimmedResource }, outer);
}

function splitAtAny(desc: DescMessage, path: string): { readonly outer: string; readonly inner: string | null } {
  const [first = '', ...rest] = path.split('.');
  const field = desc.fields.find((f) => f.name === first);
  const isAny = field?.fieldKind === 'message' && field.message.typeName === anyType;
  return isAny ? { outer: first, inner: rest.join('.') } : { outer: path, inner: null };
}

function isPath(desc: DescMessage, path: readonly string[]): boolean {
  let at: DescMessage | undefined = desc;
  for (const name of path) {
    const field: DescMessage['fields'][number] | undefined = at?.fields.find((f) => f.name === name);
    if (field === undefined) return false;
    at = field.fieldKind === 'message' ? field.message : undefined;
  }
  return true;
}

function trimmed(desc: DescMessage, value: Json, paths: readonly (readonly string[])[]): Json {
  // A Duration, a Struct and their like have a JSON form that does not show their fields.
  const isWhole = desc.typeName.startsWith('google.protobuf.') || paths.some((p) => p.length === 0);
  if (isWhole || !isObject(value)) return value;
  const kept = Object.entries(value).flatMap(([key, v]): [string, Json][] => {
    if (key === '@type') return [[key, v]];
    const within = paths.filter(([first]) => first === key).map((p) => p.slice(1));
    if (within.length === 0) return [];
    const message = desc.fields.find((f) => f.name === key)?.message;
    return [[key, message === undefined ? v : trimmed(message, v, within)]];
  });
  return Object.fromEntries(kept);
}
