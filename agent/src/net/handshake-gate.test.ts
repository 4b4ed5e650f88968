import test from 'ava';
import { HandshakeGate } from './handshake-gate.ts';
import { Loop } from './loop.ts';

test('a few begin in a turn, a bounded number at once, the others wait in order', (t) => {
  const loop = new Loop();
  const gate = new HandshakeGate(loop, { startsPerTurn: 2, concurrent: 5 });
  const begun: number[] = [];
  const who = Array.from({ length: 10 }, () => ({}));
  for (const [i, w] of who.entries()) gate.enter(w, () => begun.push(i));
  t.deepEqual(begun, [0, 1]);
  loop.run(0);
  t.deepEqual(begun, [0, 1, 2, 3]);
  loop.run(0);
  loop.run(0);
  t.deepEqual(begun, [0, 1, 2, 3, 4], 'five are under way');
  const [a = {}, , , , , , g = {}] = who;
  gate.leave(g);
  gate.leave(a);
  loop.run(0);
  t.deepEqual(begun, [0, 1, 2, 3, 4, 5], 'one has ended');
  for (const w of who) gate.leave(w);
  t.is(gate.running + gate.waiting, 0);
  loop.run(0);
  t.deepEqual(begun, [0, 1, 2, 3, 4, 5], 'whoever has left while waiting does not begin');
  loop.close();
});
