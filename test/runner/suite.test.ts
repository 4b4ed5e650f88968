import path from 'node:path';
import test from 'ava';
import { closing, runAva } from './suite.ts';

const folder = path.resolve(import.meta.dirname, '..');
const config = ['--config', 'runner/cases/ava.config.mjs'];

async function run(
  file: string,
  ...more: readonly string[]
): Promise<{ readonly shown: string; readonly last: readonly string[] }> {
  const shown: string[] = [];
  const report = await runAva(folder, [...config, ...more, `runner/cases/${file}`], (line) => shown.push(line));
  return { shown: shown.join('\n'), last: closing([report], Date.now()).filter((line) => !line.startsWith('took')) };
}

test('an exception out of nowhere is told with its file and what it was', async (t) => {
  const { shown, last } = await run('throws.case.ts');
  t.deepEqual(last, [
    'FAILED: Uncaught exception in runner/cases/throws.case.ts: Error: out of nowhere',
    '1 passed, 1 failed',
  ]);
  t.true(shown.includes('  ok      passes'), shown);
  t.true(shown.includes('  NOT OK  Uncaught exception in runner/cases/throws.case.ts'), shown);
});

test('so is a rejection that nobody handles', async (t) => {
  const { last } = await run('rejects.case.ts');
  t.deepEqual(last, [
    'FAILED: Unhandled rejection in runner/cases/rejects.case.ts: TypeError: nobody looks',
    '1 passed, 1 failed',
  ]);
});

test('tests that fail are named at the end, and told in full before', async (t) => {
  const { shown, last } = await run('fails.case.ts');
  t.deepEqual(last, [
    'FAILED: fails a sum',
    'FAILED: never ends Promise returned by test never resolved',
    '0 passed, 2 failed, 1 skipped',
  ]);
  t.regex(shown, /# what failed, in full[\s\S]*- 2[\s\S]*\+ 3/);
});

test('a hook that fails is named', async (t) => {
  const { last } = await run('hook.case.ts');
  t.deepEqual(last, ['FAILED: a hook Error thrown in test', '1 passed, 1 failed']);
});

test('a test that ends the process is named', async (t) => {
  const { last } = await run('exits.case.ts');
  t.deepEqual(last, [
    'FAILED: Exiting due to process.exit() when running runner/cases/exits.case.ts',
    '0 passed, 1 failed',
  ]);
});

test('a test that does not end in time is named', async (t) => {
  const { last } = await run('hangs.case.ts', '--timeout', '10s');
  t.deepEqual(last, ['FAILED: hangs: still running when its time was over', '0 passed, 1 failed']);
});

test('a file that cannot be loaded is named', async (t) => {
  const { last } = await run('imports.case.ts');
  t.regex(
    last.join('\n'),
    /^FAILED: Uncaught exception in runner\/cases\/imports\.case\.ts: .*absent\.ts.*\n0 passed, 1 failed$/,
  );
});

test('a pattern without files is a failure', async (t) => {
  const { last } = await run('nothing.case.ts');
  t.regex(last.join('\n'), /^FAILED: .*did not match the filters:\n0 passed, 1 failed$/);
});
