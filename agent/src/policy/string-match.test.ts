import test from 'ava';
import type { StringMatchSpec } from '../model/tls.ts';
import { asciiLower, compileStringMatch } from './string-match.ts';

const cases: readonly (readonly [StringMatchSpec['kind'], string, boolean, readonly string[], readonly string[]])[] = [
  ['exact', 'spiffe://td/ns/a/sa/a.b', false, ['spiffe://td/ns/a/sa/a.b'], ['spiffe://td/ns/a/sa/axb', '']],
  ['exact', 'Abc', true, ['abc', 'ABC'], ['abcd', 'ab']],
  ['prefix', '/api', false, ['/api', '/apix'], ['/ap', '/API']],
  ['prefix', '/API', true, ['/api/x'], ['/ap']],
  ['suffix', '.png', false, ['a.png', '.png'], ['a.png?', '.PNG']],
  ['contains', 'b', false, ['abc', 'b'], ['ac', '']],
  ['contains', 'B', true, ['abc'], ['ac']],
  ['regex', 'a.c', false, ['abc'], ['abcd', 'ABC']],
  ['regex', 'a.c', true, ['abc'], ['ABC']],
];

for (const [kind, value, ignoreCase, fits, fitsNot] of cases) {
  test(`${kind} '${value}'${ignoreCase ? ' without case' : ''}`, (t) => {
    const matches = compileStringMatch({ kind, value, ignoreCase });
    t.deepEqual(fits.filter(matches), [...fits]);
    t.deepEqual(fitsNot.filter(matches), []);
  });
}

test('only ASCII letters fold', (t) => {
  t.is(asciiLower('ÄB\u0130C'), 'Äb\u0130c');
  t.false(compileStringMatch({ kind: 'exact', value: 'ä', ignoreCase: true })('Ä'));
});
