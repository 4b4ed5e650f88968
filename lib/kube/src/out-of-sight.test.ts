import test from 'ava';
import { hides, withOutOfSight } from './out-of-sight.ts';
import { type Loaded, parseObjects } from './parse-objects.ts';

const account = (name: string): string => `apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: ${name} }\n`;
const names = (l: Loaded): string[] => l.objects.map((o) => String(o.object.metadata.name));

test('a problem hides its file and what lies below its folder, and no namesake', (t) => {
  const at = (file: string) => ({ origin: { file, line: 1 }, reason: 'x' });
  t.true(hides(at('/a/b.yaml'), '/a/b.yaml'));
  t.true(hides(at('/a'), '/a/b.yaml'));
  t.true(hides(at('/a/'), '/a/b.yaml'));
  t.false(hides(at('/a'), '/ab/c.yaml'));
});

test('what a broken file held stays; what was removed from a sound one goes', (t) => {
  const before = parseObjects(`${account('a')}---\n${account('b')}`, 'f.yaml').objects;
  t.deepEqual(names(withOutOfSight(parseObjects(`${account('a')}---\nb: [`, 'f.yaml'), before)), ['a', 'b']);
  t.deepEqual(names(withOutOfSight(parseObjects(account('a'), 'f.yaml'), before)), ['a']);
  t.deepEqual(names(withOutOfSight(parseObjects('b: [', 'other.yaml'), before)), []);
});
