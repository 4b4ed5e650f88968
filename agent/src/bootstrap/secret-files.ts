/**
 * Secrets that live in files (SDS by path): loaded when the configuration names them, and again whenever a directory
 * they come from changes. Directories and not files are watched, because files are replaced by renames and symlinks.
 * Invariant: a file that cannot be read leaves the last good secret in use, and says so.
 */
import fs from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type Clock, type Logger, messageOf, type Timer } from '@chainmail/runtime';
import type { LoadedSecret, SecretFile } from '../config/compile-context.ts';
import type { SecretSpec } from '../model/tls.ts';

export interface SecretFilesOptions {
  readonly log: Logger;
  readonly clock: Clock;
  readonly onChange: (secrets: readonly SecretSpec[]) => void;
}

/** A key and its certificate are two files: both should be there before they are read. */
const settleMs = 100;

interface Watched {
  readonly file: SecretFile;
  loaded: LoadedSecret;
}

export class SecretFiles {
  readonly #options: SecretFilesOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #directories = new Map<string, fs.FSWatcher>();
  #timer: Timer | null = null;

  constructor(options: SecretFilesOptions) {
    this.#options = options;
  }

  current(): readonly SecretSpec[] {
    return [...this.#watched.values()].map((w) => w.loaded.spec);
  }

  /** Loads the secret and watches it from now on. @throws what loading throws */
  watch(file: SecretFile): void {
    if (this.#watched.has(file.name)) return;
    const loaded = file.load();
    this.#watched.set(file.name, { file, loaded });
    this.#watchDirectories(file, loaded);
    this.#options.onChange([loaded.spec]);
  }

  #watchDirectories(file: SecretFile, { files }: LoadedSecret): void {
    const wanted = file.watchedDirectory === '' ? files.map((f) => path.dirname(f)) : [file.watchedDirectory];
    for (const directory of wanted) {
      if (this.#directories.has(directory)) continue;
      const watcher = fs.watch(directory, { persistent: false }, () => this.#later());
      watcher.on('error', (error) => this.#options.log.warn({ directory, reason: messageOf(error) }, 'cannot watch'));
      this.#directories.set(directory, watcher);
    }
  }

  #later(): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(settleMs, () => this.#reload());
  }

  #reload(): void {
    const changed: SecretSpec[] = [];
    for (const watched of this.#watched.values()) {
      const { file } = watched;
      try {
        const loaded = file.load();
        this.#watchDirectories(file, loaded);
        if (isDeepStrictEqual(loaded.spec, watched.loaded.spec)) continue;
        watched.loaded = loaded;
        changed.push(loaded.spec);
        this.#options.log.info({ path: file.path }, 'a secret was reloaded');
      } catch (error) {
        this.#options.log.warn({ path: file.path, reason: messageOf(error) }, 'a secret could not be reloaded');
      }
    }
    if (changed.length > 0) this.#options.onChange(changed);
  }

  stop(): void {
    this.#timer?.cancel();
    for (const watcher of this.#directories.values()) watcher.close();
    this.#directories.clear();
  }
}
