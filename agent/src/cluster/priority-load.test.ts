import test from 'ava';
import fc from 'fast-check';
import { type PriorityHealth, priorityLoad } from './priority-load.ts';

const of = (total: number, healthy: number, degraded = 0): PriorityHealth => ({ total, healthy, degraded });
const show = (priorities: readonly PriorityHealth[], panicThreshold = 50): string =>
  priorityLoad(priorities, panicThreshold)
    .map(({ priority, source, percent }) => `P${priority} ${source} ${percent}`)
    .join(', ');

const cases: readonly (readonly [
  what: string,
  priorities: readonly PriorityHealth[],
  threshold: number,
  load: string,
])[] = [
  ['all healthy', [of(4, 4), of(4, 4)], 50, 'P0 healthy 100'],
  ['one of two healthy', [of(2, 1), of(2, 2)], 50, 'P0 healthy 70, P1 healthy 30'],
  ['enough healthy for everything', [of(4, 3), of(4, 4)], 50, 'P0 healthy 100'],
  ['priority 0 gone', [of(2, 0), of(2, 2)], 50, 'P1 healthy 100'],
  ['a gap in the priorities', [of(0, 0), of(2, 2)], 50, 'P1 healthy 100'],
  ['spill over to a third', [of(10, 2), of(10, 2), of(10, 10)], 50, 'P0 healthy 28, P1 healthy 28, P2 healthy 44'],
  ['degraded hosts take the rest', [of(10, 5, 5)], 50, 'P0 healthy 70, P0 degraded 30'],
  ['healthy ones of priority 1 before degraded ones of 0', [of(2, 1, 1), of(2, 2)], 50, 'P0 healthy 70, P1 healthy 30'],
  ['under the panic threshold', [of(10, 4)], 50, 'P0 all 100'],
  ['at the panic threshold', [of(10, 5)], 50, 'P0 healthy 100'],
  ['everything down', [of(3, 0)], 50, 'P0 all 100'],
  ['everything down in both', [of(3, 0), of(1, 0)], 50, 'P0 all 75, P1 all 25'],
  ['panic only where it is bad', [of(10, 4), of(10, 1), of(10, 0)], 50, 'P0 all 34, P1 all 33, P2 all 33'],
  ['threshold 0 never panics', [of(10, 1)], 0, 'P0 healthy 100'],
  ['threshold 0 and nobody healthy', [of(10, 0)], 0, ''],
  ['no hosts', [of(0, 0)], 50, ''],
  ['no priorities', [], 50, ''],
];
for (const [what, priorities, threshold, load] of cases) {
  test(what, (t) => {
    t.is(show(priorities, threshold), load);
  });
}

test('the shares always add up to 100 or there are none', (t) => {
  const priority = fc
    .tuple(fc.nat({ max: 20 }), fc.nat({ max: 20 }), fc.nat({ max: 20 }))
    .map(([healthy, degraded, down]) => of(healthy + degraded + down, healthy, degraded));
  fc.assert(
    fc.property(fc.array(priority, { maxLength: 5 }), fc.nat({ max: 100 }), (priorities, threshold) => {
      const shares = priorityLoad(priorities, threshold);
      const sum = shares.reduce((total, { percent }) => total + percent, 0);
      const usable = priorities.some((p) => p.healthy + p.degraded > 0);
      return usable ? sum === 100 : sum === 0 || sum === 100;
    }),
  );
  t.pass();
});
