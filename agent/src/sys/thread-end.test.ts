import { spawnSync } from 'node:child_process';
import path from 'node:path';
import test from 'ava';

/** V8 begins to optimise early, so that a long function is still being compiled when its thread ends. */
const flags = ['--no-warnings', '--invocation-count-for-turbofan=30', '--minimum-invocations-after-ic-update=10'];

test('threads end while V8 compiles what they ran, and the process lives', (t) => {
  // glibc fills what is freed: whoever looks into it finds nothing that could pass for what was there.
  const env = { ...process.env, MALLOC_PERTURB_: '165' };
  const child = path.join(import.meta.dirname, 'thread-end.test-child.ts');
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [...flags, child], { env, encoding: 'utf8' });
  t.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: '' });
  t.is(stdout, '10 threads have ended\n');
});
