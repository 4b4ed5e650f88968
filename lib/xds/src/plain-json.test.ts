import test from 'ava';
import { parsePlainJson } from './plain-json.ts';

test('a JSON object is its value', (t) => {
  t.deepEqual(parsePlainJson(' {"a": [1, {"b": "x,:{}\\"[]"}, {"b": null}], "c": {"a": true}}\n'), {
    value: { a: [1, { b: 'x,:{}"[]' }, { b: null }], c: { a: true } },
  });
});

test('the same key in two objects, or as a key and as a value, is no second key', (t) => {
  t.deepEqual(parsePlainJson('{"a": {"a": "a"}, "b": ["a", "a"]}'), { value: { a: { a: 'a' }, b: ['a', 'a'] } });
});

for (const [what, text] of [
  ['a key twice', '{"a": 1, "b": {"c": 1}, "a": 2}'],
  ['a key twice behind a nested object', '{"x": {"a": {"d": [{}]}, "b": 1, "a": 2}}'],
  ['a key twice, once escaped', '{"ab": 1, "\\u0061b": 2}'],
  ['flow-style YAML', '{a: 1}'],
  ['block-style YAML', 'a: 1'],
  ['a list', '[1]'],
  ['broken JSON', '{"a": 1'],
  ['nothing', ''],
] as const) {
  test(`${what} is left to the YAML parser`, (t) => t.is(parsePlainJson(text), undefined));
}
