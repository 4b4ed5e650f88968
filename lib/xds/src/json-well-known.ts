/** The JSON forms of google.protobuf's own messages: those that configurations have are read here, the others by protobuf-es. */
import { create, type DescMessage, type JsonObject, type JsonValue, type Message } from '@bufbuild/protobuf';
import { FieldError } from './field-error.ts';
import { readScalar, wrapperScalars } from './json-scalar.ts';
import { lateProtobuf } from './registry.ts';

/** 10,000 years, the most that a Duration may say. */
const maxSeconds = 315_576_000_000n;

/** Except Any. */
export function isWellKnown({ typeName }: DescMessage): boolean {
  return typeName.startsWith('google.protobuf.');
}

/** @throws FieldError */
export function wellKnown(desc: DescMessage, value: unknown, path: string): Message {
  const scalar = wrapperScalars[desc.typeName];
  if (scalar !== undefined) return create(desc, { value: readScalar(scalar, value, path) });
  if (desc.typeName === 'google.protobuf.Duration') return create(desc, durationOf(value, path));
  try {
    return lateProtobuf().fromJson(desc, value as JsonValue);
  } catch {
    throw new FieldError(path, `${JSON.stringify(value)} is not a ${desc.typeName}`);
  }
}

function durationOf(value: unknown, path: string): { readonly seconds: bigint; readonly nanos: number } {
  const found = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/.exec(String(value));
  const [, sign = '', whole = '', fraction = ''] = found ?? [];
  const seconds = found === null ? maxSeconds + 1n : BigInt(whole);
  if (seconds > maxSeconds) {
    throw new FieldError(path, `expected a duration such as '1.5s', got ${JSON.stringify(value)}`);
  }
  const nanos = Number(fraction.padEnd(9, '0'));
  return sign === '' ? { seconds, nanos } : { seconds: -seconds, nanos: nanos === 0 ? 0 : -nanos };
}

/** A Struct in a field. @throws FieldError */
export function checkJsonObject(value: unknown, path: string): JsonObject {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (isObject && isJson(value)) return value as JsonObject;
  throw new FieldError(path, `${JSON.stringify(value)} is not a google.protobuf.Struct`);
}

function isJson(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed();
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value);
    case 'object':
      return value === null || Object.entries(value).every(([key, v]) => key.isWellFormed() && isJson(v));
    default:
      return false;
  }
}
