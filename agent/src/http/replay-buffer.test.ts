import test from 'ava';
import { maxReplayBytes, ReplayBuffer, replayBlocks } from './replay-buffer.ts';

const blocks = replayBlocks({ after: () => ({ cancel: () => {} }) });

const kept = (held: ReplayBuffer): string => held.bytes.toString('latin1', 0, held.length);

function offer(held: ReplayBuffer, text: string): void {
  held.offer(Buffer.from(text), 0, text.length);
}

test('a body that may be sent again is kept, as it grows beyond a block', (t) => {
  const held = new ReplayBuffer(blocks);
  held.begin(true, 1 << 20);
  const parts = Array.from({ length: 40 }, (_, i) => String.fromCharCode(97 + (i % 26)).repeat(100));
  for (const part of parts) offer(held, part);
  t.true(held.complete);
  t.is(kept(held), parts.join(''));
});

test('what is above the limit is not kept, and said to be incomplete', (t) => {
  const held = new ReplayBuffer(blocks);
  held.begin(true, 1 << 20);
  offer(held, 'x'.repeat(maxReplayBytes));
  t.true(held.complete);
  offer(held, 'y');
  t.false(held.complete);
  t.false(held.replayable);
});

test('regression: a block that has gone to another request is not written to by the one before', (t) => {
  const [first, second, third] = [new ReplayBuffer(blocks), new ReplayBuffer(blocks), new ReplayBuffer(blocks)];
  first.begin(true, 1000);
  offer(first, 'first');
  const block = first.bytes;
  first.clear();
  first.clear();
  t.is(first.length, 0);
  second.begin(true, 1000);
  offer(second, 'second');
  t.is(second.bytes, block, 'the block went on');
  third.begin(true, 1000);
  offer(third, 'third');
  t.not(third.bytes, block);
  first.begin(true, 1000);
  offer(first, 'again');
  t.deepEqual([first, second, third].map(kept), ['again', 'second', 'third']);
});

test('bytes that nobody can take yet are kept without being armed', (t) => {
  const held = new ReplayBuffer(blocks);
  held.begin(false, 1000);
  const bytes = Buffer.from('abc');
  held.offer(bytes, 0, 3);
  t.false(held.complete);
  held.keep(bytes, 0, 3);
  t.true(held.complete);
  t.is(kept(held), 'abc');
});
