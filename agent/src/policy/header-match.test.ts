import test from 'ava';
import type { HeaderMatchSpec } from '../model/http.ts';
import { compileHeaderMatch, type Quantifier } from './header-match.ts';
import { request } from './testing/request.ts';

type Value = HeaderMatchSpec['match'];
const exact = (value: string): Value => ({ kind: 'string', value: { kind: 'exact', value, ignoreCase: false } });

function matches(
  match: Value,
  values: readonly string[],
  of: Partial<HeaderMatchSpec> & { readonly quantifier?: Quantifier } = {},
): boolean {
  const { quantifier = 'any', ...spec } = of;
  const compiled = compileHeaderMatch(
    { name: 'x-a', match, invert: false, treatMissingAsEmpty: false, ...spec },
    quantifier,
  );
  return compiled(request({ headers: values.map((v) => ['x-a', v] as const) }));
}

test('exact compares trimmed values, each on its own', (t) => {
  t.true(matches(exact('One'), ['One']));
  t.true(matches(exact('One'), [' One\t']));
  t.true(matches(exact('One'), ['One', 'Two']));
  t.true(matches(exact('One'), ['Zero', 'One']));
  t.false(matches(exact('One'), ['One,Two']));
  t.false(matches(exact('One'), []));
});

test('the other quantifier wants every value', (t) => {
  t.true(matches(exact('One'), ['One', 'One'], { quantifier: 'every' }));
  t.false(matches(exact('One'), ['One', 'Two'], { quantifier: 'every' }));
  t.false(matches(exact('One'), [], { quantifier: 'every' }));
});

test('an inverted matcher does not match when the header is absent', (t) => {
  t.false(matches(exact('One'), [], { invert: true }));
  t.true(matches(exact('One'), ['Two'], { invert: true }));
  t.false(matches(exact('One'), ['One'], { invert: true }));
  t.true(matches(exact('One'), ['One', 'Two'], { invert: true }));
  t.false(matches(exact('One'), ['One', 'Two'], { invert: true, quantifier: 'every' }));
});

test('treat missing as empty', (t) => {
  t.true(matches(exact(''), [], { treatMissingAsEmpty: true }));
  t.true(matches(exact('One'), [], { treatMissingAsEmpty: true, invert: true }));
  t.false(matches(exact('One'), [], { treatMissingAsEmpty: true }));
});

test('present', (t) => {
  const present: Value = { kind: 'present', present: true };
  t.true(matches(present, ['']));
  t.false(matches(present, []));
  t.true(matches({ kind: 'present', present: false }, []));
  t.true(matches(present, [], { invert: true }));
});

test('a range is half open and takes whole numbers only', (t) => {
  const range: Value = { kind: 'range', start: -10, end: 10 };
  t.deepEqual(
    ['-10', '9', ' 3 ', '+4', '10', '-11', '', '1.5', '0x1', 'a', '1e0'].filter((v) => matches(range, [v])),
    ['-10', '9', ' 3 ', '+4'],
  );
});

test('pseudo-headers and Host', (t) => {
  const view = request({ method: 'POST', path: '/p?q', authority: 'h.test' });
  const one = (name: string, value: string): boolean =>
    compileHeaderMatch({ name, match: exact(value), invert: false, treatMissingAsEmpty: false })(view);
  t.true(one(':method', 'POST'));
  t.true(one(':path', '/p?q'));
  t.true(one(':authority', 'h.test'));
  t.true(one('host', 'h.test'));
  t.true(one(':scheme', 'http'));
});
