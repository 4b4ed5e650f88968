import test from 'ava';
import { applyPatch, diff, escapeSegment, type PatchOperation, pointerSegments } from './json-patch.ts';

test('slash and tilde are escaped, and come back', (t) => {
  t.is(escapeSegment('a/b~c'), 'a~1b~0c');
  t.deepEqual(pointerSegments('/a~1b~0c/~01'), ['a/b~c', '~1']);
});

test('an absent parent is created with its content in one operation', (t) => {
  t.deepEqual(diff({ metadata: {} }, { metadata: { annotations: { 'a/b': 'c' } } }), [
    { op: 'add', path: '/metadata/annotations', value: { 'a/b': 'c' } },
  ]);
  t.deepEqual(diff({ annotations: { x: 'y' } }, { annotations: { x: 'y', 'a/b': 'c' } }), [
    { op: 'add', path: '/annotations/a~1b', value: 'c' },
  ]);
});

test('named items are added where they belong, the others untouched', (t) => {
  const [a, b, c] = [{ name: 'a' }, { name: 'b', x: 1 }, { name: 'c' }];
  t.deepEqual(diff([b], [a, b, c]), [
    { op: 'add', path: '/0', value: a },
    { op: 'add', path: '/2', value: c },
  ]);
  t.deepEqual(diff([a, b, c], [{ name: 'b', x: 2 }]), [
    { op: 'remove', path: '/2' },
    { op: 'remove', path: '/0' },
    { op: 'replace', path: '/0/x', value: 2 },
  ]);
});

test('items in another order, or without names, are replaced together', (t) => {
  t.deepEqual(diff([{ name: 'a' }, { name: 'b' }], [{ name: 'b' }, { name: 'a' }])[0]?.op, 'replace');
  t.deepEqual(diff([1, 2], [2]), [{ op: 'replace', path: '', value: [2] }]);
});

test('an operation that does not fit is an error', (t) => {
  for (const operation of [
    { op: 'remove', path: '/x' },
    { op: 'replace', path: '/a/9', value: 1 },
    { op: 'add', path: '/missing/x', value: 1 },
    { op: 'add', path: '/b/c', value: 1 },
    { op: 'remove', path: 'a' },
    { op: 'add', path: '/a/', value: 1 },
    { op: 'remove', path: '/a/00' },
    { op: 'add', path: '/__proto__/x', value: 1 },
    { op: 'add', path: '/constructor/prototype/x', value: 1 },
  ] as const) {
    t.throws(() => applyPatch({ a: [1], b: 2 }, [operation]));
  }
});

test('an operation that is not known is an error, and the input stays as it was', (t) => {
  const document = { a: [1] };
  const foreign = JSON.parse('[{"op":"move","from":"/a","path":"/b"}]') as PatchOperation[];
  t.throws(() => applyPatch(document, foreign), { message: /move is not known/ });
  t.deepEqual(applyPatch(document, [{ op: 'add', path: '/a/-', value: 2 }]), { a: [1, 2] });
  t.deepEqual(document, { a: [1] });
  const odd = applyPatch({}, [{ op: 'add', path: '/__proto__', value: { x: 1 } }]) as object;
  t.is(Object.getPrototypeOf(odd), Object.prototype);
});
