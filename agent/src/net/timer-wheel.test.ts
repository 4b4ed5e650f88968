import test from 'ava';
import { seededRandom } from '../worker/random.ts';
import { firedPerTurn, TimerWheel, tickMs } from './timer-wheel.ts';

const noFault = (error: unknown): void => {
  throw error;
};

test('never early, and late by a tick at most, over all levels', (t) => {
  const random = seededRandom(1);
  const wheel = new TimerWheel(12_345);
  let now = 12_345;
  let wrong = 0;
  let fired = 0;
  const set = (delayMs: number): void => {
    const due = now + delayMs;
    wheel.set(now, delayMs, () => {
      fired++;
      if (now < due || now >= due + 2 * tickMs) wrong++;
    });
  };
  for (let i = 0; i < 2000; i++) set(Math.floor(random() ** 6 * 20_000_000));
  while (wheel.count > 0) {
    now += tickMs;
    do wheel.advance(now, noFault);
    while (wheel.count > 0 && wheel.sleepMs(now, tickMs) === 0);
  }
  t.is(fired, 2000);
  t.is(wrong, 0);
});

test('a cancelled timer stays silent, also when it is cancelled twice or after it fired', (t) => {
  const wheel = new TimerWheel(0);
  let calls = 0;
  const one = wheel.set(0, 50, () => calls++);
  const two = wheel.set(0, 50, () => calls++);
  one.cancel();
  one.cancel();
  wheel.advance(100, noFault);
  two.cancel();
  t.is(calls, 1);
  t.is(wheel.count, 0);
});

test('a timer may cancel its neighbour and set another', (t) => {
  const wheel = new TimerWheel(0);
  const calls: string[] = [];
  wheel.set(0, 20, () => {
    calls.push('first');
    second.cancel();
    wheel.set(20, 10, () => calls.push('third'));
  });
  const second = wheel.set(0, 20, () => calls.push('second'));
  wheel.advance(20, noFault);
  t.deepEqual(calls, ['first']);
  wheel.advance(40, noFault);
  t.deepEqual(calls, ['first', 'third']);
});

test('the loop sleeps until the next timer, and no longer than allowed', (t) => {
  const wheel = new TimerWheel(0);
  t.is(wheel.sleepMs(0, 100), 100);
  wheel.set(0, 35, () => {});
  t.is(wheel.sleepMs(0, 100), 40);
  t.is(wheel.sleepMs(38, 100), 2);
  t.is(wheel.sleepMs(41, 100), 0);
});

test('what a timer throws reaches the fault handler and the others still fire', (t) => {
  const wheel = new TimerWheel(0);
  let called = false;
  wheel.set(0, 10, () => {
    throw new Error('x');
  });
  wheel.set(0, 10, () => {
    called = true;
  });
  const faults: unknown[] = [];
  wheel.advance(20, (error) => faults.push(error));
  t.is(faults.length, 1);
  t.true(called);
});

test('of a thousand that are due at once each turn fires a part, in their order, and the loop does not sleep', (t) => {
  const wheel = new TimerWheel(0);
  const fired: number[] = [];
  for (let i = 0; i < 1000; i++) wheel.set(0, 2560, () => fired.push(i));
  wheel.set(0, 2570, () => fired.push(1000));
  let turns = 0;
  for (; wheel.count > 0; turns++) {
    const before = fired.length;
    wheel.advance(2600, noFault);
    t.true(fired.length - before <= firedPerTurn);
    if (wheel.count > 0) t.is(wheel.sleepMs(2600, 100), 0);
  }
  t.is(turns, Math.ceil(1001 / firedPerTurn));
  t.deepEqual(
    fired,
    Array.from({ length: 1001 }, (_, i) => i),
  );
});
