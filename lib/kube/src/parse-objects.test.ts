import test from 'ava';
import { objectKey } from './object.ts';
import { parseObjects } from './parse-objects.ts';

const account = (name: string): string => `apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: ${name} }\n`;

test('several documents and Lists, each with its line', (t) => {
  const text = `${account('a')}---\n---\nkind: List\nitems:\n  - { apiVersion: v1, kind: ServiceAccount, metadata: { name: b } }\n  - { apiVersion: v1 }\n`;
  const loaded = parseObjects(text, 'f');
  t.deepEqual(
    loaded.objects.map((o) => [objectKey(o.object), o.origin.line]),
    [
      ['ServiceAccount/a', 1],
      ['ServiceAccount/b', 8],
    ],
  );
  t.deepEqual(
    loaded.problems.map((p) => [p.origin.line, p.reason]),
    [[9, 'kind is missing']],
  );
});

test('a broken document does not hide the others', (t) => {
  const loaded = parseObjects(`${account('a')}---\na: b: c\n---\n${account('b')}`, 'f');
  t.deepEqual(
    loaded.objects.map((o) => o.object.metadata.name),
    ['a', 'b'],
  );
  t.is(loaded.problems[0]?.origin.line, 5);
});
