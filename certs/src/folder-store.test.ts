import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { UserError } from '@chainmail/runtime';
import test from 'ava';
import { FolderStore } from './folder-store.ts';
import { makeState, storeContract } from './store-contract.ts';

function makeFolder() {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'ca-store-'));
  const dir = path.join(base, 'state');
  return { dir, open: () => new FolderStore(dir), close: () => fs.rmSync(base, { recursive: true }) };
}

storeContract('folder', makeFolder);

test('only the owner may enter the folder and read the key', async (t) => {
  const { dir, open, close } = makeFolder();
  t.teardown(close);
  await open().create(await makeState());
  t.is(fs.statSync(dir).mode & 0o777, 0o700);
  t.is(fs.statSync(path.join(dir, 'state.1.json')).mode & 0o777, 0o600);
  fs.chmodSync(path.join(dir, 'state.1.json'), 0o640);
  const error = await t.throwsAsync(open().load(), { instanceOf: UserError });
  t.is(error.code, 'CA_STATE_EXPOSED');
});

test('a damaged state is an error with the file, never a fresh start', async (t) => {
  const { dir, open, close } = makeFolder();
  t.teardown(close);
  const state = await makeState();
  await open().create(state);
  const file = path.join(dir, 'state.1.json');
  const [root] = state.roots;
  for (const text of [
    '',
    '{"version":1',
    'null',
    '{"version":2}',
    JSON.stringify({ ...state, sequence: -1 }),
    JSON.stringify({ ...state, roots: [] }),
    JSON.stringify({ ...state, roots: [root, root] }),
    JSON.stringify({ ...state, roots: [{ ...root, keyPem: '' }] }),
  ]) {
    fs.writeFileSync(file, text);
    const error = await t.throwsAsync(open().load(), { instanceOf: UserError }, text);
    t.is(error.code, 'CA_STATE_INVALID');
    t.true(error.message.startsWith(file));
    t.false(await open().create(state));
  }
});

test('old revisions and what killed writers left are cleared away', async (t) => {
  const { dir, open, close } = makeFolder();
  t.teardown(close);
  const state = await makeState();
  await open().create(state);
  fs.writeFileSync(path.join(dir, '.tmp-0123'), 'half', { mode: 0o600 });
  fs.utimesSync(path.join(dir, '.tmp-0123'), 0, 0);
  for (let revision = 1; revision < 9; revision++) {
    t.true(await open().replace({ ...state, sequence: revision + 1 }, String(revision)));
  }
  t.deepEqual(fs.readdirSync(dir).sort(), ['state.7.json', 'state.8.json', 'state.9.json']);
});

test('a writer that comes back after others went on loses, and takes nothing along', async (t) => {
  const { dir, open, close } = makeFolder();
  t.teardown(close);
  const state = await makeState();
  await open().create(state);
  for (let revision = 1; revision < 9; revision++) {
    await open().replace({ ...state, sequence: revision + 1 }, String(revision));
  }
  // What such a writer does after its own look at the folder: link a number that is free again.
  fs.copyFileSync(path.join(dir, 'state.9.json'), path.join(dir, 'state.2.json'));
  t.false(await open().replace({ ...state, sequence: 99 }, '2'));
  t.is((await open().load())?.state.sequence, 9);
});

test('kill -9 at any moment leaves a readable store with everything that was acknowledged', async (t) => {
  const { dir, open, close } = makeFolder();
  t.teardown(close);
  await open().create(await makeState());
  const script = fileURLToPath(new URL('./folder-store-writer.ts', import.meta.url));
  let acknowledged = 1;
  for (const lines of [1, 2, 3, 5, 8, 13]) {
    const child = spawn(process.execPath, ['--no-warnings', script, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    let left = lines;
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = Number(line);
      if (--left === 0) child.kill('SIGKILL');
    }
    t.is((await exited)[1], 'SIGKILL');
    const stored = await open().load();
    const sequence = stored?.state.sequence ?? 0;
    t.true(sequence === acknowledged || sequence === acknowledged + 1, `${sequence} after ${acknowledged}`);
  }
  const stored = await open().load();
  if (stored === undefined) return t.fail();
  t.true(await open().replace({ ...stored.state, sequence: 1000 }, stored.revision));
});
