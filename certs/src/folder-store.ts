/**
 * The CA state in a folder: one file per revision, `state.<n>.json`, the highest number counts. A revision appears by
 * link(2), which is atomic and fails when the name exists: that is both the lock and the compare-and-swap, and leaves
 * nothing half-written or locked when the process is killed. Invariant: files are 0600, for they hold the root key.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '@chainmail/runtime';
import { type CaState, parseState } from './ca-state.ts';
import type { CaStore, StoredState } from './store.ts';

const pattern = /^state\.(\d{1,15})\.json$/;
/** Revisions kept beside the newest, for a reader that has just listed the folder. */
const keepOlder = 2;
const abandonedAfterMs = 60_000;

const hasCode = (error: unknown, code: string): boolean => (error as NodeJS.ErrnoException).code === code;

async function syncFolder(dir: string): Promise<void> {
  const handle = await fs.open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export class FolderStore implements CaStore {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async load(): Promise<StoredState | undefined> {
    for (;;) {
      const newest = Math.max(0, ...(await this.#revisions()));
      if (newest === 0) return undefined;
      try {
        return await this.#read(newest);
      } catch (error) {
        if (!hasCode(error, 'ENOENT')) throw error; // a newer one came and this one was cleared away: look again
      }
    }
  }

  async create(state: CaState): Promise<boolean> {
    await fs.mkdir(this.#dir, { recursive: true, mode: 0o700 });
    if ((await this.#revisions()).length > 0) return false;
    return this.#publish(state, 1);
  }

  async replace(state: CaState, revision: string): Promise<boolean> {
    const current = Math.max(0, ...(await this.#revisions()));
    if (String(current) !== revision) return false;
    return this.#publish(state, current + 1);
  }

  async #revisions(): Promise<number[]> {
    try {
      const names = await fs.readdir(this.#dir);
      return names.flatMap((n) => pattern.exec(n)?.slice(1).map(Number) ?? []);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return [];
      throw error;
    }
  }

  #file(revision: number): string {
    return path.join(this.#dir, `state.${revision}.json`);
  }

  async #read(revision: number): Promise<StoredState> {
    const file = this.#file(revision);
    const { mode } = await fs.stat(file);
    if ((mode & 0o077) !== 0) {
      throw new UserError('CA_STATE_EXPOSED', `${file} holds the root key and others may read it`, {
        hint: `chmod 600 ${file}, and rotate the root if somebody may have`,
      });
    }
    return { state: parseState(await fs.readFile(file, 'utf8'), file), revision: String(revision) };
  }

  async #publish(state: CaState, revision: number): Promise<boolean> {
    const temporary = path.join(this.#dir, `.tmp-${randomBytes(8).toString('hex')}`);
    try {
      await fs.writeFile(temporary, `${JSON.stringify(state, undefined, 2)}\n`, {
        mode: 0o600,
        flag: 'wx',
        flush: true,
      });
      await fs.link(temporary, this.#file(revision));
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false;
      throw error;
    } finally {
      await fs.rm(temporary, { force: true });
    }
    await syncFolder(this.#dir);
    return this.#confirm(revision);
  }

  /**
   * A slow writer may link a number that others passed and cleared long ago: then it has lost. A number is cleared
   * only once one beyond `keepOlder` exists, so up to there the link was the decision.
   */
  async #confirm(revision: number): Promise<boolean> {
    const all = await this.#revisions();
    const newest = Math.max(...all);
    const lost = newest > revision + keepOlder;
    const old = lost ? [revision] : all.filter((r) => r < newest - keepOlder);
    await Promise.all(old.map((r) => fs.rm(this.#file(r), { force: true })));
    await this.#clearAbandoned();
    return !lost;
  }

  /** What a killed writer left. */
  async #clearAbandoned(): Promise<void> {
    const names = (await fs.readdir(this.#dir)).filter((n) => n.startsWith('.tmp-'));
    for (const name of names) {
      const file = path.join(this.#dir, name);
      const stat = await fs.stat(file).catch(() => undefined);
      if (stat !== undefined && Date.now() - stat.mtimeMs > abandonedAfterMs) await fs.rm(file, { force: true });
    }
  }
}
