/**
 * Checks of plain JSON against a described shape, with TypeScript types that follow from the description.
 * Invariant: a check never throws and never stops at the first problem; what it returns is the input, typed.
 */

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
  check(value: unknown, path: FieldPath, report: Report): void;
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

function leaf<T>(noun: string, fits: (value: unknown) => boolean): Schema<T> {
  return {
    noun,
    check(value, path, report) {
      if (!fits(value)) report(path, `${shown(value)} is not ${noun}`);
    },
  };
}

export const anything: Schema<unknown> = { noun: 'a value', check: () => {} };
export const bool: Schema<boolean> = leaf('true or false', (v) => typeof v === 'boolean');

/** A string of up to maxLength characters; `noun` says what it is, `pattern` what it must look like. */
export function text(
  options: { readonly noun?: string; readonly pattern?: RegExp; readonly maxLength?: number } = {},
): Schema<string> {
  const max = options.maxLength ?? 4096;
  return leaf(options.noun ?? 'a string', (v) => {
    return typeof v === 'string' && v.length <= max && (options.pattern?.test(v) ?? true);
  });
}

export function integer(min: number, max: number): Schema<number> {
  return leaf(
    `a whole number from ${min} to ${max}`,
    (v) => Number.isInteger(v) && Number(v) >= min && Number(v) <= max,
  );
}

export function oneOf<const V extends string>(...values: readonly V[]): Schema<V> {
  const last = values.at(-1) ?? '';
  const noun = values.length < 2 ? last : `${values.slice(0, -1).join(', ')} or ${last}`;
  return {
    noun,
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
    check(value, path, report) {
      if (!Array.isArray(value)) return report(path, `${shown(value)} is not a list; write items that begin with "- "`);
      if (value.length < min) report(path, `needs at least ${min} ${min === 1 ? 'item' : 'items'}`);
      if (value.length > max) return report(path, `has ${value.length} items, more than the ${max} allowed`);
      for (const [i, v] of value.entries()) item.check(v, [...path, i], report);
    },
  };
}

export function map<T>(item: Schema<T>): Schema<Readonly<Record<string, T>>> {
  return {
    noun: 'a map',
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

export interface ObjectOptions {
  /** Fields beyond the named ones pass: for kinds that are not ours, of which we read a part. */
  readonly open?: boolean;
  /** Fields that exist elsewhere or are often meant, with what to do instead. */
  readonly instead?: Readonly<Record<string, string>>;
}

function unknownField(name: string, known: readonly string[], instead: string | undefined): string {
  if (instead !== undefined) return instead;
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
  };
}

/** A further condition on a value whose shape is right; it sees the value only then. */
export function refine<T>(schema: Schema<T>, rule: (value: T, path: FieldPath, report: Report) => void): Schema<T> {
  return {
    noun: schema.noun,
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
