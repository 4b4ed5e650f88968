import test from 'ava';
import fc from 'fast-check';
import { copyWords, equalWords, hashWords, mayHaveControls, slack, viewOf } from './words.ts';

const text = fc.uint8Array({ maxLength: 40 });
const gap = fc.integer({ min: 0, max: 9 });

/** The bytes at an offset in a larger buffer of other bytes. */
function placed(bytes: Uint8Array, offset: number, filler: number): Buffer {
  const b = Buffer.alloc(offset + bytes.length + 2 * slack, filler);
  b.set(bytes, offset);
  return b;
}

test('a copy is a copy at every offset, and touches no more than the slack', (t) => {
  fc.assert(
    fc.property(text, gap, gap, (bytes, from, to) => {
      const source = placed(bytes, from, 1);
      const target = Buffer.alloc(to + bytes.length + 2 * slack, 2);
      copyWords(viewOf(source), from, viewOf(target), to, bytes.length);
      t.deepEqual(target.subarray(to, to + bytes.length), Buffer.from(bytes));
      t.true(target.subarray(0, to).every((b) => b === 2));
      t.true(target.subarray(to + bytes.length + slack - 1).every((b) => b === 2));
    }),
  );
});

test('equal and hash depend on the bytes alone, not on where they lie or what is around them', (t) => {
  fc.assert(
    fc.property(text, gap, gap, fc.nat(), (bytes, a, b, at) => {
      const one = viewOf(placed(bytes, a, 3));
      const two = placed(bytes, b, 4);
      const { length } = bytes;
      t.true(equalWords(one, a, viewOf(two), b, length));
      const hash = hashWords(one, a, a + length, 7);
      t.is(hash, hashWords(viewOf(two), b, b + length, 7));
      if (length === 0) return;
      const changed = b + (at % length);
      two[changed] = (two[changed] ?? 0) ^ 1;
      t.false(equalWords(one, a, viewOf(two), b, length));
      t.not(hash, hashWords(viewOf(two), b, b + length, 7));
    }),
  );
});

test('a control character is noticed wherever it stands, and text without one is not suspected', (t) => {
  const plain = fc.array(
    fc.integer({ min: 32, max: 255 }).filter((c) => c !== 127),
    { maxLength: 24 },
  );
  fc.assert(
    fc.property(
      plain,
      gap,
      fc.nat(),
      fc.constantFrom(...Array.from({ length: 32 }, (_, c) => c), 127),
      (codes, at, where, bad) => {
        const b = placed(Uint8Array.from(codes), at, 0);
        t.false(mayHaveControls(viewOf(b), at, at + codes.length));
        if (codes.length === 0) return;
        b[at + (where % codes.length)] = bad;
        t.true(mayHaveControls(viewOf(b), at, at + codes.length));
      },
    ),
  );
});
