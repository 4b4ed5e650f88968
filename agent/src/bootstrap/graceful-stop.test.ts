import { ManualClock } from '@chainmail/runtime';
import test from 'ava';
import { drainConnections, type StopTiming } from './graceful-stop.ts';

const inPod: StopTiming = { deadlineMs: 30_000, acceptMs: 5_000, idleMs: 1_000 };

function setUp(timing: StopTiming, active: number) {
  const clock = new ManualClock();
  const calls: string[] = [];
  const state = { active, done: false };
  const targets = {
    drain: (deadlineMs: number) => void calls.push(`drain ${deadlineMs}`),
    stopListeners: (direction: string) => void calls.push(`stop ${direction} at ${clock.now()}`),
    activeConnections: () => state.active,
  };
  const done = drainConnections(targets, timing, clock).then(() => {
    state.done = true;
  });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return { clock, calls, state, done, settle };
}

test('in a pod inbound goes on for the lag of endpoints, outbound to the end', async (t) => {
  const { clock, calls, state, done, settle } = setUp(inPod, 1);
  clock.advance(4_900);
  t.deepEqual(calls, ['drain 30000']);
  clock.advance(200);
  t.deepEqual(calls, ['drain 30000', 'stop inbound at 5000']);
  await settle();
  t.false(state.done);
  state.active = 0;
  clock.advance(1_100);
  await done;
  t.deepEqual(calls.length, 2);
});

test('an idle agent leaves after a second, a busy one at the deadline', async (t) => {
  const idle = setUp(inPod, 0);
  idle.clock.advance(950);
  await idle.settle();
  t.false(idle.state.done);
  idle.clock.advance(100);
  await idle.done;
  const busy = setUp(inPod, 1);
  busy.clock.advance(29_950);
  await busy.settle();
  t.false(busy.state.done);
  busy.clock.advance(100);
  await busy.done;
});

test('outside a pod listeners close at once', async (t) => {
  const { calls, done } = setUp({ deadlineMs: 5_000, acceptMs: 0, idleMs: 0 }, 0);
  await done;
  t.deepEqual(calls, ['drain 5000', 'stop all at 0']);
});
