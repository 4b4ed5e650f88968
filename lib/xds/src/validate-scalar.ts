/** Rules of protoc-gen-validate for one value: numbers, durations, text, bytes and enums. */
import type { DescEnum } from '@bufbuild/protobuf';
import type { Duration } from '@bufbuild/protobuf/wkt';
import type {
  BytesRules,
  DurationRules,
  EnumRules,
  FieldRules,
  StringRules,
} from '@chainmail/xds/proto/validate/validate';
import { textChecks } from './validate-text.ts';

export type Check = (value: unknown, report: (reason: string) => void) => void;

/** undefined when the rules say nothing about a single value. */
export function scalarCheck(rules: FieldRules, enumType: DescEnum | undefined): Check | undefined {
  const { type } = rules;
  switch (type.case) {
    case 'string':
      return stringCheck(type.value);
    case 'bytes':
      return bytesCheck(type.value);
    case 'bool':
      return constCheck(given(type.value, 'const'));
    case 'enum':
      return enumCheck(type.value, enumType);
    case 'duration':
      return durationCheck(type.value);
    case 'any':
    case 'timestamp':
    case 'repeated':
    case 'map':
    case undefined:
      return undefined;
    default:
      return numberCheck(type.value as unknown as NumberRules);
  }
}

/** What all number rules share; 64-bit ones hold bigints, and a comparison of the two kinds is exact. */
interface NumberRules {
  readonly ignoreEmpty: boolean;
  readonly const: number | bigint;
  readonly lt: number | bigint;
  readonly lte: number | bigint;
  readonly gt: number | bigint;
  readonly gte: number | bigint;
  readonly in: readonly (number | bigint)[];
  readonly notIn: readonly (number | bigint)[];
}

/** validate.proto is proto2: a field that was not set shows its default through the prototype. */
function given<R extends object, K extends keyof R & string>(rules: R, name: K): R[K] | undefined {
  return Object.hasOwn(rules, name) ? rules[name] : undefined;
}

function numberCheck(rules: NumberRules): Check {
  const limits = limitChecks<number | bigint>(rules, (v) => v, String);
  return (value, report) => {
    if (rules.ignoreEmpty && (value === 0 || value === 0n)) return;
    for (const check of limits) check(value as number, report);
  };
}

function durationCheck(rules: DurationRules): Check {
  const limits = limitChecks<Duration>(rules, nanosOf, (d) => `${Number(nanosOf(d)) / 1e9}s`);
  return (value, report) => {
    for (const check of limits) check(nanosOf(value as Duration), report);
  };
}

function nanosOf(duration: Duration): bigint {
  return duration.seconds * 1_000_000_000n + BigInt(duration.nanos);
}

interface Limits<T> {
  readonly const?: T | undefined;
  readonly lt?: T | undefined;
  readonly lte?: T | undefined;
  readonly gt?: T | undefined;
  readonly gte?: T | undefined;
  readonly in: readonly T[];
  readonly notIn: readonly T[];
}

type Ordered = number | bigint;
type LimitCheck = (value: Ordered, report: (reason: string) => void) => void;

function limitChecks<T>(rules: Limits<T>, order: (v: T) => Ordered, show: (v: T) => string): readonly LimitCheck[] {
  const checks: LimitCheck[] = [];
  const add = (limit: T | undefined, holds: (v: Ordered, l: Ordered) => boolean, what: string): void => {
    if (limit === undefined) return;
    const bound = order(limit);
    checks.push((v, report) => holds(v, bound) || report(`must be ${what} ${show(limit)}`));
  };
  add(given(rules, 'const'), (v, l) => v === l, 'equal to');
  add(given(rules, 'gt'), (v, l) => v > l, '>');
  add(given(rules, 'gte'), (v, l) => v >= l, '>=');
  add(given(rules, 'lt'), (v, l) => v < l, '<');
  add(given(rules, 'lte'), (v, l) => v <= l, '<=');
  const allowed = rules.in.map(order);
  if (allowed.length > 0) {
    checks.push((v, report) => allowed.includes(v) || report(`must be one of ${rules.in.map(show).join(', ')}`));
  }
  const banned = rules.notIn.map(order);
  if (banned.length > 0) {
    checks.push((v, report) => !banned.includes(v) || report(`must not be one of ${rules.notIn.map(show).join(', ')}`));
  }
  return checks;
}

function constCheck(wanted: boolean | undefined): Check | undefined {
  if (wanted === undefined) return undefined;
  return (value, report) => {
    if (value !== wanted) report(`must be ${wanted}`);
  };
}

function enumCheck(rules: EnumRules, desc: DescEnum | undefined): Check {
  const wanted = given(rules, 'const');
  return (value, report) => {
    const n = value as number;
    if (wanted !== undefined && n !== wanted) report(`must be ${desc?.value[wanted]?.name ?? wanted}`);
    if (rules.definedOnly && desc !== undefined && desc.value[n] === undefined)
      report(`${n} is not a defined value of ${desc.typeName}`);
    const banned = rules.notIn.includes(n) || (rules.in.length > 0 && !rules.in.includes(n));
    if (banned) report(`${desc?.value[n]?.name ?? n} is not allowed here`);
  };
}

function bytesCheck(rules: BytesRules): Check {
  const min = given(rules, 'minLen');
  const max = given(rules, 'maxLen');
  const exact = given(rules, 'len');
  return (value, report) => {
    const length = BigInt((value as Uint8Array).length);
    if (rules.ignoreEmpty && length === 0n) return;
    if (min !== undefined && length < min) report(`must be at least ${min} bytes`);
    if (max !== undefined && length > max) report(`must be at most ${max} bytes`);
    if (exact !== undefined && length !== exact) report(`must be ${exact} bytes`);
  };
}

function stringCheck(rules: StringRules): Check {
  const checks = textChecks(rules);
  return (value, report) => {
    if (rules.ignoreEmpty && value === '') return;
    for (const { holds, reason } of checks) if (!holds(value as string)) report(reason);
  };
}
