import test from 'ava';
import { FreeList } from './free-list.ts';
import type { Timers } from './runtime.ts';

/** A timer at a time, which the test runs. */
class OneTimer implements Timers {
  due: (() => void) | null = null;
  started = 0;

  after(_delayMs: number, call: () => void) {
    this.due = call;
    this.started++;
    return { cancel: () => {} };
  }

  run(): void {
    const call = this.due;
    this.due = null;
    call?.();
  }
}

interface Item {
  readonly number: number;
}

function list() {
  const timers = new OneTimer();
  let made = 0;
  const free = new FreeList<Item>(() => ({ number: made++ }), timers);
  const takeMany = (n: number): Item[] => Array.from({ length: n }, () => free.take());
  const giveAll = (items: readonly Item[]): void => {
    for (const item of items) free.give(item);
  };
  return { free, timers, takeMany, giveAll, made: () => made };
}

test('regression: what is in use at once is not made again, however much it is', (t) => {
  const { timers, takeMany, giveAll, made } = list();
  for (let round = 0; round < 10; round++) {
    giveAll(takeMany(5000));
    timers.run();
  }
  t.is(made(), 5000);
});

test('the one that was given last comes first', (t) => {
  const { free, takeMany } = list();
  const [a, b] = takeMany(2) as [Item, Item];
  free.give(b);
  free.give(a);
  t.is(free.take(), a);
});

test('it is known how many are in use, whatever was trimmed', (t) => {
  const { free, timers, takeMany, giveAll } = list();
  const items = takeMany(300);
  t.is(free.lent, 300);
  giveAll(items.slice(5));
  timers.run();
  timers.run();
  t.is(free.size, 64);
  t.is(free.lent, 5);
});

test('what nobody needed between two trims goes, the coldest first, down to a few that stay', (t) => {
  const { free, timers, takeMany, giveAll } = list();
  giveAll(takeMany(1000));
  timers.run();
  t.is(free.size, 1000, 'all of them were in use since the list began to fill');
  giveAll(takeMany(300));
  const hot = free.take();
  free.give(hot);
  timers.run();
  t.is(free.size, 300);
  t.is(free.take(), hot);
  free.give(hot);
  timers.run();
  t.is(free.size, 64);
  t.is(timers.due, null, 'a list at rest has no timer');
});

test('a small list has no timer', (t) => {
  const { timers, takeMany, giveAll } = list();
  for (let round = 0; round < 3; round++) giveAll(takeMany(64));
  t.is(timers.started, 0);
});
