/**
 * Checks of plain JSON against a described shape, with TypeScript types that follow from the description.
 * Invariant: a check never throws and never stops at the first problem; what it returns is the input, typed.
 */

import { type CelRule, celField, type StructuralSchema, type StructuralType, withRules } from './structural.ts';

export type FieldPath = readonly (string | number)[];

export interface FieldProblem {
  readonly path: FieldPath;
  /** What is wrong and what to write instead, without the path. */
  readonly message: string;
}

export type Report = (path: FieldPath, message: string) => void;

export interface Schema<T> {
  /** How the wanted value is called in a message, e.g. `a string`. */
  readonly noun: string;
  /** The same shape for a CustomResourceDefinition. */
  readonly structural: StructuralSchema;
  check(value: unknown, path: FieldPath, report: Report): void;
  /**
   * The value without the fields of open objects that nobody reads: what a mirror of an API server need not hold.
   * Absent where there is nothing to leave out. A value of another shape than described comes back as it is.
   */
  prune?(value: unknown): unknown;
  /** Carries the type only; never set. */
  readonly __type?: T;
}

export type Infer<S> = S extends Schema<infer T> ? T : never;

/** `spec.rules[0].action`, as a person writes it. */
export function formatPath(path: FieldPath): string {
  return path.reduce<string>((text, p) => {
    if (typeof p === 'number') return `${text}[${p}]`;
    if (!/^[\w-]+$/.test(p)) return `${text}[${JSON.stringify(p)}]`;
    return text === '' ? p : `${text}.${p}`;
  }, '');
}

const longestShown = 80;

/** A value as it may stand in a message: JSON, cut. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > longestShown ? `${text.slice(0, longestShown)}...` : text;
}

function leaf<T>(noun: string, structural: StructuralSchema, fits: (value: unknown) => boolean): Schema<T> {
  return {
    noun,
    structural,
    check(value, path, report) {
      if (!fits(value)) report(path, `${shown(value)} is not ${noun}`);
    },
  };
}

const untyped = { 'x-kubernetes-preserve-unknown-fields': true } as const;

export const anything: Schema<unknown> = { noun: 'a value', structural: untyped, check: () => {} };
export const bool: Schema<boolean> = leaf('true or false', { type: 'boolean' }, (v) => typeof v === 'boolean');

/** A string of up to maxLength characters; `noun` says what it is, `pattern` what it must look like. */
export function text(
  options: { readonly noun?: string; readonly pattern?: RegExp; readonly maxLength?: number } = {},
): Schema<string> {
  const { noun, pattern, maxLength: max = 4096 } = options;
  const structural: StructuralSchema = {
    ...(noun === undefined ? {} : { description: noun }),
    type: 'string',
    maxLength: max,
    ...(pattern === undefined ? {} : { pattern: pattern.source }),
  };
  return leaf(noun ?? 'a string', structural, (v) => {
    return typeof v === 'string' && v.length <= max && (pattern?.test(v) ?? true);
  });
}

export function integer(min: number, max: number): Schema<number> {
  return leaf(
    `a whole number from ${min} to ${max}`,
    { type: 'integer', format: 'int64', minimum: min, maximum: max },
    (v) => Number.isInteger(v) && Number(v) >= min && Number(v) <= max,
  );
}

export function oneOf<const V extends string>(...values: readonly V[]): Schema<V> {
  const last = values.at(-1) ?? '';
  const noun = values.length < 2 ? last : `${values.slice(0, -1).join(', ')} or ${last}`;
  return {
    noun,
    structural: { type: 'string', enum: values },
    check(value, path, report) {
      if (!values.some((v) => v === value)) report(path, `${shown(value)} is not allowed here; write ${noun}`);
    },
  };
}

export function list<T>(
  item: Schema<T>,
  options: { readonly min?: number; readonly max?: number } = {},
): Schema<readonly T[]> {
  const { min = 0, max = 10_000 } = options;
  return {
    noun: 'a list',
    structural: {
      type: 'array',
      items: item.structural,
      ...(min === 0 ? {} : { minItems: min }),
      maxItems: max,
      'x-kubernetes-list-type': 'atomic',
    },
    check(value, path, report) {
      if (!Array.isArray(value)) return report(path, `${shown(value)} is not a list; write items that begin with "- "`);
      if (value.length < min) report(path, `needs at least ${min} ${min === 1 ? 'item' : 'items'}`);
      if (value.length > max) return report(path, `has ${value.length} items, more than the ${max} allowed`);
      for (const [i, v] of value.entries()) item.check(v, [...path, i], report);
    },
    prune: (value) => (Array.isArray(value) ? value.map((v) => pruned(item, v)) : value),
  };
}

const pruned = (schema: Schema<unknown>, value: unknown): unknown => schema.prune?.(value) ?? value;

export function map<T>(item: Schema<T>): Schema<Readonly<Record<string, T>>> {
  return {
    noun: 'a map',
    structural: { type: 'object', additionalProperties: item.structural },
    check(value, path, report) {
      if (!isRecord(value)) return report(path, `${shown(value)} is not a map of names to values`);
      for (const [k, v] of Object.entries(value)) item.check(v, [...path, k], report);
    },
  };
}

/** A value that fits one of two shapes, told apart by whether it is a string. */
export function textOr<T>(asText: Schema<string>, other: Schema<T>): Schema<string | T> {
  return {
    noun: `${asText.noun} or ${other.noun}`,
    structural: { description: `${asText.noun}, or ${other.noun}`, ...untyped },
    check: (v, path, report) => (typeof v === 'string' ? asText.check(v, path, report) : other.check(v, path, report)),
  };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

type Fields = Readonly<Record<string, Schema<unknown>>>;
type Shape<R extends Fields, O extends Fields> = { readonly [K in keyof R]: Infer<R[K]> } & {
  readonly [K in keyof O]?: Infer<O[K]>;
};

/** A field that is refused with advice, and the type it is written with where it is right (an object by default). */
export type Instead = string | { readonly type: StructuralType; readonly advice: string };

export interface ObjectOptions {
  /** Fields beyond the named ones pass: for kinds that are not ours, of which we read a part. */
  readonly open?: boolean;
  /** Fields that exist elsewhere or are often meant, with what to do instead. */
  readonly instead?: Readonly<Record<string, Instead>>;
}

const adviceOf = (instead: Instead): string => (typeof instead === 'string' ? instead : instead.advice);

function unknownField(name: string, known: readonly string[], instead: Instead | undefined): string {
  if (instead !== undefined) return adviceOf(instead);
  const near = known.find((k) => k.toLowerCase() === name.toLowerCase() || distance(k, name) <= 2);
  const advice = near === undefined ? `known here: ${known.join(', ')}` : `did you mean ${near}?`;
  return `unknown field; ${advice}`;
}

/** Edits between two short names, for "did you mean". */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + same));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** A field the API server would drop without a word is declared instead, and refused by a rule with its advice. */
function structuralObject(required: Fields, optional: Fields, options: ObjectOptions): StructuralSchema {
  const misplaced = Object.entries(options.instead ?? {});
  const declared = misplaced.map(([name, instead]) => {
    const type = typeof instead === 'string' ? 'object' : instead.type;
    const anyItems =
      type === 'array' ? { items: { type: 'object', ...untyped }, maxItems: 64 } : type === 'object' ? untyped : {};
    return [name, { type, ...anyItems }] as const;
  });
  const known = [...Object.entries(required), ...Object.entries(optional)].map(([n, s]) => [n, s.structural] as const);
  const names = Object.keys(required);
  const rules = misplaced.map(
    ([name, instead]): CelRule => ({
      rule: `!has(${celField(name)})`,
      message: adviceOf(instead),
      fieldPath: `.${name}`,
      reason: 'FieldValueForbidden',
    }),
  );
  const shape: StructuralSchema = {
    type: 'object',
    ...(names.length === 0 ? {} : { required: names }),
    properties: Object.fromEntries([...known, ...declared]),
    ...(options.open === true ? untyped : {}),
  };
  return withRules(shape, rules);
}

/** An object with required and optional fields; others are refused unless it is open. A null field counts as absent. */
export function object<R extends Fields, O extends Fields>(
  required: R,
  optional: O,
  options: ObjectOptions = {},
): Schema<Shape<R, O>> {
  const known = [...Object.keys(required), ...Object.keys(optional)];
  const schemas = new Map<string, Schema<unknown>>([...Object.entries(required), ...Object.entries(optional)]);
  return {
    noun: 'an object',
    structural: structuralObject(required, optional, options),
    check(value, path, report) {
      if (!isRecord(value))
        return report(path, `${shown(value)} is not an object; it needs fields: ${known.join(', ')}`);
      for (const name of Object.keys(required)) {
        if (value[name] === undefined || value[name] === null) {
          report([...path, name], `is missing; it must be ${schemas.get(name)?.noun}`);
        }
      }
      for (const [name, field] of Object.entries(value)) {
        const schema = schemas.get(name);
        if (schema !== undefined) {
          if (field !== undefined && field !== null) schema.check(field, [...path, name], report);
        } else if (options.open !== true) {
          report([...path, name], unknownField(name, known, options.instead?.[name]));
        }
      }
    },
    prune(value) {
      if (!isRecord(value)) return value;
      // Of a closed object every field stays: one that is unknown must be seen, to be refused.
      const kept = Object.entries(value).filter(([name]) => options.open !== true || schemas.has(name));
      return Object.fromEntries(
        kept.map(([name, field]) => {
          const schema = schemas.get(name);
          return [name, schema === undefined ? field : pruned(schema, field)];
        }),
      );
    },
  };
}

/**
 * A further condition on a value whose shape is right; it sees the value only then.
 * @param same the same condition for an API server, as far as a structural schema can say it
 */
export function refine<T>(
  schema: Schema<T>,
  rule: (value: T, path: FieldPath, report: Report) => void,
  same: { readonly rules?: readonly CelRule[]; readonly minProperties?: number } = {},
): Schema<T> {
  return {
    ...schema,
    structural: {
      ...withRules(schema.structural, same.rules ?? []),
      ...(same.minProperties === undefined ? {} : { minProperties: same.minProperties }),
    },
    check(value, path, report) {
      let sound = true;
      schema.check(value, path, (p, m) => {
        sound = false;
        report(p, m);
      });
      if (sound) rule(value as T, path, report);
    },
  };
}

/** The value, typed, or every problem in the order of the fields. */
export function checked<T>(
  schema: Schema<T>,
  value: unknown,
): { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problems: readonly FieldProblem[] } {
  const problems: FieldProblem[] = [];
  schema.check(value, [], (path, message) => problems.push({ path, message }));
  return problems.length === 0 ? { ok: true, value: value as T } : { ok: false, problems };
}
