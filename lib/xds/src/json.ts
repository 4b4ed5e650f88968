/**
 * Envoy's JSON for protobuf messages. The value is first walked beside the descriptor, which gives every error the
 * path of its field and matches enum names without regard to case, as Envoy does; protobuf-es then converts it.
 * Invariant: nothing is dropped: an unknown field, type or enum value is an error.
 */
import type { DescEnum, DescField, DescMessage, JsonValue, MessageShape } from '@bufbuild/protobuf';
import { typeNameOf } from './any.ts';
import { FieldError, joinPath } from './field-error.ts';
import { checkScalar, type ScalarKind, wrapperScalars } from './json-scalar.ts';
import { lateProtobuf, registry } from './registry.ts';

/** Protobuf's own recursion limit. */
const maxDepth = 100;

/**
 * @param value what JSON.parse or a YAML parser gives
 * @param path where the value stands, to begin error paths with
 * @throws FieldError
 */
export function parseEnvoyJson<D extends DescMessage>(schema: D, value: unknown, path = ''): MessageShape<D> {
  const json = message(schema, value, path, 0);
  try {
    return lateProtobuf().fromJson(schema, json, { registry });
  } catch (error) {
    throw new FieldError(path, error instanceof Error ? error.message : String(error));
  }
}

function message(desc: DescMessage, value: unknown, path: string, depth: number): JsonValue {
  if (depth > maxDepth) throw new FieldError(path, `nested deeper than ${maxDepth} messages`);
  if (desc.typeName === 'google.protobuf.Any') return any(value, path, depth);
  if (desc.typeName.startsWith('google.protobuf.')) return wellKnown(desc, value, path);
  const object = asObject(value, path, desc.typeName);
  const fields = fieldsByName(desc);
  const seen = new Map<DescField | string, string>();
  const out: Record<string, JsonValue> = {};
  for (const [key, v] of Object.entries(object)) {
    const field = fields.get(key);
    if (field === undefined) throw new FieldError(joinPath(path, key), `unknown field in ${desc.typeName}`);
    if (v === null && field.message?.typeName !== 'google.protobuf.Value') continue;
    const at = joinPath(path, field.name);
    refuseSecond(field, seen, at);
    out[field.jsonName] = fieldValue(field, v, at, depth);
  }
  return out;
}

/** A field given as snake_case and camelCase, or two members of one oneof. */
function refuseSecond(field: DescField, seen: Map<DescField | string, string>, at: string): void {
  if (seen.has(field)) throw new FieldError(at, 'given twice, as snake_case and as camelCase');
  seen.set(field, field.name);
  if (field.oneof === undefined) return;
  const other = seen.get(field.oneof.name);
  if (other !== undefined) throw new FieldError(at, `${other} is set already; only one of ${field.oneof.name} may be`);
  seen.set(field.oneof.name, field.name);
}

function fieldValue(field: DescField, value: unknown, path: string, depth: number): JsonValue {
  switch (field.fieldKind) {
    case 'list':
      // As protobuf's own parser takes it, and older configurations have it: one item need not be in a list.
      if (!Array.isArray(value)) return [single(field, value, path, depth)];
      return value.map((item, i) => single(field, item, `${path}[${i}]`, depth));
    case 'map': {
      const entries = Object.entries(asObject(value, path, 'a map'));
      return Object.fromEntries(entries.map(([k, v]) => [k, single(field, v, `${path}[${k}]`, depth)]));
    }
    default:
      return single(field, value, path, depth);
  }
}

function single(field: DescField, value: unknown, path: string, depth: number): JsonValue {
  if (field.message !== undefined) return message(field.message, value, path, depth + 1);
  if (field.enum !== undefined) return enumValue(field.enum, value, path);
  return checkScalar(field.scalar as ScalarKind, value, path);
}

function enumValue(desc: DescEnum, value: unknown, path: string): JsonValue {
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  if (typeof value !== 'string')
    throw new FieldError(path, `expected a name of ${desc.typeName}, got ${nameOf(value)}`);
  const wanted = value.toLowerCase();
  const found = desc.values.find((v) => v.name.toLowerCase() === wanted);
  if (found !== undefined) return found.name;
  throw new FieldError(
    path,
    `unknown value '${value}' of ${desc.typeName}: ${desc.values.map((v) => v.name).join(', ')}`,
  );
}

function any(value: unknown, path: string, depth: number): JsonValue {
  const object = asObject(value, path, 'google.protobuf.Any');
  const { '@type': typeUrl, ...rest } = object;
  if (typeof typeUrl !== 'string') throw new FieldError(path, 'missing "@type"');
  const desc = registry.getMessage(typeNameOf(typeUrl));
  if (desc === undefined) throw new FieldError(path, `unknown type '${typeUrl}'`, { code: 'CONFIG_UNSUPPORTED' });
  // Empty has no JSON form of its own, and is written like any message.
  if (desc.typeName.startsWith('google.protobuf.') && desc.typeName !== 'google.protobuf.Empty') {
    return { '@type': typeUrl, value: wellKnown(desc, rest['value'], joinPath(path, 'value')) };
  }
  const inner = message(desc, rest, path, depth + 1);
  return { '@type': typeUrl, ...(inner as { [key: string]: JsonValue }) };
}

/** Wrappers, Duration, Struct and the like have JSON forms of their own; each is checked alone, to know its path. */
function wellKnown(desc: DescMessage, value: unknown, path: string): JsonValue {
  const scalar = wrapperScalars[desc.typeName];
  if (scalar !== undefined) return checkScalar(scalar, value, path);
  if (desc.typeName === 'google.protobuf.Duration' && !/^-?\d{1,12}(\.\d{1,9})?s$/.test(String(value))) {
    throw new FieldError(path, `expected a duration such as '1.5s', got ${JSON.stringify(value)}`);
  }
  try {
    lateProtobuf().fromJson(desc, value as JsonValue);
  } catch {
    throw new FieldError(path, `${JSON.stringify(value)} is not a ${desc.typeName}`);
  }
  return value as JsonValue;
}

function asObject(value: unknown, path: string, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new FieldError(path, `expected an object (${what}), got ${nameOf(value)}`);
}

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : JSON.stringify(value);
}

const namesOfType = new WeakMap<DescMessage, ReadonlyMap<string, DescField>>();

function fieldsByName(desc: DescMessage): ReadonlyMap<string, DescField> {
  let names = namesOfType.get(desc);
  if (names === undefined) {
    names = new Map(desc.fields.flatMap((f) => [[f.name, f] as const, [f.jsonName, f] as const]));
    namesOfType.set(desc, names);
  }
  return names;
}
