import { ManualClock } from '@chainmail/runtime';
import test from 'ava';
import { IdleMemory } from './idle-memory.ts';

test('memory is given back once configuration has been quiet for a while, and again after the next', (t) => {
  const clock = new ManualClock();
  let released = 0;
  const idle = new IdleMemory(clock, () => {
    released++;
  });
  idle.touched();
  clock.advance(2_000);
  idle.touched();
  clock.advance(2_000);
  t.is(released, 0);
  clock.advance(1_000);
  t.is(released, 1);
  clock.advance(60_000);
  t.is(released, 1);
  idle.touched();
  clock.advance(3_000);
  t.is(released, 2);
});

test('nothing is given back after the end', (t) => {
  const clock = new ManualClock();
  let released = 0;
  const idle = new IdleMemory(clock, () => {
    released++;
  });
  idle.touched();
  idle.stop();
  clock.advance(10_000);
  t.is(released, 0);
});
