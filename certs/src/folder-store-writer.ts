/** Started by folder-store.test.ts and killed by it: replaces the state for ever and says each sequence it stored. */
import fs from 'node:fs';
import { FolderStore } from './folder-store.ts';

const store = new FolderStore(process.argv[2] ?? '');
for (;;) {
  const stored = await store.load();
  if (stored === undefined) throw new Error('nothing is stored');
  const { state, revision } = stored;
  if (await store.replace({ ...state, sequence: state.sequence + 1 }, revision)) {
    fs.writeSync(1, `${state.sequence + 1}\n`);
  }
}
