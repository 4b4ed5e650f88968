/**
 * Kubernetes objects from folders of YAML or JSON, each with the file and line it came from; what cannot be read is
 * a problem with file, line and reason, never an exception, and never hides the objects beside it.
 */
import fs from 'node:fs';
import path from 'node:path';
import { LineCounter, parseAllDocuments } from 'yaml';
import type { KubeObject } from './object.ts';

/** Where an object stands: the file and the line (from 1) of its document. */
export interface Origin {
  readonly file: string;
  readonly line: number;
}

export interface LoadedObject {
  readonly object: KubeObject;
  readonly origin: Origin;
  /** Line of a field, by its path inside the object, e.g. ['spec', 'rules', 0]; the nearest parent's if absent. */
  lineOf(fieldPath: readonly (string | number)[]): number;
}

export interface FileProblem {
  readonly origin: Origin;
  readonly reason: string;
}

export interface Loaded {
  readonly objects: readonly LoadedObject[];
  readonly problems: readonly FileProblem[];
}

/** A file above this is refused: nobody writes it by hand, and parsing it would stall the process. */
const maxFileBytes = 8 * 1024 * 1024;

function yamlFiles(dir: string): string[] {
  let entries: fs.Dirent[];
  try {
    entries = fs.readdirSync(dir, { withFileTypes: true });
  } catch {
    return []; // a folder that is not there yet holds no objects; the watcher looks again
  }
  return entries
    .flatMap((e) => {
      const name = path.join(dir, e.name);
      if (e.isDirectory()) return e.name.startsWith('.') ? [] : yamlFiles(name);
      return /^[^.].*\.(ya?ml|json)$/.test(e.name) ? [name] : [];
    })
    .sort();
}

function shapeError(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not an object';
  const o = value as Partial<KubeObject>;
  if (typeof o.apiVersion !== 'string') return 'apiVersion is missing';
  if (typeof o.kind !== 'string') return 'kind is missing';
  if (typeof o.metadata?.name !== 'string' && typeof o.metadata?.generateName !== 'string') {
    return 'metadata.name is missing';
  }
  return undefined;
}

function expandList(value: KubeObject): KubeObject[] {
  const items = (value as { items?: unknown }).items;
  return value.kind === 'List' && Array.isArray(items) ? (items as KubeObject[]) : [value];
}

/** Objects and problems of one YAML text, which may hold several documents and Lists. */
export function parseObjects(text: string, file: string): Loaded {
  const objects: LoadedObject[] = [];
  const problems: FileProblem[] = [];
  const lines = new LineCounter();
  for (const doc of parseAllDocuments(text, { lineCounter: lines, uniqueKeys: true })) {
    if (!('contents' in doc)) continue;
    const lineAt = (offset: number): number => lines.linePos(offset).line;
    const start = lineAt(doc.contents?.range?.[0] ?? doc.range?.[0] ?? 0);
    const broken = doc.errors[0];
    if (broken !== undefined) {
      problems.push({
        origin: { file, line: lineAt(broken.pos[0]) },
        reason: `not YAML: ${broken.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '')}`,
      });
      continue;
    }
    const value: unknown = doc.toJS({ maxAliasCount: 100 });
    if (value === null) continue; // an empty document between two separators
    const lineOf = (fieldPath: readonly (string | number)[]): number => {
      for (let n = fieldPath.length; n > 0; n--) {
        const node = doc.getIn(fieldPath.slice(0, n), true) as { range?: readonly number[] } | undefined;
        if (node?.range?.[0] !== undefined) return lineAt(node.range[0]);
      }
      return start;
    };
    const wrong = shapeError(value);
    const isList = (value as { kind?: unknown }).kind === 'List';
    if (wrong !== undefined && !isList) {
      problems.push({ origin: { file, line: start }, reason: wrong });
      continue;
    }
    for (const [i, object] of expandList(value as KubeObject).entries()) {
      const bad = shapeError(object);
      const prefix = isList ? ['items', i] : [];
      const origin = { file, line: lineOf(prefix) };
      if (bad !== undefined) problems.push({ origin, reason: bad });
      else objects.push({ object, origin, lineOf: (p) => lineOf([...prefix, ...p]) });
    }
  }
  return { objects, problems };
}

function readFile(file: string): Loaded {
  const problem = (reason: string): Loaded => ({ objects: [], problems: [{ origin: { file, line: 1 }, reason }] });
  try {
    if (fs.statSync(file).size > maxFileBytes) return problem(`larger than ${maxFileBytes} bytes`);
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
  const all = dirs.flatMap((dir) => yamlFiles(dir).map(readFile));
  return { objects: all.flatMap((l) => l.objects), problems: all.flatMap((l) => l.problems) };
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
  let last = '';
  let settle: NodeJS.Timeout | undefined;
  const scan = (): void => {
    const files = dirs.flatMap(yamlFiles);
    const keys = files.map((f) => {
      const s = fs.statSync(f, { throwIfNoEntry: false });
      return `${f}\0${s?.ino}\0${s?.size}\0${s?.mtimeMs}`;
    });
    const now = keys.join('\n');
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
    onChange({ objects: all.flatMap((l) => l.objects), problems: all.flatMap((l) => l.problems) });
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
