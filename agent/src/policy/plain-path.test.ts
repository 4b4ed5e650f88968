import test from 'ava';
import fc from 'fast-check';
import type { StringMatchSpec } from '../model/tls.ts';
import { compilePlainPath } from './plain-path.ts';
import { pathRule } from './subject.ts';
import { connection, request } from './testing/request.ts';

const spec = (kind: StringMatchSpec['kind'], value: string, ignoreCase = false): StringMatchSpec => ({
  kind,
  value,
  ignoreCase,
});
const ask = (wanted: StringMatchSpec, path: string) => compilePlainPath(wanted)?.(request({ path }));

test('plain paths are compared, without their query', (t) => {
  t.is(ask(spec('exact', '/a'), '/a'), 'yes');
  t.is(ask(spec('exact', '/a'), '/a?x=%2f'), 'yes');
  t.is(ask(spec('exact', '/a'), '/ab'), 'no');
  t.is(ask(spec('exact', '/a'), '/'), 'no');
  t.is(ask(spec('prefix', '/a'), '/ab'), 'yes');
  t.is(ask(spec('prefix', '/a'), '/'), 'no');
  t.is(ask(spec('prefix', ''), '/'), 'yes');
});

test('what may be read in another way is not', (t) => {
  for (const path of ['', '/a%2fb', '/a%20', '/a;b', '/a#b', '/a\\b', '/\u00e4']) {
    t.is(ask(spec('prefix', '/'), path), 'not plain', path);
  }
});

test('what has to be compared as text is', (t) => {
  t.is(compilePlainPath(spec('prefix', '/a', true)), null);
  t.is(compilePlainPath(spec('exact', '/\u00e4')), null);
  for (const kind of ['suffix', 'contains', 'regex'] as const) t.is(compilePlainPath(spec(kind, 'a')), null);
});

test('as bytes and as text, every path is judged alike', (t) => {
  const piece = fc.constantFrom('/', 'a', 'b', '..', '.', ';', '#', '%2f', '%5C', '%20', '\\', '?', '\u00e4');
  const text = fc.array(piece, { maxLength: 6 }).map((all) => `/${all.join('')}`);
  const specs = fc.record({ kind: fc.constantFrom('exact' as const, 'prefix' as const), value: text });
  fc.assert(
    fc.property(specs, text, fc.constantFrom('grants' as const, 'denies' as const), ({ kind, value }, path, side) => {
      const view = request({ path });
      const rule = pathRule(side, spec(kind, value));
      return rule(view, connection()) === rule({ ...view, locatePath: () => false }, connection());
    }),
    { numRuns: 5000 },
  );
  t.pass();
});
