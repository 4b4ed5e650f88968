import test from 'ava';
import { changeLine, changes, isWorse } from './regression.ts';

const reference = { small: { nginx: 1, haproxy: 0.8 }, rich: { nginx: 1.1 } };

test('more than a tenth is worse, a tenth is not, faster never is', (t) => {
  const worse = (now: number): boolean => changes({ a: { nginx: 1 } }, { a: { nginx: now } }).some(isWorse);
  t.false(worse(0.5));
  t.false(worse(1));
  t.false(worse(1.1));
  t.true(worse(1.101));
});

test('each peer of each row is compared with its own figure', (t) => {
  const found = changes(reference, { small: { nginx: 1.05, haproxy: 0.95 }, rich: { nginx: 1.3 } }).filter(isWorse);
  t.deepEqual(
    found.map((c) => [c.row, c.peer]),
    [
      ['small', 'haproxy'],
      ['rich', 'nginx'],
    ],
  );
});

test('a slower row is a warning with both figures, in a form that can be searched for', (t) => {
  const [line = ''] = changes(reference, { rich: { nginx: 1.32 } })
    .filter(isWorse)
    .map(changeLine);
  t.regex(line, /^WARNING: rich, agent\/nginx +1\.10 -> 1\.32: 20 % more CPU than the reference$/);
});

test('what was not measured and what is new is said, and is no warning', (t) => {
  const lines = changes(reference, { small: { nginx: 0.7 }, fresh: { nginx: 2 } }).map(changeLine);
  t.false(lines.some((l) => l.startsWith('WARNING')));
  t.true(lines.some((l) => /small, agent\/nginx +1\.00 -> 0\.70: 30 % less/.test(l)));
  t.true(lines.some((l) => /small, agent\/haproxy +not measured \(0\.80 in the reference\)/.test(l)));
  t.true(lines.some((l) => /fresh, agent\/nginx +2\.00, not in the reference/.test(l)));
});
