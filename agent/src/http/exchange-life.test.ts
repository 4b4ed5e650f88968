/**
 * Requests and answers in any order of events: nothing is thrown, every request is logged once, nobody gets what belongs
 * to another or takes a part for the whole, and everything that was taken is given back. The runs are the same each time;
 * who looks for more takes another seed and more runs. A failure says what has happened.
 */
import test from 'ava';
import fc from 'fast-check';
import { type LifeEvent, lifeEvents, lifeSetup, play } from './testing/life/events.ts';
import { checkEnd, checkNow, help, outlast } from './testing/life/rules.ts';
import type { LifeSetup } from './testing/life/setup.ts';
import { LifeWorld } from './testing/life/world.ts';

/** Some seconds. */
const numRuns = 2500;
const seed = 20_261_127;

function live(setup: LifeSetup, events: readonly LifeEvent[]): void {
  const world = new LifeWorld(setup);
  world.connect('http2', true);
  world.connect('http1', true);
  for (const event of events) {
    play(world, event);
    checkNow(world);
  }
  if (setup.end === 'silence') outlast(world);
  if (setup.end === 'help') help(world);
  checkEnd(world);
}

test('whatever comes, in whatever order: each exchange ends once, and gives back what it took', (t) => {
  fc.assert(fc.property(lifeSetup, lifeEvents, live), { numRuns, seed, includeErrorInReport: true });
  t.pass();
});
