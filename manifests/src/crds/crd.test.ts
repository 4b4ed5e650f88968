/** What the CRDs say beyond the golden file: one truth with the checks, and the limits an API server sets. */
import { kinds, type StructuralSchema } from '@chainmail/kube';
import { apiGroup } from '@chainmail/runtime';
import test from 'ava';
import { customResourceDefinitions, ourKinds } from './crd.ts';

interface Crd {
  readonly spec: { readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: StructuralSchema } }] };
}
const schemaOf = (kind: (typeof ourKinds)[number]): StructuralSchema => {
  const crd = customResourceDefinitions()[ourKinds.indexOf(kind)] as unknown as Crd;
  return crd.spec.versions[0].schema.openAPIV3Schema;
};

interface Node {
  readonly path: string;
  readonly schema: StructuralSchema;
}
function nodes(schema: StructuralSchema, path: string): Node[] {
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, s]) => nodes(s, `${path}.${name}`));
  const items = schema.items === undefined ? [] : nodes(schema.items, `${path}[]`);
  const values = schema.additionalProperties === undefined ? [] : nodes(schema.additionalProperties, `${path}{}`);
  return [{ path, schema }, ...below, ...items, ...values];
}
const everywhere = ourKinds.flatMap((kind) => nodes(schemaOf(kind), kind));

test('every kind of our group that is checked has a definition', (t) => {
  const checked = Object.entries(kinds).flatMap(([name, k]) => (k.group === apiGroup ? [name] : []));
  t.deepEqual([...ourKinds].sort(), checked.sort());
});

test('the schema is structural: every node has a type or keeps what it does not know', (t) => {
  for (const { path, schema } of everywhere) {
    t.true(schema.type !== undefined || schema['x-kubernetes-preserve-unknown-fields'] === true, path);
    t.false(schema.properties !== undefined && schema.additionalProperties !== undefined, path);
  }
});

test('rules have a message of one line that says what to write', (t) => {
  const rules = everywhere.flatMap(({ path, schema }) =>
    (schema['x-kubernetes-validations'] ?? []).map((r) => ({ path, ...r })),
  );
  t.true(rules.length > 20);
  for (const { path, message, rule } of rules) {
    t.regex(message, /^[^\n]{5,}$/, path);
    t.false(rule.includes('\n'), path);
  }
});

test('a field that is refused with advice is declared, so that the API server does not drop it without a word', (t) => {
  const { properties = {} } = schemaOf('SecurityPolicy').properties?.['spec'] ?? {};
  t.deepEqual(properties['jwt'], { type: 'object', 'x-kubernetes-preserve-unknown-fields': true });
  const target = properties['targetRefs']?.items;
  t.is(target?.properties?.['namespace']?.type, 'string');
  t.like(target?.['x-kubernetes-validations']?.[0], { rule: '!has(self.__namespace__)', fieldPath: '.namespace' });
});

test('a pattern becomes a rule with its noun where an API server can afford that, and stays a pattern elsewhere', (t) => {
  const at = (path: string): StructuralSchema => everywhere.find((n) => n.path === path)?.schema ?? {};
  const name = at('SecurityPolicy.spec.authorization.rules[].name');
  t.is(name.pattern, undefined);
  t.is(name['x-kubernetes-validations']?.[0]?.message, 'must be a short name');
  const identity = at('SecurityPolicy.spec.authorization.rules[].principal.identities[]');
  t.regex(identity.pattern ?? '', /^\^spiffe/);
  t.is(identity['x-kubernetes-validations'], undefined);
});
