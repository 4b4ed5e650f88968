import { ManualClock } from '@chainmail/runtime';
import test from 'ava';
import { RateLimit } from './rate-limit.ts';

test('a burst, then the rate; keys are apart', (t) => {
  const clock = new ManualClock();
  const limit = new RateLimit({ perSecond: 2, burst: 3 }, clock);
  const taken = (key: string, of: number): number =>
    Array.from({ length: of }, () => limit.take(key)).filter(Boolean).length;
  t.is(taken('a', 10), 3);
  t.is(taken('b', 1), 1);
  clock.advance(1000);
  t.is(taken('a', 10), 2);
  clock.advance(1_000_000);
  t.is(taken('a', 10), 3, 'never more than the burst');
});

test('a flood of keys does not grow it, nor does it set a limited key free', (t) => {
  const clock = new ManualClock();
  const limit = new RateLimit({ perSecond: 1, burst: 1, maxKeys: 100 }, clock);
  for (let i = 0; i < 90; i++) t.true(limit.take(`early-${i}`));
  clock.advance(1000);
  t.true(limit.take('limited'));
  for (let i = 0; i < 90; i++) limit.take(`late-${i}`);
  t.false(limit.take('limited'));
});
