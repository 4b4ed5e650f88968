import { createRoot } from '@chainmail/pki/authority';
import { UserError } from '@chainmail/runtime';
import test from 'ava';
import {
  activateRoot,
  activeRoot,
  dropRetiredRoots,
  noteTtl,
  parseState,
  prepareRoot,
  replicaLagMs,
} from './ca-state.ts';
import { makeState } from './store-contract.ts';

const newRoot = () => createRoot({ trustDomain: 'cluster.local', nowMs: 0, lifetimeMs: 3_600_000 });

test('a rotation: both in the bundle, then the new one signs, then the old one leaves', async (t) => {
  const start = noteTtl(await makeState(), 3600);
  const next = await newRoot();
  const prepared = prepareRoot(start, next, 1000);
  t.is(prepared.sequence, 2);
  t.is(activeRoot(prepared).certificatePem, activeRoot(start).certificatePem);
  const readyMs = 1000 + 3_600_000 + replicaLagMs;
  t.throws(() => activateRoot(prepared, readyMs - 1), { instanceOf: UserError, message: /not with every workload/ });
  const activated = activateRoot(prepared, readyMs);
  t.is(activated.sequence, 2, 'the bundle is the same');
  t.is(activeRoot(activated).certificatePem, next.certificatePem);
  const freeMs = readyMs + 3_600_000 + replicaLagMs;
  t.throws(() => dropRetiredRoots(activated, freeMs - 1), { instanceOf: UserError, message: /live certificates need/ });
  const dropped = dropRetiredRoots(activated, freeMs);
  t.is(dropped.sequence, 3);
  t.deepEqual(
    dropped.roots.map((r) => r.role),
    ['active'],
  );
  t.deepEqual(parseState(JSON.stringify(dropped), 'x'), dropped);
});

test('steps out of order are refused', async (t) => {
  const start = await makeState();
  t.throws(() => activateRoot(start, 1e12), { instanceOf: UserError, message: /no root is prepared/ });
  t.throws(() => dropRetiredRoots(start, 1e12), { instanceOf: UserError, message: /no root is retired/ });
  const prepared = prepareRoot(start, await newRoot(), 0);
  const other = await newRoot();
  t.throws(() => prepareRoot(prepared, other, 0), { instanceOf: UserError, message: /under way/ });
  const activated = activateRoot(prepared, 1e12);
  t.throws(() => prepareRoot(activated, other, 1e12), { instanceOf: UserError, message: /under way/ });
});

test('the longest lifetime only grows', async (t) => {
  const start = await makeState();
  const noted = noteTtl(start, 60);
  t.is(activeRoot(noted).longestTtlSeconds, 60);
  t.is(noteTtl(noted, 60), noted);
  t.is(noteTtl(noted, 20), noted);
});
