/**
 * Envoy's JSON for protobuf messages, made while the value is walked beside the descriptor: every error has the path of its
 * field, and enum names match without regard to case, as in Envoy. An Any keeps the message that it was made of, and its
 * bytes are made when somebody wants them.
 * Invariant: nothing is dropped: an unknown field, type or enum value is an error.
 */
import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  type Message,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { forgetContent, rememberUnpacked, typeNameOf } from './any.ts';
import { FieldError, joinPath } from './field-error.ts';
import { enumNumber, mapKey, readScalar, type ScalarKind, wrapperScalars } from './json-scalar.ts';
import { checkJsonObject, isWellKnown, wellKnown } from './json-well-known.ts';
import { messageNamed, registry } from './registry.ts';

/** Protobuf's own recursion limit. */
const maxDepth = 100;

type Fields = Record<string, unknown>;

/**
 * @param value what JSON.parse or a YAML parser gives
 * @param path where the value stands, to begin error paths with
 * @throws FieldError
 */
export function parseEnvoyJson<D extends DescMessage>(schema: D, value: unknown, path = ''): MessageShape<D> {
  return message(schema, value, path, 0) as MessageShape<D>;
}

function message(desc: DescMessage, value: unknown, path: string, depth: number): Message {
  if (depth > maxDepth) throw new FieldError(path, `nested deeper than ${maxDepth} messages`);
  if (desc.typeName === 'google.protobuf.Any') return any(desc, value, path, depth);
  if (isWellKnown(desc)) return wellKnown(desc, value, path);
  const object = asObject(value, path, desc.typeName);
  const fields = fieldsByName(desc);
  const seen = new Map<DescField | string, string>();
  const made = create(desc);
  for (const [key, v] of Object.entries(object)) {
    const field = fields.get(key);
    if (field === undefined) throw new FieldError(joinPath(path, key), `unknown field in ${desc.typeName}`);
    if (v === null && field.message?.typeName !== 'google.protobuf.Value') continue;
    const at = joinPath(path, field.name);
    refuseSecond(field, seen, at);
    put(made as unknown as Fields, field, fieldValue(field, v, at, depth));
  }
  return made;
}

function put(made: Fields, field: DescField, value: unknown): void {
  if (field.oneof === undefined) made[field.localName] = value;
  else made[field.oneof.localName] = { case: field.localName, value };
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

function fieldValue(field: DescField, value: unknown, path: string, depth: number): unknown {
  switch (field.fieldKind) {
    case 'list':
      // As protobuf's own parser takes it, and older configurations have it: one item need not be in a list.
      if (!Array.isArray(value)) return [single(field, value, path, depth)];
      return value.map((item, i) => single(field, item, `${path}[${i}]`, depth));
    case 'map': {
      const entries = Object.entries(asObject(value, path, 'a map'));
      const { mapKey: kind } = field;
      return Object.fromEntries(
        entries.map(([k, v]) => [mapKey(kind, k, `${path}[${k}]`), single(field, v, `${path}[${k}]`, depth)]),
      );
    }
    default:
      return single(field, value, path, depth);
  }
}

function single(field: DescField, value: unknown, path: string, depth: number): unknown {
  if (field.message !== undefined) return inMessage(field, field.message, value, path, depth);
  if (field.enum !== undefined) return enumValue(field.enum, value, path);
  return readScalar(field.scalar as ScalarKind, value, path, 'longAsString' in field && field.longAsString);
}

/** As protobuf-es keeps them: a wrapper alone in its field is what it wraps, and a Struct is a plain object. */
function inMessage(field: DescField, type: DescMessage, value: unknown, path: string, depth: number): unknown {
  const wrapped = wrapperScalars[type.typeName];
  if (wrapped !== undefined && field.fieldKind === 'message' && field.oneof === undefined) {
    return readScalar(wrapped, value, path);
  }
  if (type.typeName === 'google.protobuf.Struct') return checkJsonObject(value, path);
  return message(type, value, path, depth + 1);
}

function enumValue(desc: DescEnum, value: unknown, path: string): number {
  if (typeof value === 'number') return enumNumber(desc, value, path);
  if (typeof value !== 'string')
    throw new FieldError(path, `expected a name of ${desc.typeName}, got ${nameOf(value)}`);
  const wanted = value.toLowerCase();
  const found = desc.values.find((v) => v.name.toLowerCase() === wanted);
  if (found !== undefined) return found.number;
  throw new FieldError(
    path,
    `unknown value '${value}' of ${desc.typeName}: ${desc.values.map((v) => v.name).join(', ')}`,
  );
}

function any(desc: DescMessage, value: unknown, path: string, depth: number): Message {
  const object = asObject(value, path, desc.typeName);
  const { '@type': typeUrl, ...rest } = object;
  if (typeof typeUrl !== 'string') throw new FieldError(path, 'missing "@type"');
  const schema = registry.getMessage(typeNameOf(typeUrl));
  if (schema === undefined) throw new FieldError(path, `unknown type '${typeUrl}'`, { code: 'CONFIG_UNSUPPORTED' });
  return packed(desc, typeUrl, schema, contentOf(schema, rest, path, depth));
}

/** Well-known types stand in `value`; but Empty has no JSON form of its own, and is written like any message. */
function contentOf(schema: DescMessage, rest: Fields, path: string, depth: number): Message {
  if (!isWellKnown(schema) || schema.typeName === 'google.protobuf.Empty')
    return message(schema, rest, path, depth + 1);
  const { value, ...more } = rest;
  for (const key of Object.keys(more)) throw new FieldError(joinPath(path, key), `unknown field beside 'value'`);
  return message(schema, value, joinPath(path, 'value'), depth + 1);
}

/** An Any whose bytes are made when they are first looked at. It holds no descriptor: see releaseDescriptors. */
function packed(desc: DescMessage, typeUrl: string, schema: DescMessage, content: Message): Message {
  const made = create(desc) as Any;
  made.typeUrl = typeUrl;
  let bytes: Uint8Array | undefined;
  const get = (): Uint8Array => {
    bytes ??= toBinary(messageNamed(typeNameOf(typeUrl)), content);
    return bytes;
  };
  // Where one configuration is merged over another.
  const set = (value: Uint8Array): void => {
    bytes = value;
    forgetContent(made);
  };
  Object.defineProperty(made, 'value', { get, set, enumerable: true, configurable: true });
  rememberUnpacked(made, { kind: 'message', schema, message: content });
  return made;
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
