import test from 'ava';
import { median, orderOf, ratioOf, ratioText, startOrder } from './rotation.ts';

const peers = ['a', 'b', 'c', 'd', 'e', 'f'];
const rounds = (of: readonly string[], count: number, start = 0): string[][] =>
  Array.from({ length: count }, (_, round) => orderOf(of, round, start));
const count = (list: readonly string[]): Record<string, number> =>
  Object.fromEntries(list.map((x) => [x, list.filter((y) => y === x).length]));
const followings = (of: readonly string[][]): Record<string, number> =>
  count(of.flatMap((order) => order.slice(1).map((who, i) => `${order[i]}${who}`)));

test('rounds go forward and backward, and begin with another after both', (t) => {
  t.deepEqual(
    rounds(['a', 'b', 'c'], 6).map((order) => order.join('')),
    ['acb', 'bca', 'bac', 'cab', 'cba', 'abc'],
  );
});

for (const n of [2, 3, 4, 5, 6]) {
  test(`after two rounds ${n} peers have stood in the same place on average`, (t) => {
    const all = rounds(peers.slice(0, n), 2);
    for (const who of peers.slice(0, n)) {
      t.is(
        all.reduce((sum, order) => sum + order.indexOf(who), 0),
        n - 1,
      );
    }
  });

  test(`after all rounds of ${n} peers each has followed each other equally often`, (t) => {
    const found = followings(rounds(peers.slice(0, n), 2 * n));
    const pairs = Object.entries(found);
    t.is(pairs.length, n * (n - 1));
    t.is(new Set(pairs.map(([, times]) => times)).size, 1);
  });
}

test('an odd number of rounds is even over two starts', (t) => {
  const all = [0, 1].flatMap((start) => rounds(peers, 3, start));
  for (const who of peers) {
    t.is(
      all.reduce((sum, order) => sum + order.indexOf(who), 0),
      15,
    );
  }
  const found = followings(all);
  for (const [pair, times] of Object.entries(found)) t.is(times, found[[...pair].reverse().join('')] ?? 0);
});

test('every other start is reversed', (t) => {
  t.deepEqual(
    [0, 1, 2].map((start) => startOrder(['a', 'b'], start).join('')),
    ['ab', 'ba', 'ab'],
  );
});

test('nothing is asked of nobody, and one peer is alone in every round', (t) => {
  t.deepEqual(orderOf([], 3), []);
  t.deepEqual(rounds(['a'], 2), [['a'], ['a']]);
});

test('the median of an even list lies between its two middles', (t) => {
  t.is(median([4, 1, 3, 2]), 2.5);
  t.is(median([3, 1, 2]), 2);
  t.is(median([]), Number.NaN);
});

test('a ratio is of pairs: a machine that gets slower slows both', (t) => {
  const { value, spread } = ratioOf([9, 18, 36], [10, 20, 40]);
  t.true(Math.abs(value - 0.9) < 1e-9);
  t.true(Math.abs(spread) < 1e-9);
});

test('exchanged sides give the inverse, whatever the number of rounds', (t) => {
  const [ours, theirs] = [
    [10, 11, 9, 14, 10.5, 8],
    [9.5, 10, 10, 10, 11, 9],
  ];
  for (let n = 1; n <= ours.length; n++) {
    const there = ratioOf(ours.slice(0, n), theirs.slice(0, n)).value;
    const back = ratioOf(theirs.slice(0, n), ours.slice(0, n)).value;
    t.true(Math.abs(there * back - 1) < 1e-9);
  }
});

test('two starts that lean to opposite sides cancel each other', (t) => {
  const lean = [0.95, 0.95, 0.95, 1 / 0.95, 1 / 0.95, 1 / 0.95];
  const { value, spread } = ratioOf(lean, [1, 1, 1, 1, 1, 1]);
  t.true(Math.abs(value - 1) < 1e-9);
  t.true(spread > 0.05);
});

test('rounds in which something else ran do not count, up to two of six', (t) => {
  t.is(ratioOf([1, 1, 5, 1, 5, 1], [1, 1, 1, 1, 1, 1]).value, 1);
});

test('the spread is shown where there is one', (t) => {
  t.is(ratioText({ value: 0.981, spread: 0.021 }), '0.98 +-0.02');
  t.is(ratioText(ratioOf([1, 1], [1, 1])), '1.00');
  t.is(ratioText(ratioOf([1, 1], [0, 0])), 'Infinity');
});
