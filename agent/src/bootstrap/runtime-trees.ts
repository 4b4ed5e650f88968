/**
 * Runtime layers in files (disk_layer): read when the agent starts, and again whenever the symbolic link that leads to
 * them is exchanged, which is how a whole tree changes at once. The directory that holds the link is watched.
 * Invariant: a tree that cannot be read leaves the values that were there, and says so.
 */
import fs from 'node:fs';
import path from 'node:path';
import { type Clock, type Logger, messageOf, type Timer, UserError } from '@chainmail/runtime';
import type { RuntimeValues } from '../config/runtime.ts';

/** Envoy's, against links that lead back into the tree. */
const maxDepth = 16;
const maxFiles = 10_000;
const maxFileBytes = 64 * 1024;
/** Where files are no files; Envoy refuses them, too. */
const noFiles = /^\/(dev|proc|sys)(\/|$)/;

/** Values by their keys: the file a/b is `a.b`. null when there is no such directory. @throws UserError */
export function readRuntimeTree(directory: string): ReadonlyMap<string, string> | null {
  if (!fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return null;
  const values = new Map<string, string>();
  walk(directory, '', 1, values);
  return values;
}

function walk(directory: string, prefix: string, depth: number, into: Map<string, string>): void {
  if (depth > maxDepth) throw refused(directory, `nested deeper than ${maxDepth} directories`);
  if (noFiles.test(fs.realpathSync(directory))) throw refused(directory, 'leads to where no runtime values may be');
  for (const name of fs.readdirSync(directory).sort()) {
    const full = path.join(directory, name);
    const key = prefix === '' ? name : `${prefix}.${name}`;
    const found = fs.statSync(full, { throwIfNoEntry: false });
    if (found?.isDirectory()) walk(full, key, depth + 1, into);
    else if (found?.isFile()) {
      if (found.size > maxFileBytes) throw refused(full, `larger than ${maxFileBytes} bytes`);
      if (into.size >= maxFiles) throw refused(full, `more than ${maxFiles} files`);
      into.set(key, withoutComments(fs.readFileSync(full, 'utf8')));
    }
  }
}

function refused(where: string, reason: string): UserError {
  return new UserError('RUNTIME_TREE', `${where}: ${reason}`, { hint: 'mend the tree, then exchange the link again' });
}

/** Lines that begin with # are comments. */
function withoutComments(text: string): string {
  return text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .trimEnd();
}

export interface RuntimeTreesOptions {
  readonly runtime: RuntimeValues;
  readonly log: Logger;
  readonly clock: Clock;
  readonly onChange: () => void;
}

/** Exchanges come in bursts; and a link is gone for a moment where it is not exchanged in one step. */
const settleMs = 50;

export class RuntimeTrees {
  readonly #options: RuntimeTreesOptions;
  readonly #watchers: readonly fs.FSWatcher[];
  #timer: Timer | null = null;

  /** Watches from now on. @throws UserError when a directory cannot be watched */
  constructor(options: RuntimeTreesOptions) {
    this.#options = options;
    const links = Map.groupBy(new Set(options.runtime.trees.map((t) => path.resolve(t.root))), (l) => path.dirname(l));
    this.#watchers = [...links].map(([directory, of]) =>
      this.#watch(directory, new Set(of.map((l) => path.basename(l)))),
    );
  }

  #watch(directory: string, names: ReadonlySet<string>): fs.FSWatcher {
    try {
      const watcher = fs.watch(directory, { persistent: false }, (_event, name) => {
        if (name !== null && names.has(name)) this.#later();
      });
      watcher.on('error', (error) => this.#options.log.warn({ directory, reason: messageOf(error) }, 'cannot watch'));
      return watcher;
    } catch (cause) {
      throw new UserError('RUNTIME_TREE', `${directory}: cannot be watched: ${messageOf(cause)}`, { cause });
    }
  }

  #later(): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(settleMs, () => this.#reload());
  }

  #reload(): void {
    const { runtime, log, onChange } = this.#options;
    for (const { layer, path: where } of runtime.trees) {
      try {
        const values = readRuntimeTree(where);
        runtime.replaceTree(layer, values);
        log.info({ layer, path: where, keys: values?.size ?? 0 }, 'runtime values were read');
      } catch (error) {
        runtime.failedLoads++;
        log.warn({ layer, reason: messageOf(error) }, 'runtime values could not be read; those that were there stay');
      }
    }
    onChange();
  }

  stop(): void {
    this.#timer?.cancel();
    for (const watcher of this.#watchers) watcher.close();
  }
}
