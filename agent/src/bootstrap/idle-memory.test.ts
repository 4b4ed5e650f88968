import { ManualClock } from '@chainmail/runtime';
import test from 'ava';
import { IdleMemory } from './idle-memory.ts';

const megabyte = 1024 * 1024;

/** A process of a given size that writes down what is asked of it. */
function rig() {
  const clock = new ManualClock();
  const asked: string[] = [];
  const size = { megabytes: 80, holds: false };
  const idle = new IdleMemory(clock, {
    anonymousBytes: () => size.megabytes * megabyte,
    holdsConfiguration: () => size.holds,
    releaseConfiguration: () => {
      size.holds = false;
      asked.push('release');
    },
    collect: () => void asked.push('collect'),
    trim: () => void asked.push('trim'),
  });
  return { clock, asked, size, idle };
}

test('what configuration needed is given back once it has been quiet for a while, and again after the next', (t) => {
  const { clock, asked, idle } = rig();
  idle.touched();
  clock.advance(2_000);
  idle.touched();
  clock.advance(2_000);
  t.deepEqual(asked, []);
  clock.advance(1_000);
  t.deepEqual(asked, ['release', 'collect', 'trim']);
  clock.advance(60_000);
  t.deepEqual(asked, ['release', 'collect', 'trim']);
  idle.touched();
  clock.advance(3_000);
  t.deepEqual(asked, ['release', 'collect', 'trim', 'release', 'collect', 'trim']);
});

test('a process that has grown is trimmed, one that has not is left alone', (t) => {
  const { clock, asked, size, idle } = rig();
  idle.touched();
  clock.advance(3_000);
  asked.length = 0;
  clock.advance(10_000);
  size.megabytes = 84;
  clock.advance(20_000);
  t.deepEqual(asked, []);
  size.megabytes = 85;
  clock.advance(5_000);
  t.deepEqual(asked, ['trim']);
});

test('traffic that begins before the first look after a trim is noticed all the same', (t) => {
  const { clock, asked, size, idle } = rig();
  idle.touched();
  clock.advance(3_000);
  asked.length = 0;
  size.megabytes = 95;
  clock.advance(5_000);
  t.deepEqual(asked, ['trim']);
});

test('what a trim cannot give back counts as usual: a busy process is not trimmed over and over', (t) => {
  const { clock, asked, size, idle } = rig();
  idle.touched();
  clock.advance(3_000);
  asked.length = 0;
  size.megabytes = 120;
  clock.advance(5_000);
  t.deepEqual(asked, ['trim']);
  // Once more when it grows no longer, for what the compilers touched meanwhile.
  clock.advance(60_000);
  t.deepEqual(asked, ['trim', 'collect', 'trim']);
});

test('what was built again without an update, for an acknowledgement, goes as well', (t) => {
  const { clock, asked, size } = rig();
  clock.advance(20_000);
  asked.length = 0;
  size.holds = true;
  clock.advance(13_000);
  t.deepEqual(asked, ['release', 'collect', 'trim']);
  clock.advance(60_000);
  t.deepEqual(asked, ['release', 'collect', 'trim']);
});

test('nothing is given back after the end', (t) => {
  const { clock, asked, size, idle } = rig();
  idle.touched();
  idle.stop();
  size.megabytes = 500;
  clock.advance(60_000);
  t.deepEqual(asked, []);
});
