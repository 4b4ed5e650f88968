/**
 * Folders of YAML or JSON, read at once or watched. What cannot be read is a problem with file and reason, never an
 * exception and never an absence, and hides nothing beside it.
 */
import fs from 'node:fs';
import path from 'node:path';
import { type FileProblem, type Loaded, parseObjects } from './parse-objects.ts';

/** A file above this is refused: nobody writes it by hand, and parsing it would stall the process. */
const maxFileBytes = 8 * 1024 * 1024;

interface Listing {
  readonly files: readonly string[];
  /** Folders that cannot be listed: what they hold is unknown, which is not the same as nothing. */
  readonly problems: readonly FileProblem[];
}

function listYaml(dir: string, within = false): Listing {
  let entries: fs.Dirent[];
  try {
    entries = fs.readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (within && code === 'ENOENT') return { files: [], problems: [] }; // removed while we were reading
    const reason = code === 'ENOENT' ? 'the folder is not there' : `the folder cannot be read: ${code}`;
    return { files: [], problems: [{ origin: { file: dir, line: 1 }, reason }] };
  }
  const parts = entries.sort(byName).map((e): Listing => {
    const name = path.join(dir, e.name);
    if (e.isDirectory()) return e.name.startsWith('.') ? { files: [], problems: [] } : listYaml(name, true);
    return { files: /^[^.].*\.(ya?ml|json)$/.test(e.name) ? [name] : [], problems: [] };
  });
  return joinListings(parts);
}

const byName = (a: fs.Dirent, b: fs.Dirent): number => (a.name < b.name ? -1 : 1);

const joinListings = (parts: readonly Listing[]): Listing => ({
  files: parts.flatMap((p) => p.files),
  problems: parts.flatMap((p) => p.problems),
});

function readFile(file: string): Loaded {
  const problem = (reason: string): Loaded => ({ objects: [], problems: [{ origin: { file, line: 1 }, reason }] });
  try {
    const { size } = fs.statSync(file);
    if (size > maxFileBytes) return problem(`larger than ${maxFileBytes} bytes`);
    // An editor empties a file before it writes it anew; taken at its word, it would have deleted a policy.
    if (size === 0) return problem('the file is empty; remove it if its objects are to go');
    return parseObjects(fs.readFileSync(file, 'utf8'), file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return code === 'ENOENT'
      ? { objects: [], problems: [] }
      : problem(error instanceof Error ? error.message : 'unreadable');
  }
}

/** Everything below the folders, in the order of folders and file names; hidden files are passed over. */
export function readObjects(dirs: readonly string[]): Loaded {
  const { files, problems } = joinListings(dirs.map((dir) => listYaml(dir)));
  return joinLoaded(files.map(readFile), problems);
}

const joinLoaded = (all: readonly Loaded[], problems: readonly FileProblem[]): Loaded => ({
  objects: all.flatMap((l) => l.objects),
  problems: [...problems, ...all.flatMap((l) => l.problems)],
});

/** Changes when the file's content may have. */
function versionOf(file: string): string {
  try {
    const { ino, size, mtimeMs } = fs.statSync(file);
    return `${file}\0${ino}\0${size}\0${mtimeMs}`;
  } catch (error) {
    return `${file}\0${(error as NodeJS.ErrnoException).code}`;
  }
}

export interface Watch {
  close(): void;
}

/**
 * Calls back with all objects at once and again after each change, coalesced over settleMs (20 by default).
 * Looks at names, sizes and times every pollMs (250 by default) as well, since inotify sees neither a folder that
 * is created later nor every file system.
 */
export function watchObjects(
  dirs: readonly string[],
  onChange: (loaded: Loaded) => void,
  options: { readonly settleMs?: number; readonly pollMs?: number } = {},
): Watch {
  const cache = new Map<string, { readonly key: string; readonly loaded: Loaded }>();
  let last: string | undefined;
  let settle: NodeJS.Timeout | undefined;
  const scan = (): void => {
    const { files, problems } = joinListings(dirs.map((dir) => listYaml(dir)));
    const keys = files.map(versionOf);
    const now = [...keys, ...problems.map((p) => `${p.origin.file}\0${p.reason}`)].join('\n');
    if (now === last) return;
    last = now;
    const live = new Set(files);
    for (const f of cache.keys()) if (!live.has(f)) cache.delete(f);
    const all = files.map((f, i) => {
      const key = keys[i] ?? '';
      const old = cache.get(f);
      const loaded = old?.key === key ? old.loaded : readFile(f);
      cache.set(f, { key, loaded });
      return loaded;
    });
    onChange(joinLoaded(all, problems));
  };
  const soon = (): void => {
    clearTimeout(settle);
    settle = setTimeout(scan, options.settleMs ?? 20);
  };
  const watchers = dirs.flatMap((dir) => {
    try {
      const w = fs.watch(dir, { recursive: true, persistent: false }, soon);
      w.on('error', () => w.close());
      return [w];
    } catch {
      return [];
    }
  });
  const poll = setInterval(scan, options.pollMs ?? 250);
  poll.unref();
  scan();
  return {
    close() {
      clearTimeout(settle);
      clearInterval(poll);
      for (const w of watchers) w.close();
    },
  };
}
