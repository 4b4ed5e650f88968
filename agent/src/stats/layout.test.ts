import test from 'ava';
import fc from 'fast-check';
import { bucketFloor, bucketOf, histogramBuckets, histogramSlots, observe } from './layout.ts';

test('every value lies in its bucket', (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.nat({ max: 100 }), fc.nat(), fc.maxSafeNat()), (value) => {
      const i = bucketOf(value);
      const last = i === histogramBuckets - 1;
      return bucketFloor(i) <= value && (last || value < bucketFloor(i + 1));
    }),
  );
  t.pass();
});

test('buckets are no wider than an eighth of their value', (t) => {
  for (let i = 16; i < histogramBuckets - 1; i++) {
    t.true((bucketFloor(i + 1) - bucketFloor(i)) / bucketFloor(i) <= 1 / 8);
  }
});

test('observe counts, sums and sorts in', (t) => {
  const slots = new Float64Array(3 + histogramSlots);
  for (const value of [0, 7, 7, 1000, -1]) observe(slots, 3, value);
  t.is(slots[3], 5);
  t.is(slots[4], 1013);
  t.is(slots[3 + 2 + bucketOf(7)], 2);
  t.is(slots[3 + 2], 2);
});
