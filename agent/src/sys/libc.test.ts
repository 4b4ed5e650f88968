import test from 'ava';
import { monotonicMs } from './libc.ts';

test('the clock is the one of the system, in milliseconds, and never goes back', (t) => {
  const before = Number(process.hrtime.bigint()) / 1e6;
  let last = monotonicMs();
  t.true(last >= before && last < before + 1000);
  for (let i = 0; i < 20_000; i++) {
    const now = monotonicMs();
    if (now < last) t.fail(`${last} and then ${now}`);
    last = now;
  }
});
