import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { UserError } from '@chainmail/runtime';
import test from 'ava';
import { compileRegex } from './regex.ts';

test('matches means the whole text, finds a part of it', (t) => {
  const regex = compileRegex('/api/v[0-9]+');
  t.true(regex.matches('/api/v12'));
  t.false(regex.matches('/api/v12/x'));
  t.false(regex.matches('x/api/v1'));
  t.true(regex.finds('x/api/v12/x'));
});

test('an alternative does not escape the anchors', (t) => {
  const regex = compileRegex('a|b');
  t.false(regex.matches('ax'));
  t.false(regex.matches('xb'));
});

test('a match takes linear time where a backtracking engine takes exponential time', (t) => {
  const regex = compileRegex('(a+)+b');
  const before = performance.now();
  t.false(regex.matches('a'.repeat(20_000)));
  t.true(performance.now() - before < 2000);
});

test('replaces every match, with the groups', (t) => {
  t.is(compileRegex('/([a-z]+)/([0-9]+)').replaceAll('/users/42/x/7', '/\\2/\\1'), '/42/users/7/x');
  t.is(compileRegex('b').replaceAll('abc', '[\\0\\\\]'), 'a[b\\]c');
  t.is(compileRegex('z').replaceAll('abc', 'x'), 'abc');
});

test('errors speak as RE2 does', (t) => {
  const messages = ['[bad', '(a', '*a', 'a**', '(?P<n', 'a{2000}', '(?=a)'].map(
    (pattern) => t.throws(() => compileRegex(pattern), { instanceOf: UserError, code: 'REGEX_INVALID' }).message,
  );
  t.deepEqual(messages, [
    'Invalid re2 regex: missing ]: [bad',
    'Invalid re2 regex: missing ): (a',
    'Invalid re2 regex: no argument for repetition operator: *',
    'Invalid re2 regex: bad repetition operator: **',
    'Invalid re2 regex: invalid named capture group: (?P<n',
    'Invalid re2 regex: invalid repetition size: {2000}',
    'Invalid re2 regex: invalid perl operator: (?=',
  ]);
});

test('an expression that explodes when compiled is refused', (t) => {
  t.throws(() => compileRegex('((a{100}){100}){100}'), { code: 'REGEX_INVALID' });
  t.throws(() => compileRegex('[a-z]{1000}'.repeat(11)), { code: 'REGEX_TOO_LARGE' });
  t.throws(() => compileRegex('a'.repeat(5000)), { code: 'REGEX_TOO_LARGE' });
});

test('policies and routes without regular expressions do not load the engine', (t) => {
  const at = (file: string): string => JSON.stringify(fileURLToPath(new URL(file, import.meta.url)));
  const script = `
    const { regexEngineLoaded, compileRegex } = await import(${at('./regex.ts')});
    const { compileStringMatch } = await import(${at('./string-match.ts')});
    await import(${at('./rbac.ts')});
    await import(${at('../route/compile.ts')});
    compileStringMatch({ kind: 'prefix', value: '/', ignoreCase: false });
    const before = regexEngineLoaded();
    compileRegex('a');
    console.log(before, regexEngineLoaded());`;
  const out = execFileSync(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  t.is(out.trim(), 'false true');
});
