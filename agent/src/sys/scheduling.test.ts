import fs from 'node:fs';
import os from 'node:os';
import test from 'ava';
import { runSoon } from './scheduling.ts';

/** Policy and nice value of this thread (proc_pid_stat(5), fields 41 and 19). */
function scheduled(): readonly string[] {
  const fields = fs
    .readFileSync('/proc/thread-self/stat', 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return [fields[38] ?? '', fields[16] ?? ''];
}

test('short slices are asked for, and neither the policy nor the nice value changes', (t) => {
  os.setPriority(3);
  const before = scheduled();
  t.deepEqual(before, ['0', '3']);
  t.true(runSoon());
  t.true(runSoon(), 'again');
  t.deepEqual(scheduled(), before);
});
