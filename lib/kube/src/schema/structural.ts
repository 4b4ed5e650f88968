/**
 * The same shapes as an API server holds them: structural OpenAPI v3 schemas, with CEL where that says what to write
 * instead. Invariant: what a Schema accepts its structural form accepts; what needs code (is this a regular
 * expression?) stays with the Schema, and control says it in the object's status.
 */

export type StructuralType = 'array' | 'boolean' | 'integer' | 'object' | 'string';

export interface CelRule {
  readonly rule: string;
  /** What is wrong and what to write instead. */
  readonly message: string;
  /** Where below the validated value the message belongs, e.g. `.targetRef`. */
  readonly fieldPath?: string;
  readonly reason?: 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired' | 'FieldValueDuplicate';
}

export interface StructuralSchema {
  readonly description?: string;
  readonly type?: StructuralType;
  readonly format?: string;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: StructuralSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly minProperties?: number;
  readonly additionalProperties?: StructuralSchema;
  readonly 'x-kubernetes-preserve-unknown-fields'?: true;
  readonly 'x-kubernetes-validations'?: readonly CelRule[];
  readonly 'x-kubernetes-list-type'?: 'map' | 'atomic';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
}

/** Words that CEL reserves; Kubernetes has them written between double underscores. */
const reserved = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return void var while'.split(
    ' ',
  ),
);

/** `self.NAME` in an expression. */
export function celField(name: string): string {
  return `self.${reserved.has(name) ? `__${name}__` : name}`;
}

export function celString(value: string): string {
  return `'${value.replace(/[\\']/g, (c) => `\\${c}`)}'`;
}

export function withRules(schema: StructuralSchema, rules: readonly CelRule[]): StructuralSchema {
  if (rules.length === 0) return schema;
  return { ...schema, 'x-kubernetes-validations': [...(schema['x-kubernetes-validations'] ?? []), ...rules] };
}

/**
 * An API server refuses a schema whose rules could cost it more than 10,000,000 units each. What one `matches` costs,
 * as it reckons: a tenth of the bytes times a quarter of the expression (cel-go checker/cost.go), four bytes a character.
 */
const affordable = 1_000_000;
const costOfMatch = (maxLength: number, pattern: string): number =>
  Math.ceil(maxLength * 4 * 0.1) * Math.ceil(pattern.length * 0.25);

/**
 * Patterns become CEL rules, whose message is the noun (`must be a duration such as 10s`), wherever that is
 * affordable; deeper inside lists of lists they stay patterns.
 * @param times how many values of this schema one object can hold
 */
export function withMessages(schema: StructuralSchema, times = 1): StructuralSchema {
  const { pattern, maxLength = 4096, description, items, properties, additionalProperties } = schema;
  if (pattern !== undefined && description !== undefined && costOfMatch(maxLength, pattern) * times <= affordable) {
    const { pattern: _, ...rest } = schema;
    return withRules(rest, [{ rule: `self.matches(${celString(pattern)})`, message: `must be ${description}` }]);
  }
  if (items !== undefined) return { ...schema, items: withMessages(items, times * (schema.maxItems ?? 10_000)) };
  if (additionalProperties !== undefined) {
    return { ...schema, additionalProperties: withMessages(additionalProperties, times * 10_000) };
  }
  if (properties === undefined) return schema;
  const each = Object.entries(properties).map(([name, s]) => [name, withMessages(s, times)] as const);
  return { ...schema, properties: Object.fromEntries(each) };
}
