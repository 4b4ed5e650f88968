/** Scalars in protobuf JSON: numbers may be quoted, 64-bit ones usually are; each has its range. */
import { type DescEnum, ScalarType } from '@bufbuild/protobuf';
import { FieldError } from './field-error.ts';

export type ScalarKind = ScalarType;
/** How protobuf-es keeps a scalar. */
export type ScalarValue = string | number | bigint | boolean | Uint8Array;

/** What the wrapper messages wrap: their JSON form is that of the scalar. */
export const wrapperScalars: Readonly<Record<string, ScalarKind>> = {
  'google.protobuf.BoolValue': ScalarType.BOOL,
  'google.protobuf.StringValue': ScalarType.STRING,
  'google.protobuf.BytesValue': ScalarType.BYTES,
  'google.protobuf.DoubleValue': ScalarType.DOUBLE,
  'google.protobuf.FloatValue': ScalarType.FLOAT,
  'google.protobuf.Int32Value': ScalarType.INT32,
  'google.protobuf.Int64Value': ScalarType.INT64,
  'google.protobuf.UInt32Value': ScalarType.UINT32,
  'google.protobuf.UInt64Value': ScalarType.UINT64,
};

const ranges: Partial<Record<ScalarKind, readonly [bigint, bigint]>> = {
  [ScalarType.INT32]: [-(2n ** 31n), 2n ** 31n - 1n],
  [ScalarType.SINT32]: [-(2n ** 31n), 2n ** 31n - 1n],
  [ScalarType.SFIXED32]: [-(2n ** 31n), 2n ** 31n - 1n],
  [ScalarType.UINT32]: [0n, 2n ** 32n - 1n],
  [ScalarType.FIXED32]: [0n, 2n ** 32n - 1n],
  [ScalarType.INT64]: [-(2n ** 63n), 2n ** 63n - 1n],
  [ScalarType.SINT64]: [-(2n ** 63n), 2n ** 63n - 1n],
  [ScalarType.SFIXED64]: [-(2n ** 63n), 2n ** 63n - 1n],
  [ScalarType.UINT64]: [0n, 2n ** 64n - 1n],
  [ScalarType.FIXED64]: [0n, 2n ** 64n - 1n],
};

const isLong: ReadonlySet<ScalarKind> = new Set([
  ScalarType.INT64,
  ScalarType.SINT64,
  ScalarType.SFIXED64,
  ScalarType.UINT64,
  ScalarType.FIXED64,
]);

/**
 * The value as protobuf-es keeps it: numbers of 64 bits as bigint, or as text where the field says so.
 * @throws FieldError when the value is not of that scalar type, or out of its range.
 */
export function readScalar(kind: ScalarKind, value: unknown, path: string, longAsString = false): ScalarValue {
  const refuse = (what: string): FieldError => new FieldError(path, `expected ${what}, got ${JSON.stringify(value)}`);
  switch (kind) {
    case ScalarType.BOOL:
      if (typeof value !== 'boolean') throw refuse('true or false');
      return value;
    case ScalarType.STRING:
      if (typeof value !== 'string' || !value.isWellFormed()) throw refuse('text');
      return value;
    case ScalarType.BYTES:
      if (!isBase64(value)) throw refuse('base64 text');
      return new Uint8Array(Buffer.from(value, 'base64'));
    case ScalarType.DOUBLE:
      if (!isFloat(value)) throw refuse('a number');
      return Number(value);
    case ScalarType.FLOAT:
      if (!isFloat(value) || overflows(Number(value))) throw refuse('a number');
      return Number(value);
    default: {
      const n = integer(ranges[kind] ?? [0n, 0n], value, refuse);
      if (!isLong.has(kind)) return Number(n);
      return longAsString ? String(n) : n;
    }
  }
}

/** Standard or URL-safe, padded or not. */
function isBase64(value: unknown): value is string {
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) return false;
  return value.replace(/=+$/, '').length % 4 !== 1;
}

/** Not a number in 32 bits, though it is one. */
function overflows(value: number): boolean {
  return Number.isFinite(value) && !Number.isFinite(Math.fround(value));
}

function isFloat(value: unknown): value is number | string {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'string') return false;
  if (/^(NaN|-?Infinity)$/.test(value)) return true;
  return /^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$/.test(value) && Number.isFinite(Number(value));
}

function integer([low, high]: readonly [bigint, bigint], value: unknown, refuse: (what: string) => FieldError): bigint {
  const isWhole = typeof value === 'number' ? Number.isInteger(value) : /^-?[0-9]{1,20}$/.test(String(value));
  if ((typeof value !== 'number' && typeof value !== 'string') || !isWhole) throw refuse('a whole number');
  const n = BigInt(value);
  if (n < low || n > high) throw refuse(`a number from ${low} to ${high}`);
  return n;
}

/** The key of a map, which JSON has as text. @throws FieldError */
export function mapKey(kind: ScalarKind, key: string, path: string): string {
  if (kind !== ScalarType.BOOL) return String(readScalar(kind, key, path));
  if (key !== 'true' && key !== 'false')
    throw new FieldError(path, `expected true or false, got ${JSON.stringify(key)}`);
  return key;
}

/** An enum by its number: proto3 takes those that it does not know. @throws FieldError */
export function enumNumber(desc: DescEnum, value: number, path: string): number {
  const n = Number(readScalar(ScalarType.INT32, value, path));
  if (desc.open || desc.values.some((v) => v.number === n)) return n;
  throw new FieldError(path, `unknown value ${n} of ${desc.typeName}: ${desc.values.map((v) => v.name).join(', ')}`);
}
