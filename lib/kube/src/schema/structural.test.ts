import test from 'ava';
import { bool, integer, list, map, object, oneOf, refine, text, textOr } from './schema.ts';
import { celField, celString, withMessages } from './structural.ts';

const name = text({ noun: 'a name', pattern: /^[a-z]+$/, maxLength: 20 });

test('every combinator has its structural form', (t) => {
  const shape = object(
    { name },
    {
      on: bool,
      size: integer(1, 3),
      tags: list(oneOf('a', 'b'), { min: 1, max: 2 }),
      more: map(text()),
      any: textOr(name, bool),
    },
    { open: true },
  );
  t.deepEqual(shape.structural, {
    type: 'object',
    required: ['name'],
    properties: {
      name: { description: 'a name', type: 'string', maxLength: 20, pattern: '^[a-z]+$' },
      on: { type: 'boolean' },
      size: { type: 'integer', format: 'int64', minimum: 1, maximum: 3 },
      tags: {
        type: 'array',
        items: { type: 'string', enum: ['a', 'b'] },
        minItems: 1,
        maxItems: 2,
        'x-kubernetes-list-type': 'atomic',
      },
      more: { type: 'object', additionalProperties: { type: 'string', maxLength: 4096 } },
      any: { description: 'a name, or true or false', 'x-kubernetes-preserve-unknown-fields': true },
    },
    'x-kubernetes-preserve-unknown-fields': true,
  });
});

test('a field with advice is declared in the type it is written with, and refused by a rule', (t) => {
  const shape = object({}, {}, { instead: { ref: 'write refs', size: { type: 'integer', advice: 'no sizes' } } });
  t.deepEqual(shape.structural.properties, {
    ref: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    size: { type: 'integer' },
  });
  t.deepEqual(shape.structural['x-kubernetes-validations'], [
    { rule: '!has(self.ref)', message: 'write refs', fieldPath: '.ref', reason: 'FieldValueForbidden' },
    { rule: '!has(self.size)', message: 'no sizes', fieldPath: '.size', reason: 'FieldValueForbidden' },
  ]);
});

test('a refined schema keeps its shape and takes the rule along', (t) => {
  const rule = { rule: 'self != "x"', message: 'not x' };
  t.deepEqual(refine(name, () => {}, { rules: [rule] }).structural['x-kubernetes-validations'], [rule]);
  t.is(refine(object({}, {}), () => {}, { minProperties: 1 }).structural.minProperties, 1);
});

test('a pattern becomes a rule with its noun while an API server can afford it', (t) => {
  t.deepEqual(withMessages(name.structural), {
    description: 'a name',
    type: 'string',
    maxLength: 20,
    'x-kubernetes-validations': [{ rule: "self.matches('^[a-z]+$')", message: 'must be a name' }],
  });
  const long = text({ noun: 'a name', pattern: /^[a-z]+$/, maxLength: 2000 });
  const deep = list(list(long, { max: 256 }), { max: 256 });
  t.is(withMessages(deep.structural).items?.items?.pattern, '^[a-z]+$');
});

test('CEL: reserved words and quotes are escaped', (t) => {
  t.is(celField('namespace'), 'self.__namespace__');
  t.is(celField('name'), 'self.name');
  t.is(celString("a\\d'b"), "'a\\\\d\\'b'");
});
