import { ManualClock } from '@chainmail/runtime';
import test from 'ava';
import type { Probe } from './pod.ts';
import { count, freshTally, ProbeLoop, type Tally } from './probe-loop.ts';

const thresholds = { success: 2, failure: 3 };
const after = (results: readonly boolean[]): Tally => results.reduce((t, ok) => count(t, ok, thresholds), freshTally);

test('a verdict needs a full run of equal results', (t) => {
  t.is(after([true]).verdict, 'unknown');
  t.is(after([true, true]).verdict, 'success');
  t.is(after([true, true, false, false]).verdict, 'success');
  t.is(after([true, true, false, false, false]).verdict, 'failure');
  t.is(after([true, true, false, false, true, false]).verdict, 'success', 'a success in between starts the count anew');
});

function loop(
  probe: Probe,
  results: boolean[],
  eager: boolean,
): { clock: ManualClock; calls: number[]; verdicts: string[]; stop: () => void } {
  const clock = new ManualClock();
  const calls: number[] = [];
  const verdicts: string[] = [];
  const l = new ProbeLoop({
    probe,
    clock,
    eager,
    run: async () => {
      calls.push(clock.now());
      return results.shift() === false ? { ok: false, reason: 'no' } : { ok: true };
    },
    onVerdict: (verdict) => verdicts.push(verdict),
  });
  return { clock, calls, verdicts, stop: () => l.stop() };
}

async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let i = 0; i < ms; i += 250) {
    clock.advance(250);
    await new Promise((done) => setImmediate(done));
  }
}

test('an eager probe asks twice a second until it first succeeds, then at its period', async (t) => {
  const { clock, calls, verdicts } = loop({ periodSeconds: 5 }, [false, false, true, true], true);
  await pass(clock, 7000);
  t.deepEqual(calls, [0, 750, 1250, 6250], 'each delay begins when the answer is there, a quarter second later here');
  t.deepEqual(verdicts, ['success', 'success']);
});

test('a patient probe waits its delay and keeps its period from the start', async (t) => {
  const { clock, calls, verdicts, stop } = loop(
    { initialDelaySeconds: 1, periodSeconds: 2 },
    [false, false, false],
    false,
  );
  await pass(clock, 5500);
  t.deepEqual(calls, [1000, 3000, 5000]);
  t.deepEqual(verdicts, ['failure']);
  stop();
  await pass(clock, 5000);
  t.is(calls.length, 3);
});
