import test from 'ava';
import { ManualClock } from './clock.ts';

test('timers fire in the order of their times, also those set while time passes', (t) => {
  const clock = new ManualClock(1000);
  const fired: string[] = [];
  clock.after(30, () => fired.push(`c@${clock.now()}`));
  clock.after(10, () => {
    fired.push(`a@${clock.now()}`);
    clock.after(10, () => fired.push(`b@${clock.now()}`));
  });
  clock.advance(25);
  t.deepEqual(fired, ['a@1010', 'b@1020']);
  t.is(clock.now(), 1025);
  clock.advance(5);
  t.deepEqual(fired, ['a@1010', 'b@1020', 'c@1030']);
});

test('a cancelled timer does not fire', (t) => {
  const clock = new ManualClock();
  const timer = clock.after(5, () => t.fail('fired'));
  t.is(clock.pending, 1);
  timer.cancel();
  clock.advance(10);
  t.is(clock.pending, 0);
});
