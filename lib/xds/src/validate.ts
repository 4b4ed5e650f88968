/**
 * The rules that Envoy's protos declare with protoc-gen-validate, interpreted: each message type is compiled once, to
 * a list of checks. Contents of an Any are checked too, where the type is known.
 */
import type { DescField, DescMessage, DescOneof, Message } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import type { FieldRules, MapRules, RepeatedRules } from '@chainmail/xds/proto/validate/validate';
import { unpackAny } from './any.ts';
import { type FieldProblem, joinPath } from './field-error.ts';
import { isDisabled, isOneRequired, rulesOf } from './validate-extensions.ts';
import { scalarCheck } from './validate-scalar.ts';

/** Found problems end at this number: nobody reads more, and a bad snapshot may have thousands. */
const maxProblems = 100;

type Report = (path: string, reason: string) => void;
type FieldCheck = (message: Fields, path: string, report: Report) => void;
type Fields = Readonly<Record<string, unknown>>;

/**
 * @param path where the message stands, to begin paths with
 * @returns what is wrong, in the order of the fields; empty when nothing is
 */
export function validateMessage(schema: DescMessage, message: Message, path = ''): readonly FieldProblem[] {
  const problems: FieldProblem[] = [];
  walk(schema, message, path, (at, reason) => {
    if (problems.length < maxProblems) problems.push({ path: at, reason });
  });
  return problems;
}

function walk(desc: DescMessage, message: Message, path: string, report: Report): void {
  if (desc.typeName === 'google.protobuf.Any') {
    const inner = unpackAny(message as Any);
    if (inner.kind === 'message') walk(inner.schema, inner.message, path, report);
    else if (inner.kind === 'malformed') report(path, `malformed ${inner.typeName}: ${inner.reason}`);
    return;
  }
  for (const check of checksOf(desc)) check(message as unknown as Fields, path, report);
}

const compiled = new WeakMap<DescMessage, readonly FieldCheck[]>();

function checksOf(desc: DescMessage): readonly FieldCheck[] {
  let checks = compiled.get(desc);
  if (checks === undefined) compiled.set(desc, (checks = compile(desc)));
  return checks;
}

function compile(desc: DescMessage): readonly FieldCheck[] {
  if (isDisabled(desc)) return [];
  const oneofs = desc.oneofs.filter(isOneRequired).map(oneofCheck);
  return [...oneofs, ...desc.fields.flatMap((f) => fieldChecks(f))];
}

function oneofCheck(oneof: DescOneof): FieldCheck {
  return (message, path, report) => {
    const { case: chosen } = message[oneof.localName] as { readonly case?: string };
    if (chosen === undefined)
      report(joinPath(path, oneof.name), `one of ${oneof.fields.map((f) => f.name).join(', ')} is required`);
  };
}

function fieldChecks(field: DescField): readonly FieldCheck[] {
  const rules = rulesOf(field);
  switch (field.fieldKind) {
    case 'list':
      return listChecks(field, rules);
    case 'map':
      return mapChecks(field, rules);
    default:
      return singularChecks(field, rules);
  }
}

/** The message type whose own rules hold inside the field; well-known types have none, except what an Any carries. */
function nestedType(field: DescField, rules: FieldRules | undefined): DescMessage | undefined {
  const type = field.message;
  if (type === undefined || rules?.message?.skip) return undefined;
  return type.typeName.startsWith('google.protobuf.') && type.typeName !== 'google.protobuf.Any' ? undefined : type;
}

function singularChecks(field: DescField, rules: FieldRules | undefined): readonly FieldCheck[] {
  const nested = nestedType(field, rules);
  const scalar = rules === undefined ? undefined : scalarCheck(rules, field.enum);
  const required = isRequired(rules);
  if (nested === undefined && scalar === undefined && !required) return [];
  const check: FieldCheck = (message, path, report) => {
    const value = chosenValue(field, message);
    const at = joinPath(path, field.name);
    if (value === undefined) {
      if (required && field.oneof === undefined) report(at, 'is required');
      return;
    }
    scalar?.(unwrapped(value), (reason) => report(at, reason));
    if (nested !== undefined) walk(nested, value as Message, at, report);
  };
  return [check];
}

function isRequired(rules: FieldRules | undefined): boolean {
  if (rules?.message?.required) return true;
  const type = rules?.type;
  return (type?.case === 'duration' || type?.case === 'timestamp' || type?.case === 'any') && type.value.required;
}

/** protobuf-es unwraps UInt32Value and its like in a plain field, but not in a oneof. */
function unwrapped(value: unknown): unknown {
  const isWrapper = typeof value === 'object' && value !== null && '$typeName' in value && 'value' in value;
  return isWrapper && /^google\.protobuf\.\w+Value$/.test(String(value.$typeName)) ? value.value : value;
}

/** undefined for an absent message, and for a member of a oneof that is not the chosen one. */
function chosenValue(field: DescField, message: Fields): unknown {
  if (field.oneof === undefined) return message[field.localName];
  const oneof = message[field.oneof.localName] as { readonly case?: string; readonly value?: unknown };
  return oneof.case === field.localName ? oneof.value : undefined;
}

function listChecks(field: DescField, rules: FieldRules | undefined): readonly FieldCheck[] {
  const list = rules?.type.case === 'repeated' ? rules.type.value : undefined;
  const item = list?.items === undefined ? undefined : scalarCheck(list.items, field.enum);
  const nested = nestedType(field, list?.items ?? rules);
  if (list === undefined && nested === undefined) return [];
  const check: FieldCheck = (message, path, report) => {
    const values = message[field.localName] as readonly unknown[];
    const at = joinPath(path, field.name);
    if (list !== undefined) checkItems(list, values, (reason) => report(at, reason));
    values.forEach((value, i) => {
      item?.(value, (reason) => report(`${at}[${i}]`, reason));
      if (nested !== undefined) walk(nested, value as Message, `${at}[${i}]`, report);
    });
  };
  return [check];
}

function checkItems(rules: RepeatedRules, values: readonly unknown[], report: (reason: string) => void): void {
  if (rules.ignoreEmpty && values.length === 0) return;
  const count = BigInt(values.length);
  if (isGiven(rules, 'minItems') && count < rules.minItems) report(`must contain at least ${rules.minItems} item(s)`);
  if (isGiven(rules, 'maxItems') && count > rules.maxItems) report(`must contain at most ${rules.maxItems} item(s)`);
  if (rules.unique && new Set(values).size !== values.length) report('items must be unique');
}

function mapChecks(field: DescField, rules: FieldRules | undefined): readonly FieldCheck[] {
  const map = rules?.type.case === 'map' ? rules.type.value : undefined;
  const key = map?.keys === undefined ? undefined : scalarCheck(map.keys, undefined);
  const value = map?.values === undefined ? undefined : scalarCheck(map.values, field.enum);
  const nested = nestedType(field, map?.values ?? rules);
  if (map === undefined && nested === undefined) return [];
  const check: FieldCheck = (message, path, report) => {
    const entries = Object.entries(message[field.localName] as Fields);
    const at = joinPath(path, field.name);
    if (map !== undefined) checkPairs(map, entries.length, (reason) => report(at, reason));
    for (const [k, v] of entries) {
      key?.(k, (reason) => report(at, `key '${k}' ${reason}`));
      value?.(v, (reason) => report(`${at}[${k}]`, reason));
      if (nested !== undefined) walk(nested, v as Message, `${at}[${k}]`, report);
    }
  };
  return [check];
}

function checkPairs(rules: MapRules, pairs: number, report: (reason: string) => void): void {
  if (rules.ignoreEmpty && pairs === 0) return;
  if (isGiven(rules, 'minPairs') && BigInt(pairs) < rules.minPairs)
    report(`must contain at least ${rules.minPairs} pair(s)`);
  if (isGiven(rules, 'maxPairs') && BigInt(pairs) > rules.maxPairs)
    report(`must contain at most ${rules.maxPairs} pair(s)`);
}

/** validate.proto is proto2: a field that was not set shows its default through the prototype. */
function isGiven<M extends Message>(rules: M, name: keyof M & string): boolean {
  return Object.hasOwn(rules, name) && rules[name] !== undefined;
}
