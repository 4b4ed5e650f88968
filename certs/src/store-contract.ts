/** What every CA store keeps; one suite for all of them. Not part of the package's entries. */
import { createRoot } from '@chainmail/pki/authority';
import test from 'ava';
import { type CaState, initialState } from './ca-state.ts';
import type { CaStore } from './store.ts';

export interface StoreFixture {
  /** Another replica's view of the same storage. */
  open(): CaStore;
  close(): void | Promise<void>;
}

export async function makeState(): Promise<CaState> {
  const root = await createRoot({ trustDomain: 'cluster.local', nowMs: 0, lifetimeMs: 3_600_000 });
  return initialState('cluster.local', root, 0);
}

async function mustLoad(store: CaStore) {
  const stored = await store.load();
  if (stored === undefined) throw new Error('nothing is stored');
  return stored;
}

/** Declares the tests under the name of the implementation. */
export function storeContract(name: string, make: () => StoreFixture | Promise<StoreFixture>): void {
  const check = (title: string, body: (t: import('ava').ExecutionContext, f: StoreFixture) => Promise<void>): void => {
    test(`${name}: ${title}`, async (t) => {
      const fixture = await make();
      t.teardown(() => fixture.close());
      await body(t, fixture);
    });
  };

  check('empty at first', async (t, { open }) => {
    t.is(await open().load(), undefined);
  });

  check('what is created is loaded by everybody', async (t, { open }) => {
    const state = await makeState();
    t.true(await open().create(state));
    t.deepEqual((await mustLoad(open())).state, state);
  });

  check('of many that create at once one succeeds, and all load its state', async (t, { open }) => {
    const states = await Promise.all(Array.from({ length: 8 }, makeState));
    const won = await Promise.all(states.map((s) => open().create(s)));
    t.is(won.filter(Boolean).length, 1);
    t.deepEqual((await mustLoad(open())).state, states[won.indexOf(true)]);
    t.false(await open().create(await makeState()));
  });

  check('a replacement needs the revision it was decided on', async (t, { open }) => {
    const store = open();
    const state = await makeState();
    t.false(await store.replace(state, '1'), 'nothing to replace');
    await store.create(state);
    const first = await mustLoad(store);
    t.true(await store.replace({ ...state, sequence: 2 }, first.revision));
    t.false(await open().replace({ ...state, sequence: 99 }, first.revision));
    const second = await mustLoad(open());
    t.is(second.state.sequence, 2);
    t.not(second.revision, first.revision);
  });

  check('no change is lost among replicas that write at the same time', async (t, { open }) => {
    await open().create(await makeState());
    const bump = async (): Promise<void> => {
      const store = open();
      for (;;) {
        const { state, revision } = await mustLoad(store);
        if (await store.replace({ ...state, sequence: state.sequence + 1 }, revision)) return;
      }
    };
    await Promise.all(Array.from({ length: 10 }, bump));
    t.is((await mustLoad(open())).state.sequence, 11);
  });
}
