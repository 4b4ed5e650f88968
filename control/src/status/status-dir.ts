/** A folder with one YAML file for each status, replaced atomically, so that a reader never sees half of one. */
import fs from 'node:fs';
import path from 'node:path';
import { type Logger, messageOf } from '@chainmail/runtime';
import { stringify } from 'yaml';
import type { StatusSink } from './status.ts';

const ours = /^[A-Z][A-Za-z]*(\.[a-z0-9.*-]+)+\.yaml$/;

export class StatusDir implements StatusSink {
  /** Acknowledgements come one by one; statuses are written once for all of them. */
  readonly settleMs = 50;
  readonly #dir: string;
  readonly #log: Logger;
  readonly #written = new Map<string, string>();
  #swept = false;

  constructor(dir: string, log: Logger) {
    this.#dir = dir;
    this.#log = log;
  }

  /** Writes what changed and removes what has no status any more. A folder that cannot be written is logged, not fatal. */
  write(statuses: ReadonlyMap<string, unknown>): void {
    try {
      this.#sweep(statuses);
      for (const [name, status] of statuses) this.#put(name, stringify(status, { lineWidth: 0 }));
    } catch (error) {
      this.#log.warn({ dir: this.#dir, reason: messageOf(error) }, 'could not write statuses');
    }
  }

  #put(name: string, text: string): void {
    if (this.#written.get(name) === text) return;
    const file = path.join(this.#dir, `${name}.yaml`);
    const temporary = path.join(this.#dir, `.${name}.tmp`);
    fs.writeFileSync(temporary, text, { mode: 0o644 });
    fs.renameSync(temporary, file);
    this.#written.set(name, text);
  }

  #sweep(statuses: ReadonlyMap<string, unknown>): void {
    if (!this.#swept) {
      fs.mkdirSync(this.#dir, { recursive: true });
      const left = fs.readdirSync(this.#dir).filter((f) => ours.test(f));
      for (const f of left) this.#written.set(f.slice(0, -'.yaml'.length), '');
      this.#swept = true;
    }
    for (const name of [...this.#written.keys()]) {
      if (statuses.has(name)) continue;
      fs.rmSync(path.join(this.#dir, `${name}.yaml`), { force: true });
      this.#written.delete(name);
    }
  }
}
