/** Scalars in protobuf JSON: numbers may be quoted, 64-bit ones usually are; each has its range. */
import { type JsonValue, ScalarType } from '@bufbuild/protobuf';
import { FieldError } from './field-error.ts';

export type ScalarKind = ScalarType;

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

/** @throws FieldError when the value is not of that scalar type, or out of its range. */
export function checkScalar(kind: ScalarKind, value: unknown, path: string): JsonValue {
  const refuse = (what: string): FieldError => new FieldError(path, `expected ${what}, got ${JSON.stringify(value)}`);
  switch (kind) {
    case ScalarType.BOOL:
      if (typeof value !== 'boolean') throw refuse('true or false');
      return value;
    case ScalarType.STRING:
      if (typeof value !== 'string') throw refuse('text');
      return value;
    case ScalarType.BYTES:
      if (typeof value !== 'string' || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) throw refuse('base64 text');
      return value;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      if (!isFloat(value)) throw refuse('a number');
      return value;
    default:
      return integer(ranges[kind] ?? [0n, 0n], value, refuse);
  }
}

function isFloat(value: unknown): value is number | string {
  if (typeof value === 'number') return true;
  return (
    typeof value === 'string' &&
    (/^(NaN|-?Infinity)$/.test(value) || /^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$/.test(value))
  );
}

function integer(
  [low, high]: readonly [bigint, bigint],
  value: unknown,
  refuse: (what: string) => FieldError,
): JsonValue {
  const isWhole = typeof value === 'number' ? Number.isInteger(value) : /^-?[0-9]{1,20}$/.test(String(value));
  if ((typeof value !== 'number' && typeof value !== 'string') || !isWhole) throw refuse('a whole number');
  const n = BigInt(value);
  if (n < low || n > high) throw refuse(`a number from ${low} to ${high}`);
  return value;
}
