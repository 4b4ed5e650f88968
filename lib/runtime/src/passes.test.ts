import test from 'ava';
import { Passes } from './passes.ts';

/** Passes that end when the test says so. */
function held() {
  const ends: (() => void)[] = [];
  const passes = new Passes(() => new Promise<void>((done) => ends.push(done)));
  const turn = (): Promise<void> => new Promise((done) => setImmediate(done));
  return { passes, ends, turn };
}

test('one at a time, and once more however often it was asked for meanwhile', async (t) => {
  const { passes, ends, turn } = held();
  passes.ask();
  t.is(ends.length, 1, 'it begins at once');
  t.false(passes.isAskedAgain);
  passes.ask();
  passes.ask();
  t.true(passes.isAskedAgain);
  await turn();
  t.is(ends.length, 1);
  ends[0]?.();
  await turn();
  t.is(ends.length, 2);
  t.false(passes.isAskedAgain);
  ends[1]?.();
  await turn();
  t.is(ends.length, 2);
  passes.ask();
  t.is(ends.length, 3);
});

test('nothing begins after the end', async (t) => {
  const { passes, ends, turn } = held();
  passes.ask();
  passes.ask();
  passes.close();
  ends[0]?.();
  await turn();
  passes.ask();
  t.is(ends.length, 1);
});
