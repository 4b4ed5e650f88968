import test from 'ava';
import { Backoff } from './backoff.ts';

test('delays double between half and all of the ceiling, and stop at the maximum', (t) => {
  const low = new Backoff({ baseMs: 100, maxMs: 1000, random: () => 0 });
  const high = new Backoff({ baseMs: 100, maxMs: 1000, random: () => 1 });
  t.deepEqual([low.next(), low.next(), low.next(), low.next(), low.next()], [50, 100, 200, 400, 500]);
  t.deepEqual([high.next(), high.next(), high.next(), high.next(), high.next()], [100, 200, 400, 800, 1000]);
});

test('a success starts over, and a thousand failures do not overflow', (t) => {
  const b = new Backoff({ baseMs: 10, maxMs: 30_000, random: () => 1 });
  for (let i = 0; i < 1000; i++) b.next();
  t.is(b.next(), 30_000);
  b.reset();
  t.is(b.next(), 10);
});
