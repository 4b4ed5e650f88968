import test from 'ava';
import { hasCycle, nestsTooDeep } from './text-nesting.ts';

test('brackets, and sequences within sequences on one line', (t) => {
  t.true(nestsTooDeep('['.repeat(257)));
  t.true(nestsTooDeep('{"a":'.repeat(300)));
  t.true(nestsTooDeep(`x:\n${'- '.repeat(300)}`));
  t.true(nestsTooDeep('? '.repeat(300)));
});

test('what is closed is not deep', (t) => {
  t.false(nestsTooDeep('[{}]'.repeat(10_000)));
  t.false(nestsTooDeep(`${'['.repeat(200)}${']'.repeat(200)}`));
  t.false(nestsTooDeep('- a\n'.repeat(10_000)));
  t.false(nestsTooDeep(']'.repeat(10_000)));
});

test('a large text is looked through in linear time', (t) => {
  const begun = performance.now();
  t.false(nestsTooDeep(`${' '.repeat(1_000_000)}- `.repeat(4)));
  t.true(performance.now() - begun < 2000);
});

test('a value that contains itself; the same value twice is no cycle', (t) => {
  const shared = { a: [1] };
  t.false(hasCycle({ x: shared, y: [shared, shared] }));
  t.false(hasCycle(null));
  const self: Record<string, unknown> = { list: [] };
  self['list'] = [{ self }];
  t.true(hasCycle({ self }));
});
