/** Folders with files in them that are gone when their test is over. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';

type Files = Readonly<Record<string, string>>;

/** A new folder with these files, by their paths in it. */
export function folderWith(t: ExecutionContext, files: Files = {}): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'agent-folder-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true, force: true }));
  put(dir, files);
  return dir;
}

/** Writes the files as volumes change, each beside its place and then renamed. */
export function put(dir: string, files: Files): void {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(dir, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(`${file}.next`, text, { mode: 0o600 });
    fs.renameSync(`${file}.next`, file);
  }
}
