import test from 'ava';
import { durationMs } from './duration.ts';
import { checked, formatPath, integer, list, map, object, oneOf, text } from './schema.ts';

const shape = object(
  { name: text() },
  { size: integer(1, 3), tags: list(text(), { max: 2 }), more: map(oneOf('a', 'b', 'c')) },
);
const reasons = (value: unknown): string[] => {
  const result = checked(shape, value);
  return result.ok ? [] : result.problems.map((p) => `${formatPath(p.path)}: ${p.message}`);
};

test('what fits comes back as it is', (t) => {
  const value = { name: 'x', size: 2, tags: ['a'], more: { k: 'a' } };
  const result = checked(shape, value);
  t.true(result.ok && result.value === value);
});

test('every problem is reported, with its path', (t) => {
  t.deepEqual(reasons({ size: 4, tags: ['a', 'b', 'c'], more: { 'a/b': 'd' }, nmae: 'x' }), [
    'name: is missing; it must be a string',
    'size: 4 is not a whole number from 1 to 3',
    'tags: has 3 items, more than the 2 allowed',
    'more["a/b"]: "d" is not allowed here; write a, b or c',
    'nmae: unknown field; did you mean name?',
  ]);
  t.deepEqual(reasons([]), [': [] is not an object; it needs fields: name, size, tags, more']);
});

test('a null field counts as absent', (t) => {
  t.deepEqual(reasons({ name: null, size: null }), ['name: is missing; it must be a string']);
});

test('a long value is cut in a message', (t) => {
  t.true((reasons({ name: 'x', size: 'y'.repeat(1000) })[0] ?? '').length < 150);
});

test('durations of the Gateway API', (t) => {
  t.is(durationMs('250ms'), 250);
  t.is(durationMs('1m30s'), 90_000);
  t.is(durationMs('2h'), 7_200_000);
});
